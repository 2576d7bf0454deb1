//! Metrics, keys and values, counted in the server.

use luminate_storage::{CatalogueEntry, CataloguePage, CatalogueRequest, QueryContext, StorageError};

use super::conditions;
use super::query::TenantQuery;
use super::row_binary::RowBinary;
use super::run::{self, Bounds, ReadLimit};
use super::table::{self, Table};
use crate::client::{Hosts, Statement};

/// The tenant's metrics.
pub(super) fn metrics(table: &Table, request: &CatalogueRequest) -> Statement {
    let mut query = conditions::of_catalogue(table, request);
    let condition = is_asked_for(&mut query, table::METRIC, request);
    query.require(condition);
    counted(query, table::METRIC, request)
}

/// The keys of dimensions.
pub(super) fn keys(table: &Table, request: &CatalogueRequest) -> Statement {
    let mut query = conditions::of_catalogue(table, request);
    let condition = is_asked_for(&mut query, "k", request);
    counted(query, &format!("arrayJoin(arrayFilter(k -> {condition}, {}))", table::KEYS), request)
}

/// The values of a dimension.
pub(super) fn values(table: &Table, key: &str, request: &CatalogueRequest) -> Statement {
    let mut query = conditions::of_catalogue(table, request);
    let value = table::dimension(&query.text(key));
    let condition = is_asked_for(&mut query, &value, request);
    query.require(format!("{value} != ''"));
    query.require(condition);
    counted(query, &value, request)
}

/// Executes one of these statements.
pub(super) async fn page(
    hosts: &Hosts,
    statement: Statement,
    request: &CatalogueRequest,
    context: &QueryContext,
) -> Result<CataloguePage, StorageError> {
    context.check()?;
    if request.time.is_empty() {
        return Ok(CataloguePage::default());
    }
    let bounds = Bounds { read: ReadLimit::Samples, rows: Some(rows(request)) };
    let result = run::result(hosts, statement, bounds, context).await?;
    let mut entries = Vec::new();
    let mut rows = RowBinary::new(result.bytes());
    while !rows.is_at_end() {
        let name = rows.text()?.to_owned();
        entries.push(CatalogueEntry { name, samples: rows.integer()?.unsigned_abs() });
    }
    let truncated = entries.len() > request.limit;
    entries.truncate(request.limit);
    Ok(CataloguePage { entries, truncated })
}

/// One more than is answered tells whether there is more.
fn rows(request: &CatalogueRequest) -> usize {
    request.limit.saturating_add(1)
}

fn is_asked_for(query: &mut TenantQuery<'_>, name: &str, request: &CatalogueRequest) -> String {
    let begins = format!("startsWith({name}, {})", query.text(&request.prefix));
    match &request.after {
        Some(after) => format!("{begins} AND {name} > {}", query.text(after)),
        None => begins,
    }
}

fn counted(mut query: TenantQuery<'_>, name: &str, request: &CatalogueRequest) -> Statement {
    let limit = query.integer(i64::try_from(rows(request)).unwrap_or(i64::MAX));
    let columns = format!("{name} AS name, toInt64(count())");
    let selection = query.select(&columns, &format!("GROUP BY name ORDER BY name LIMIT {limit}"));
    query.statement(selection)
}
