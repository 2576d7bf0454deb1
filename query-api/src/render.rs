//! Render: the answer becomes a body.

use axum::body::Body;
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use luminate_runtime::http::{Problem, codes};
use serde::Serialize;

/// Writes an answer as JSON. A large one is written where it holds up no other task.
///
/// # Errors
/// [`Problem`] `internal` where the answer cannot be written, which is a fault of ours.
pub(crate) async fn json<T: Serialize + Send + 'static>(answer: T, is_large: bool) -> Result<Response, Problem> {
    let written = if is_large {
        tokio::task::spawn_blocking(move || serde_json::to_vec(&answer)).await.map_err(|_| codes::internal())?
    } else {
        serde_json::to_vec(&answer)
    };
    let body = written.map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        codes::internal()
    })?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
