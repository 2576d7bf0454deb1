//! What a write request is answered.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use luminate_model::Receipt;
use luminate_runtime::http::{Problem, ProblemItem};
use serde::Serialize;

use crate::problems;
use crate::rejects::Rejects;

/// The answer to a write request of which at least one sample was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteAnswer {
    /// Samples that are durable now.
    pub accepted: u64,
    /// Samples that are not stored and never will be.
    pub rejected: u64,
    /// The first 100 rejected samples, by index.
    pub errors: Vec<ProblemItem>,
    /// `true` where there are more; else absent.
    #[serde(skip_serializing_if = "is_false")]
    pub errors_truncated: bool,
    /// What a query sends as `X-Luminate-Receipt` to see these samples. Absent where it would exceed 2 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl WriteAnswer {
    /// Says what became of the samples.
    #[must_use]
    pub fn new(accepted: u64, rejects: Rejects, receipt: &Receipt) -> Self {
        Self {
            accepted,
            rejected: rejects.total(),
            errors_truncated: rejects.is_truncated(),
            errors: rejects.into_items(),
            receipt: receipt.encode(),
        }
    }
}

impl IntoResponse for WriteAnswer {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self)).into_response()
    }
}

/// The answer to a write request without a valid sample.
#[must_use]
pub fn nothing_valid(rejects: Rejects) -> Problem {
    let rejected = rejects.total();
    if rejected == 0 {
        return Problem::new(&problems::NO_SAMPLES).detail("the request has no samples");
    }
    let problem = Problem::new(&problems::NO_VALID_SAMPLES)
        .detail(format!("none of the {rejected} samples is valid"))
        .member("accepted", 0)
        .member("rejected", rejected);
    let problem = if rejects.is_truncated() { problem.member("errorsTruncated", true) } else { problem };
    problem.items(rejects.into_items())
}
