//! The routes as OpenAPI describes them. The types here are read by no code: they show the shape of what
//! `luminate_query` reads and writes; a test holds examples of both against each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

/// The routes of the query-api.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    paths(
        crate::query::query,
        crate::catalogue::metrics,
        crate::catalogue::dimensions,
        crate::catalogue::dimension_values,
    ),
    tags(
        (name = "query", description = "Questions about samples"),
        (name = "catalogue", description = "What there is to query"),
    ),
)]
struct Document;

/// Headers of every query.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by the derive alone")]
pub struct ReceiptHeaders {
    /// The receipt of a write request: the answer waits until all of it is stored.
    #[param(rename = "X-Luminate-Receipt", value_type = Option<String>, max_length = 2048)]
    receipt: Option<String>,
    /// How long to wait for the receipt, as in `2s`.
    #[param(rename = "X-Luminate-Receipt-Timeout", value_type = Option<String>)]
    receipt_timeout: Option<String>,
}

/// A query. `metricName` and `timeRange` belong to every type, `aggregation`, `of`, `groupBy`, `step`, `align`, `orderBy` and
/// `order` to `aggregate`, `cursor` to `raw`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Query)]
pub struct QueryBody {
    /// What is asked.
    query_type: QueryTypeBody,
    /// The metric's name.
    metric_name: String,
    /// The time asked for.
    time_range: TimeRangeBody,
    /// All must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    filters: Vec<FilterBody>,
    /// `avg`, `sum`, `min`, `max`, `count`, `stddev`, `distinct`, `first`, `last`, or `p` with a number from 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = r"^(avg|sum|min|max|count|stddev|distinct|first|last|p[0-9]+(\.[0-9]*)?)$", example = "p95")]
    aggregation: Option<String>,
    /// With `distinct`: the dimension whose values are counted, in place of series.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// Keys of the dimensions that groups are formed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_by: Option<Vec<String>>,
    /// Width of buckets of time: a whole number with `ms`, `s`, `m`, `h`, `d` or `w`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d|w)$", example = "5m")]
    step: Option<String>,
    /// Where buckets begin: on multiples of the step since 1970 (the default), or on the start of the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    align: Option<AlignBody>,
    /// By what groups are ordered: their dimensions (the default) or their value over the whole range.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_by: Option<OrderByBody>,
    /// `asc` is the default by group, `desc` by value.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderBody>,
    /// Most groups or samples to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// The cursor of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueryType)]
pub enum QueryTypeBody {
    /// A value for each group, or for each group and bucket of time.
    Aggregate,
    /// The samples themselves, ordered by timestamp, dimensions and value.
    Raw,
}

/// A range of time, without its end: `relative` alone, or `start` with or without `end`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TimeRange)]
pub struct TimeRangeBody {
    /// The last so much time before now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]+(ms|s|m|h|d|w)$", example = "24h")]
    relative: Option<String>,
    /// The first moment inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<InstantBody>,
    /// The first moment after; now unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<InstantBody>,
}

/// A moment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Instant)]
pub enum InstantBody {
    /// Milliseconds since 1970.
    Milliseconds(i64),
    /// As in RFC 3339.
    Rfc3339(String),
}

/// A condition on a dimension. To it a missing dimension is the empty string.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Filter)]
pub struct FilterBody {
    /// The dimension's key.
    dimension: String,
    /// How the value is compared.
    op: FilterOpBody,
    /// A string; a list of strings for `in` and `notIn`; for `exists` true (the default) or false.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<FilterValueBody>,
}

/// How a dimension's value is compared. `regex` is RE2's language, anchored at both ends.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FilterOp)]
pub enum FilterOpBody {
    /// The same string.
    Eq,
    /// Another string.
    Ne,
    /// One of the list.
    In,
    /// None of the list.
    NotIn,
    /// There, or missing.
    Exists,
    /// Begins with the string.
    Prefix,
    /// Matches as a whole.
    Regex,
}

/// What a dimension's value is compared with.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = FilterValue)]
pub enum FilterValueBody {
    /// For `eq`, `ne`, `prefix`, `regex`.
    Text(String),
    /// For `in`, `notIn`.
    List(Vec<String>),
    /// For `exists`.
    Flag(bool),
}

/// Where buckets begin.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Align)]
pub enum AlignBody {
    /// On multiples of the step since 1970.
    Epoch,
    /// On the start of the range.
    Start,
}

/// By what groups are ordered.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OrderBy)]
pub enum OrderByBody {
    /// By their dimensions, a missing one last.
    Group,
    /// By their value over the whole range.
    Value,
}

/// Which way.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Order)]
pub enum OrderBody {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// The answer to a query: `results` for `aggregate`, `samples` for `raw`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Answer)]
pub struct AnswerBody {
    /// The groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<Vec<GroupBody>>,
    /// The samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<Vec<SampleBody>>,
    /// While there are more samples: send it with the same request.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// Whether a limit left groups or samples out.
    truncated: bool,
    /// The receipt of everything that was readable when the query began.
    #[schema(required)]
    watermark: Option<String>,
    /// What the query cost.
    stats: StatsBody,
}

/// One group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Group)]
pub struct GroupBody {
    /// The dimensions of `groupBy`; null where missing.
    group: BTreeMap<String, Option<String>>,
    /// Without `step`: the value. Null where it is too large for a double.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// With `step`: start of each bucket in ms since 1970, and its value, ascending; buckets without samples are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<(i64, Option<f64>)>>,
}

/// One sample.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RawSample)]
pub struct SampleBody {
    /// Milliseconds since 1970.
    timestamp: i64,
    /// The value.
    value: f64,
    /// Keys and values.
    dimensions: BTreeMap<String, String>,
}

/// What a query cost.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Stats)]
pub struct StatsBody {
    /// Samples that were looked at after whole blocks were skipped.
    samples_read: u64,
    /// Series that were looked at, counted once a block; 0 where the store does not tell.
    series_read: u64,
    /// Bytes read from the store, as it tells them: compressed or not.
    bytes_read: u64,
    /// Pages read from the store; 0 where the store does not tell.
    pages_read: u64,
    /// Blocks that were opened; 0 where the store does not tell.
    blocks_read: u64,
    /// Blocks that a summary or filter ruled out; 0 where the store does not tell.
    blocks_skipped: u64,
    /// Wall time in ms.
    elapsed_ms: u64,
}

/// An error (RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Where the code is described.
    #[serde(rename = "type")]
    problem_type: String,
    /// What is wrong, the same for every occurrence.
    title: String,
    /// The status of the answer.
    status: u16,
    /// The stable code.
    code: String,
    /// What is wrong this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
}
