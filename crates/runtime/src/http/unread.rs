//! What a handler leaves unread of a request's body.
//!
//! An answer that comes before the body was read (401, 413, 429) reaches its client only if somebody goes on reading: else the
//! kernel resets the connection, and what the client sees is a broken pipe instead of the reason.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::header::EXPECT;
use http::{StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, SizeHint};

/// How much is read and thrown away, in bytes. Who sends more is cut off.
const MAX_DISCARDED_BYTES: usize = 32 * 1024 * 1024;

/// How long it may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads what the handler has left unread and throws it away, while the answer is sent. Nothing of it is kept in memory.
pub(super) async fn discard_unread_body(request: Request, next: Next) -> Response {
    // HTTP/2 ends one request without ending the connection; a client that waits for `100 Continue` has sent nothing.
    let can_be_left = request.version() <= Version::HTTP_11
        && !request.headers().contains_key(EXPECT)
        && !request.body().is_end_stream();
    if !can_be_left {
        return next.run(request).await;
    }
    let left = Left::default();
    let response = next.run(request.map(|body| Body::new(Returning::new(body, left.clone())))).await;
    // Whoever was too slow is not waited for again.
    if response.status() != StatusCode::REQUEST_TIMEOUT
        && let Some(body) = left.take()
    {
        tokio::spawn(async move {
            // Whether it comes to an end or not: dropping it lets the connection go on, or closes it.
            let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard(body)).await;
        });
    }
    response
}

async fn discard(mut body: Body) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > MAX_DISCARDED_BYTES {
            return;
        }
    }
}

/// Where a body goes that was not read to its end.
#[derive(Clone, Default)]
struct Left(Arc<Mutex<Option<Body>>>);

impl Left {
    fn put(&self, body: Body) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body that comes back when it is dropped before its end.
struct Returning {
    /// `None` once it has ended.
    body: Option<Body>,
    left: Left,
}

impl Returning {
    fn new(body: Body, left: Left) -> Self {
        Self { body: Some(body), left }
    }
}

impl hyper::body::Body for Returning {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.left.put(body);
        }
    }
}
