//! From what was asked to what is asked of a store: here tenant, retention and the time of day come in.

use luminate_model::time::{END_TIMESTAMP, MIN_TIMESTAMP};
use luminate_model::{TenantId, TenantRetention, TimeRange};
use luminate_storage::{AggregateRequest, ScanColumns, ScanRequest, Step};

use crate::cursor::{Cursor, Position, fingerprint};
use crate::error::QueryError;
use crate::limits::RequestLimits;
use crate::request::{AggregateQuery, Align, QueryKind, QueryRequest, RawQuery, RequestedStep, RequestedTime};

/// What is to be done for a query.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Plan {
    /// Groups with their values.
    Aggregate(AggregatePlan),
    /// A page of samples.
    Raw(RawPlan),
}

/// What is to be done for an aggregate.
#[derive(Debug, Clone)]
pub struct AggregatePlan {
    /// What is asked of the store. Its time is not empty, and its steps cut it into a bounded number of buckets.
    pub request: AggregateRequest,
    /// Most values of the answer, over all groups and buckets.
    pub values: usize,
}

/// What is to be done for raw samples.
#[derive(Debug, Clone)]
pub struct RawPlan {
    /// What is asked of the store.
    pub scan: ScanRequest,
    /// Most samples to answer, at least 1.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<Position>,
    /// What the cursors of this request are bound to.
    pub fingerprint: u64,
}

/// For whom and when a query is answered.
#[derive(Debug, Clone)]
pub struct Asker<'a> {
    /// Whose samples are queried: the tenant of the token.
    pub tenant: &'a TenantId,
    /// The tenant's retention as set today.
    pub retention: TenantRetention,
    /// The time at which the query is asked, ms since 1970.
    pub now: i64,
}

/// Plans a query.
///
/// # Errors
/// [`QueryError`] of kind [`Request`](crate::ErrorKind::Request).
pub fn plan(request: &QueryRequest, asker: &Asker<'_>, limits: &RequestLimits) -> Result<Plan, QueryError> {
    let mut scan = ScanRequest::new(asker.tenant.clone(), request.metric.as_str(), asker.now);
    scan.filters.clone_from(&request.filters);
    scan.retention = asker.retention.clone();
    scan.time = resolve(request.time, asker.now)?;
    match &request.kind {
        QueryKind::Aggregate(query) => plan_aggregate(scan, query, limits).map(Plan::Aggregate),
        QueryKind::Raw(query) => plan_raw(scan, query, fingerprint(request, asker.tenant)).map(Plan::Raw),
    }
}

fn resolve(time: RequestedTime, now: i64) -> Result<TimeRange, QueryError> {
    let now = now.clamp(MIN_TIMESTAMP + 1, END_TIMESTAMP);
    let (start, end) = match time {
        RequestedTime::Relative(duration) => (now.saturating_sub(duration).max(MIN_TIMESTAMP), now),
        RequestedTime::Absolute { start, end } => (start, end.unwrap_or(now)),
    };
    if start >= end {
        return Err(QueryError::TimeRangeInvalid("start must be in the past where end is not given".to_owned()));
    }
    Ok(TimeRange { start, end })
}

fn plan_aggregate(
    scan: ScanRequest,
    query: &AggregateQuery,
    limits: &RequestLimits,
) -> Result<AggregatePlan, QueryError> {
    let step = query.step.map(|step| plan_step(step, scan.time, limits)).transpose()?;
    let mut request = AggregateRequest::new(scan, query.function.clone());
    request.group_by.clone_from(&query.group_by);
    request.step = step;
    request.order = query.order;
    request.limit = Some(query.limit);
    Ok(AggregatePlan { request, values: limits.values })
}

fn plan_step(step: RequestedStep, time: TimeRange, limits: &RequestLimits) -> Result<Step, QueryError> {
    let origin = match step.align {
        Align::Epoch => 0,
        Align::Start => time.start,
    };
    let step = Step { width: step.width, origin };
    let buckets = step.buckets(time);
    if buckets > limits.buckets {
        return Err(QueryError::TooLarge {
            field: "timeRange divided by step".to_owned(),
            unit: "buckets",
            size: buckets,
            limit: limits.buckets,
        });
    }
    Ok(step)
}

fn plan_raw(mut scan: ScanRequest, query: &RawQuery, fingerprint: u64) -> Result<RawPlan, QueryError> {
    scan.columns = ScanColumns { all_dimensions: true, timestamps: true, values: true, ..ScanColumns::default() };
    let mut after = None;
    if let Some(text) = &query.cursor {
        let cursor = Cursor::decode(text, fingerprint)?;
        // A relative range goes on where the first page's range ended, else samples would be shown that were not there.
        scan.time = TimeRange { start: cursor.position.timestamp, end: cursor.end };
        after = Some(cursor.position);
    }
    Ok(RawPlan { scan, limit: query.limit, after, fingerprint })
}

#[cfg(test)]
mod tests;
