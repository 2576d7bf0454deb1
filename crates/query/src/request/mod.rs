//! The native query request.
//!
//! Read in two steps, so that every fault names its field: first the object with its fields unread (unknown and doubled
//! ones are faults), then each field by itself.

mod aggregate;
mod fields;
mod filters;
mod time;

use luminate_storage::{AggregateFunction, DimensionFilter, GroupOrder};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::QueryError;
use crate::limits::RequestLimits;

pub use time::{RequestedTime, parse_duration, parse_instant};

/// A query as it was asked. It says nothing of a tenant: that comes from the token, at [`plan`](crate::plan()).
#[derive(Debug, Clone, PartialEq)]
pub struct QueryRequest {
    /// The metric's name.
    pub metric: String,
    /// The time asked for.
    pub time: RequestedTime,
    /// All must hold.
    pub filters: Vec<DimensionFilter>,
    /// What is asked of the samples.
    pub kind: QueryKind,
}

/// The kinds of query.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum QueryKind {
    /// One value a group, or one a group and bucket.
    Aggregate(AggregateQuery),
    /// The samples themselves, page by page.
    Raw(RawQuery),
}

/// A summary of values by group.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateQuery {
    /// What to compute.
    pub function: AggregateFunction,
    /// Keys of dimensions, none twice.
    pub group_by: Vec<String>,
    /// Buckets of time.
    pub step: Option<RequestedStep>,
    /// How groups are ordered.
    pub order: GroupOrder,
    /// Most groups to answer.
    pub limit: usize,
}

/// Buckets of time as they were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedStep {
    /// Width in ms, at least 1.
    pub width: i64,
    /// Where buckets begin.
    pub align: Align,
}

/// Where buckets begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// On multiples of the step since 1970.
    Epoch,
    /// On the start of the range.
    Start,
}

/// Samples, ordered by timestamp, canonical dimensions and value.
#[derive(Debug, Clone, PartialEq)]
pub struct RawQuery {
    /// Most samples to answer.
    pub limit: usize,
    /// The cursor of the page before.
    pub cursor: Option<String>,
}

/// The request's fields, unread.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    query_type: Option<&'a RawValue>,
    metric_name: Option<&'a RawValue>,
    time_range: Option<&'a RawValue>,
    filters: Option<&'a RawValue>,
    aggregation: Option<&'a RawValue>,
    of: Option<&'a RawValue>,
    group_by: Option<&'a RawValue>,
    step: Option<&'a RawValue>,
    align: Option<&'a RawValue>,
    order_by: Option<&'a RawValue>,
    order: Option<&'a RawValue>,
    limit: Option<&'a RawValue>,
    cursor: Option<&'a RawValue>,
}

impl QueryRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// [`QueryError`] of kind [`Request`](crate::ErrorKind::Request): the first fault found, by field, with the limit and
    /// the size where one was exceeded.
    pub fn parse(body: &[u8], limits: &RequestLimits) -> Result<Self, QueryError> {
        let body: Body<'_> = fields::object(body)?;
        let query_type = fields::required_string("queryType", body.query_type, "\"aggregate\" or \"raw\"")?;
        if query_type != "aggregate" && query_type != "raw" {
            return Err(QueryError::TypeUnsupported {
                found: luminate_model::validation::excerpt(&query_type).to_owned(),
            });
        }
        let metric = fields::required_string("metricName", body.metric_name, "the metric's name")?;
        fields::check_size(
            "metricName",
            "bytes",
            metric.len(),
            luminate_model::validation::SampleLimits::RECORD.name_bytes,
        )?;
        if metric.is_empty() {
            return Err(fields::invalid("metricName", "the metric's name, not empty", "\"\""));
        }
        let time = time::parse_range(body.time_range)?;
        let filters = filters::parse(body.filters, limits)?;
        let kind = match query_type.as_str() {
            "raw" => QueryKind::Raw(raw(&body, limits)?),
            _ => QueryKind::Aggregate(aggregate::parse(&body, limits)?),
        };
        Ok(Self { metric, time, filters, kind })
    }
}

fn raw(body: &Body<'_>, limits: &RequestLimits) -> Result<RawQuery, QueryError> {
    let foreign = [
        ("aggregation", body.aggregation),
        ("of", body.of),
        ("groupBy", body.group_by),
        ("step", body.step),
        ("align", body.align),
        ("orderBy", body.order_by),
        ("order", body.order),
    ];
    fields::refuse("raw", &foreign)?;
    let limit = fields::limit(body.limit, limits.rows)?.unwrap_or(limits.default_samples.min(limits.rows));
    let cursor =
        body.cursor.map(|cursor| fields::string("cursor", cursor, "the cursor of the page before")).transpose()?;
    Ok(RawQuery { limit, cursor })
}

#[cfg(test)]
mod tests;
