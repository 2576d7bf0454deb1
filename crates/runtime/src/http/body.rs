//! A request's body, under a limit, a deadline and the budget of all.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use super::budget::{BudgetExhausted, MemoryBudget, MemoryPermit};
use super::codes;
use super::problem::Problem;

/// After how long a request that found no memory may come again.
const OVERLOADED_RETRY: Duration = Duration::from_secs(1);

/// What a body may take.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The largest body, in bytes, as sent.
    pub max_bytes: u64,
    /// How long the whole of it may take to arrive.
    pub deadline: Duration,
}

/// A body that was read, and its share of the budget, which goes back when this is dropped.
#[derive(Debug)]
pub struct LimitedBody {
    /// The bytes as sent.
    pub bytes: Bytes,
    /// The share of the budget. Grow it for what is made from the body, keep it as long as that lives.
    pub permit: MemoryPermit,
}

/// Reads a body to its end.
///
/// # Errors
/// A [`Problem`]: `body_too_large` (from `Content-Length` before anything is read), `body_timeout`, `body_incomplete`, or
/// `overloaded` where the budget is exhausted.
pub async fn read_limited(
    headers: &HeaderMap,
    body: Body,
    limits: &BodyLimits,
    budget: &MemoryBudget,
) -> Result<LimitedBody, Problem> {
    let announced = announced_bytes(headers);
    if let Some(size) = announced.filter(|size| *size > limits.max_bytes) {
        return Err(too_large(limits, Some(size)));
    }
    let permit = budget.take(announced.unwrap_or(0)).map_err(overloaded)?;
    let reading = collect(body, LimitedBody { bytes: Bytes::new(), permit }, limits);
    timeout_at(Instant::now() + limits.deadline, reading).await.unwrap_or_else(|_| {
        let detail = format!("the body had not arrived after {} s", limits.deadline.as_secs_f64());
        Err(Problem::new(&codes::BODY_TIMEOUT).detail(detail))
    })
}

async fn collect(mut body: Body, mut read: LimitedBody, limits: &BodyLimits) -> Result<LimitedBody, Problem> {
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|_| Problem::new(&codes::BODY_INCOMPLETE).detail("the body ended before it was complete"))?;
        // Trailers mean nothing here.
        let Ok(chunk) = frame.into_data() else { continue };
        let size = (read.bytes.len() + joined.len() + chunk.len()) as u64;
        if size > limits.max_bytes {
            return Err(too_large(limits, None));
        }
        if size > read.permit.bytes() {
            read.permit.grow(size - read.permit.bytes()).map_err(overloaded)?;
        }
        // Small bodies come in one piece, which is kept as it is.
        if read.bytes.is_empty() && joined.is_empty() {
            read.bytes = chunk;
            continue;
        }
        if joined.is_empty() {
            joined.reserve(usize::try_from(read.permit.bytes()).unwrap_or(0).max(read.bytes.len() + chunk.len()));
            joined.extend_from_slice(&std::mem::take(&mut read.bytes));
        }
        joined.extend_from_slice(&chunk);
    }
    if !joined.is_empty() {
        read.bytes = joined.freeze();
    }
    read.permit.shrink_to(read.bytes.len() as u64);
    Ok(read)
}

/// What `Content-Length` says. Hyper has refused it where it is no number, and holds the body to it.
fn announced_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: &BodyLimits, size: Option<u64>) -> Problem {
    let limit = limits.max_bytes;
    let problem = match size {
        Some(size) => Problem::new(&codes::BODY_TOO_LARGE)
            .detail(format!("the body has {size} bytes, and {limit} are allowed"))
            .member("size", size),
        None => {
            Problem::new(&codes::BODY_TOO_LARGE).detail(format!("the body has more than the {limit} bytes allowed"))
        }
    };
    problem.member("limit", limit)
}

/// What a request is answered that found no memory left.
pub(super) fn overloaded(_: BudgetExhausted) -> Problem {
    Problem::new(&codes::OVERLOADED)
        .detail("too many bytes of requests are in flight; try again in a moment")
        .retry_after(OVERLOADED_RETRY)
}

impl From<BudgetExhausted> for Problem {
    fn from(error: BudgetExhausted) -> Self {
        overloaded(error)
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
