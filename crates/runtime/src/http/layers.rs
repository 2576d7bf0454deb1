//! The middleware of every route.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, StatusCode};
use tracing::Instrument as _;

use super::codes;
use super::problem::{AnsweredCode, Problem};
use super::unread::discard_unread_body;
use crate::lifecycle::supervisor::panic_message;
use crate::telemetry::Metrics;

/// Carries the id of a request, to and fro.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a client, in bytes: it is written to logs.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The status label of requests whose client left before the answer: 499, as nginx has it.
static CLIENT_LEFT: LazyLock<StatusCode> =
    LazyLock::new(|| StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT));

/// The path label of requests that no route fits.
const UNMATCHED: &str = "unmatched";

/// The id of a request: the client's own where it sent a usable one. Handlers find it in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Puts the middleware that every process has around the routes, and answers 404 and 405 as problems. Called once, by whoever
/// composes the routes of a port.
pub fn with_standard_layers(routes: Router, metrics: &Metrics) -> Router {
    let routes = routes
        .fallback(|| async { Problem::new(&codes::NOT_FOUND).detail("nothing answers at this path") })
        .method_not_allowed_fallback(|| async {
            Problem::new(&codes::METHOD_NOT_ALLOWED).detail("this path does not take this method")
        });
    with_layers(routes, metrics)
}

/// The middleware alone, for routes that say themselves what they answer where none fits.
pub(super) fn with_layers(routes: Router, metrics: &Metrics) -> Router {
    routes
        // From the inside out: what stands last sees a request first and an answer last.
        //
        // An early answer reaches a client that is still sending.
        .layer(from_fn(discard_unread_body))
        // A panic of a handler is an answer like any other to the layers outside.
        .layer(from_fn(answer_panics))
        // Counts and times what the handler and the layer above answered.
        .layer(from_fn_with_state(metrics.clone(), observe))
        // Browsers shall not guess at types.
        .layer(from_fn(forbid_sniffing))
        // Outermost, so that everything inside runs under the id, and every answer has it.
        .layer(from_fn(identify))
}

async fn answer_panics(request: Request, next: Next) -> Response {
    let mut handling = pin!(next.run(request));
    let outcome = poll_fn(|context| {
        // What the handler has left half done is dropped with it; nothing of it is used again.
        match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    });
    outcome.await.unwrap_or_else(|panic: Box<dyn Any + Send>| {
        tracing::error!(reason = panic_message(panic.as_ref()), "a handler panicked");
        codes::internal().into_response()
    })
}

async fn observe(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut observation = Observation {
        metrics: &metrics,
        path: route.as_ref().map_or(UNMATCHED, MatchedPath::as_str),
        method: method_label(request.method()),
        began: Instant::now(),
        status: *CLIENT_LEFT,
        code: None,
    };
    let response = next.run(request).await;
    observation.status = response.status();
    observation.code = response.extensions().get().map(|AnsweredCode(code)| *code);
    response
}

/// What is known of a request. Counted when it is dropped, because a client that leaves takes the request's future with it.
struct Observation<'a> {
    metrics: &'a Metrics,
    path: &'a str,
    method: &'static str,
    began: Instant,
    status: StatusCode,
    code: Option<&'static str>,
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        let Self { metrics, path, method, began, status, code } = self;
        let elapsed = began.elapsed();
        metrics.http_requests.with([status.as_str(), path, method]).inc();
        metrics.http_request_duration.with([path, method]).observe(elapsed.as_secs_f64());
        if let Some(code) = code {
            metrics.http_problems.with([code]).inc();
        }
        tracing::debug!(
            path,
            method,
            status = status.as_u16(),
            code,
            elapsed_us = elapsed.as_micros() as u64,
            "request answered"
        );
    }
}

async fn forbid_sniffing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn identify(mut request: Request, next: Next) -> Response {
    let id = request.headers().get(X_REQUEST_ID).and_then(usable_id).unwrap_or_else(new_id);
    request.extensions_mut().insert(id.clone());
    let span = tracing::debug_span!("request", id = id.as_str());
    let response = next.run(request).instrument(span).await;
    with_request_id(response, &id)
}

/// Writes the id into the answer: the header, and the `instance` of a problem.
fn with_request_id(mut response: Response, id: &RequestId) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() {
        let problem = Arc::unwrap_or_clone(problem).instance(format!("urn:luminate:request:{}", id.as_str()));
        let (parts, _) = response.into_parts();
        let mut rewritten = problem.into_response();
        rewritten.extensions_mut().remove::<Arc<Problem>>();
        let (_, body) = rewritten.into_parts();
        response = Response::from_parts(parts, body);
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// The client's id, if it can stand in a log line, a header and a URI.
fn usable_id(value: &HeaderValue) -> Option<RequestId> {
    let text = value.to_str().ok()?;
    let fits = !text.is_empty()
        && text.len() <= MAX_REQUEST_ID_BYTES
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    fits.then(|| RequestId(Arc::from(text)))
}

/// An id that no other request has: when the process started, and a number.
fn new_id() -> RequestId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u64> = LazyLock::new(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        (since.as_nanos() as u64) ^ (u64::from(std::process::id()) << 48)
    });
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    RequestId(Arc::from(format!("{:016x}-{number:x}", *PROCESS)))
}

/// Methods that clients make up must not make label values.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
