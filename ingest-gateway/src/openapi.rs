//! The routes as OpenAPI describes them. The types here are read by no code of the product, because bodies are read without
//! them; a test holds them against what the gateway takes and answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

/// The routes of the gateway.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(paths(crate::write::write), tags((name = "write", description = "Samples in")))]
struct Document;

/// Headers of a write request.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by the derive alone")]
pub struct WriteHeaders {
    /// How the body is compressed: `gzip`, `zstd` or `identity`.
    #[param(rename = "Content-Encoding", value_type = Option<String>)]
    content_encoding: Option<String>,
    /// Chosen by the client: requests of a tenant with the same key and body are stored once within 10 minutes. The same key
    /// with another body goes to the dead letters.
    #[param(rename = "Idempotency-Key", value_type = Option<String>, min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
}

/// A write request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WriteRequest)]
pub struct WriteBody {
    /// The samples; each is judged by itself.
    metrics: Vec<MetricBody>,
}

/// A sample.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Metric)]
pub struct MetricBody {
    /// The metric's name: no control characters, 256 bytes at most unless configured otherwise.
    #[schema(min_length = 1, example = "api_latency")]
    name: String,
    /// Milliseconds since 1970, an integer in the years 1900 to 2299; an hour into the future at most unless configured
    /// otherwise.
    #[schema(example = 1_735_603_200_000_i64)]
    timestamp: i64,
    /// A number that fits a 64-bit float.
    #[schema(example = 145.5)]
    value: f64,
    /// What distinguishes the series of the metric; an empty value is a missing dimension. 64 at most, keys of 256 bytes and
    /// values of 2048 bytes at most unless configured otherwise.
    #[serde(default)]
    #[schema(example = json!({"customer_id": "cust_123", "endpoint": "/api/users"}))]
    dimensions: BTreeMap<String, String>,
}

/// What became of a write request of which at least one sample was stored.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WriteAnswer)]
pub struct WriteAnswerBody {
    /// Samples that are durable now.
    accepted: u64,
    /// Samples that are not stored and never will be.
    rejected: u64,
    /// The first 100 rejected samples, by index.
    errors: Vec<SampleErrorBody>,
    /// There are more rejected samples than `errors` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errors_truncated: Option<bool>,
    /// Sent as `X-Luminate-Receipt`, it lets a query wait until these samples are stored. Absent where it would exceed 2 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048)]
    receipt: Option<String>,
}

/// Why a sample was rejected.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SampleError)]
pub struct SampleErrorBody {
    /// The sample's position: in `metrics`, or among the lines that are not blank.
    index: u64,
    /// The stable code.
    #[schema(example = "invalid_value")]
    code: String,
    /// What is wrong with it.
    detail: String,
}

/// An error of a whole write request (RFC 9457).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = WriteProblem)]
pub struct WriteProblemBody {
    /// Where the code is described.
    #[serde(rename = "type")]
    problem_type: String,
    /// What is wrong, the same for every occurrence.
    title: String,
    /// The status of the answer.
    status: u16,
    /// The stable code.
    #[schema(example = "no_valid_samples")]
    code: String,
    /// What is wrong this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The occurrence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// With `no_valid_samples`: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted: Option<u64>,
    /// With `no_valid_samples`: how many samples were rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejected: Option<u64>,
    /// With `no_valid_samples`: the first 100 rejected samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<SampleErrorBody>,
    /// There are more rejected samples than `errors` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    errors_truncated: Option<bool>,
    /// With `malformed_json`: where, in bytes from the body's beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    /// With `malformed_json`: the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    /// With `malformed_json`: the byte in its line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<u64>,
    /// With a limit that was exceeded: the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// With `body_too_large`: the announced size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}
