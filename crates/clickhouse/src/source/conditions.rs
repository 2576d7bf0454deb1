//! Time, retention and filters as conditions.

use luminate_model::time::{DAY_MS, END_TIMESTAMP};
use luminate_model::{TenantRetention, TimeRange};
use luminate_storage::{CatalogueRequest, DimensionFilter, DimensionTest, Pattern, ScanRequest};

use super::query::TenantQuery;
use super::table::{self, Table};

/// The samples that a scan may see.
pub(super) fn of_scan<'t>(table: &'t Table, request: &ScanRequest) -> TenantQuery<'t> {
    let mut query = TenantQuery::of(table, request.tenant());
    require_metric(&mut query, &request.metric);
    // 0 days as written: what is set today counts for all samples, what they were written with is looked at row by row.
    require_time(&mut query, TimeRange { start: request.floor(0), ..request.time });
    require_unexpired(&mut query, request.as_of);
    for filter in &request.filters {
        let condition = filter_condition(&mut query, filter);
        query.require(condition);
    }
    query
}

/// The samples that a catalogue speaks of.
pub(super) fn of_catalogue<'t>(table: &'t Table, request: &CatalogueRequest) -> TenantQuery<'t> {
    let mut query = TenantQuery::of(table, request.tenant());
    let retention = &request.retention;
    let floor = |metric: &str| retention.floor(metric, 0, request.as_of);
    match &request.metric {
        Some(metric) => {
            require_metric(&mut query, metric);
            let start = request.time.start.max(floor(metric));
            require_time(&mut query, TimeRange { start, ..request.time });
        }
        None => {
            let everywhere = TenantRetention { metrics: std::collections::BTreeMap::new(), ..retention.clone() };
            let default = everywhere.floor("", 0, request.as_of);
            let floors: Vec<(&str, i64)> = retention.metrics.keys().map(|name| (name.as_str(), floor(name))).collect();
            let lowest = floors.iter().map(|(_, floor)| *floor).fold(default, i64::min);
            require_time(&mut query, TimeRange { start: request.time.start.max(lowest), ..request.time });
            if !floors.is_empty() {
                let floor = query.number_of(table::METRIC, &floors, default);
                query.require(format!("{} >= {floor}", table::TIMESTAMP));
            }
        }
    }
    require_unexpired(&mut query, request.as_of);
    query
}

fn require_metric(query: &mut TenantQuery<'_>, metric: &str) {
    let metric = query.text(metric);
    query.require(format!("{} = {metric}", table::METRIC));
}

fn require_time(query: &mut TenantQuery<'_>, time: TimeRange) {
    let start = query.integer(time.start);
    // The end may be the first moment that the table's type does not hold any more, so the last one before it is compared.
    let last = query.integer(time.end.min(END_TIMESTAMP).saturating_sub(1));
    query.require(format!("{} >= {}", table::TIME, table::moment(&start)));
    query.require(format!("{} <= {}", table::TIME, table::moment(&last)));
}

/// Leaves out what has expired by the retention that it was written with.
fn require_unexpired(query: &mut TenantQuery<'_>, as_of: i64) {
    let (days, timestamp, now) = (table::RETENTION_DAYS, table::TIMESTAMP, query.integer(as_of));
    query.require(format!("({days} = 0 OR {timestamp} >= {now} - {days} * {DAY_MS})"));
}

/// To a filter a missing dimension is the empty string, which is what the table gives for it.
fn filter_condition(query: &mut TenantQuery<'_>, filter: &DimensionFilter) -> String {
    let value = table::dimension(&query.text(&filter.key));
    match &filter.test {
        DimensionTest::Equal(wanted) => format!("{value} = {}", query.text(wanted)),
        DimensionTest::NotEqual(unwanted) => format!("{value} != {}", query.text(unwanted)),
        DimensionTest::In(values) => one_of(query, &value, values.iter().map(String::as_str)),
        DimensionTest::NotIn(values) => format!("NOT {}", one_of(query, &value, values.iter().map(String::as_str))),
        DimensionTest::Exists(true) => format!("{value} != ''"),
        DimensionTest::Exists(false) => format!("{value} = ''"),
        DimensionTest::Prefix(prefix) => format!("startsWith({value}, {})", query.text(prefix)),
        DimensionTest::Regex(pattern) => format!("match({value}, {})", query.text(&regular_expression(pattern))),
    }
}

fn one_of<'v>(query: &mut TenantQuery<'_>, expression: &str, values: impl IntoIterator<Item = &'v str>) -> String {
    let conditions = query.one_of(expression, values);
    if conditions.is_empty() { "false".to_owned() } else { format!("({})", conditions.join(" OR ")) }
}

/// Anchored at both ends; a dot matches no newline, which the server's own default is otherwise.
fn regular_expression(pattern: &Pattern) -> String {
    format!(r"(?-s)\A(?:{})\z", pattern.text())
}
