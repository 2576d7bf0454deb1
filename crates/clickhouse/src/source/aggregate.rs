//! Aggregates: groups, steps, order and limit, all in one statement.

use luminate_storage::{
    AggregateAnswer, AggregateGroup, AggregateRequest, Direction, GroupOrder, QueryContext, StorageError,
};

use super::conditions;
use super::function::{Call, value_of_state};
use super::query::TenantQuery;
use super::row_binary::RowBinary;
use super::run::{self, Bounds, ReadLimit};
use super::table::{self, Table};
use crate::client::{Hosts, Statement};

/// Asks for an aggregate and reads the answer.
pub(super) async fn aggregate(
    hosts: &Hosts,
    table: &Table,
    request: &AggregateRequest,
    context: &QueryContext,
) -> Result<AggregateAnswer, StorageError> {
    context.check()?;
    if request.scan.time.is_empty() || request.limit == Some(0) {
        return Ok(AggregateAnswer::default());
    }
    let bounds = Bounds { read: ReadLimit::Samples, rows: result_rows(request) };
    let result = run::result(hosts, statement(table, request), bounds, context).await?;
    let mut groups = Vec::new();
    let mut rows = RowBinary::new(result.bytes());
    while !rows.is_at_end() {
        groups.push(group(&mut rows, request)?);
    }
    let truncated = request.limit.is_some_and(|limit| groups.len() > limit);
    groups.truncate(request.limit.unwrap_or(usize::MAX));
    Ok(AggregateAnswer { groups, truncated })
}

/// One more than is answered tells whether there is more.
fn result_rows(request: &AggregateRequest) -> Option<usize> {
    request.limit.map(|limit| limit.saturating_add(1))
}

fn statement(table: &Table, request: &AggregateRequest) -> Statement {
    let mut query = conditions::of_scan(table, &request.scan);
    let call = Call::of(&request.function, &mut query);
    let keys: Vec<String> = (0..request.group_by.len()).map(|at| format!("g{at}")).collect();
    let dimensions: Vec<String> = (request.group_by.iter().zip(&keys))
        .map(|(dimension, key)| format!("{} AS {key}", table::dimension(&query.text(dimension))))
        .collect();
    let clauses = clauses(request, &keys, &mut query);
    let Some(step) = request.step else {
        let columns = list(&dimensions, &[format!("{} AS v", call.value())]);
        let selection = query.select(&columns, &clauses);
        return query.statement(selection);
    };
    // Each bucket is aggregated once, and the whole range from its buckets.
    let (timestamp, width, origin) = (table::TIMESTAMP, query.integer(step.width), query.integer(step.origin));
    let bucket = format!("{timestamp} - positiveModulo({timestamp} - {origin}, {width}) AS bucket");
    let buckets = list(&dimensions, &[bucket, format!("{} AS state", call.state())]);
    let by_bucket = list(&keys, &["bucket".to_owned()]);
    let steps = format!("arraySort(groupArray((bucket, {})))", value_of_state("state"));
    let columns = list(&keys, &[format!("{} AS v", call.merged("state")), steps]);
    let selection = query.select(&buckets, &format!("GROUP BY {by_bucket}")).within(&columns, &clauses);
    query.statement(selection)
}

fn list(first: &[String], then: &[String]) -> String {
    [first, then].concat().join(", ")
}

/// What follows the conditions. Without a sample there is no group, not even the one that all samples fall into.
fn clauses(request: &AggregateRequest, keys: &[String], query: &mut TenantQuery<'_>) -> String {
    let group_by = if keys.is_empty() { String::new() } else { format!("GROUP BY {} ", keys.join(", ")) };
    let order = order(request.order, keys);
    let order_by = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
    let limit = match result_rows(request) {
        Some(rows) => format!(" LIMIT {}", query.integer(i64::try_from(rows).unwrap_or(i64::MAX))),
        None => String::new(),
    };
    format!("{group_by}HAVING count() > 0{order_by}{limit}")
}

/// A missing dimension, which is the empty string here, comes last whatever the direction.
fn order(order: GroupOrder, keys: &[String]) -> Vec<String> {
    let by_keys = |direction: &str| keys.iter().map(|key| format!("{key} = '', {key} {direction}")).collect::<Vec<_>>();
    let by_value = |direction: &str| [vec![format!("v {direction}")], by_keys("ASC")].concat();
    match order {
        GroupOrder::GroupAscending => by_keys("ASC"),
        GroupOrder::GroupDescending => by_keys("DESC"),
        GroupOrder::Value(Direction::Ascending) => by_value("ASC"),
        GroupOrder::Value(Direction::Descending) => by_value("DESC"),
    }
}

fn group(rows: &mut RowBinary<'_>, request: &AggregateRequest) -> Result<AggregateGroup, StorageError> {
    let mut group = Vec::with_capacity(request.group_by.len());
    for _ in &request.group_by {
        let value = rows.text()?;
        group.push((!value.is_empty()).then(|| value.to_owned()));
    }
    let value = whole(rows.number()?);
    let mut steps = Vec::new();
    if request.step.is_some() {
        for _ in 0..rows.length()? {
            steps.push((rows.integer()?, whole(rows.number()?)));
        }
    }
    Ok(AggregateGroup { group, value, steps })
}

/// There is no negative zero in answers: whether a sum or minimum is one depends on the order of the samples.
fn whole(value: f64) -> f64 {
    value + 0.0
}
