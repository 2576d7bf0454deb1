//! What a connection is doing, and since when: decides how long it may go on doing it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// No moment.
const NEVER: u64 = u64::MAX;

/// What one connection is doing. Shared by its stream, which sees bytes, and its service, which sees requests.
#[derive(Debug)]
pub(super) struct Activity {
    accepted: Instant,
    header_timeout: Duration,
    idle_timeout: Duration,
    /// Requests whose answers are not sent yet.
    in_flight: AtomicUsize,
    /// When the first byte of a head came, in ms after `accepted`; [`NEVER`] between requests.
    head_began: AtomicU64,
    /// When the last answer was sent, in ms after `accepted`; [`NEVER`] before the first.
    idle_since: AtomicU64,
    /// Whether bytes of an answer wait for the client to read. They may outlive their request, whose body is done when the
    /// protocol has taken it over.
    write_waits: AtomicBool,
    /// HTTP/2 sends bytes that begin no request, so there they say nothing about heads.
    is_http2: AtomicBool,
}

/// One request in flight; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Activity {
    pub(super) fn new(header_timeout: Duration, idle_timeout: Duration) -> Self {
        Self {
            accepted: Instant::now(),
            header_timeout,
            idle_timeout,
            in_flight: AtomicUsize::new(0),
            head_began: AtomicU64::new(NEVER),
            idle_since: AtomicU64::new(NEVER),
            write_waits: AtomicBool::new(false),
            is_http2: AtomicBool::new(false),
        }
    }

    /// Bytes came from the client.
    pub(super) fn bytes_arrived(&self) {
        if !self.has_requests() && !self.is_http2.load(Ordering::Relaxed) {
            // Only the first byte counts: one byte every few seconds is no progress.
            let _ = self.head_began.compare_exchange(NEVER, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// A whole head has come, and its request is being handled.
    pub(super) fn request_began(self: &Arc<Self>, version: http::Version) -> InFlight {
        self.is_http2.store(version == http::Version::HTTP_2, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_began.store(NEVER, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Bytes of an answer wait for the client to read, or do so no longer.
    pub(super) fn set_write_waits(&self, waits: bool) {
        self.write_waits.store(waits, Ordering::Relaxed);
    }

    fn has_requests(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Whether the client has an answer to come. Then other deadlines watch over the connection: those of bodies and writes.
    pub(super) fn is_busy(&self) -> bool {
        self.has_requests() || self.write_waits.load(Ordering::Relaxed)
    }

    /// When the last answer was done with, or the connection began.
    pub(super) fn idle_since(&self) -> Instant {
        match self.idle_since.load(Ordering::Relaxed) {
            NEVER => self.accepted,
            since => self.accepted + Duration::from_millis(since),
        }
    }

    /// When the connection has waited for its client long enough; `None` while it is the client who waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.is_busy() {
            return None;
        }
        let head_began = self.head_began.load(Ordering::Relaxed);
        let idle_since = self.idle_since.load(Ordering::Relaxed);
        let (since, patience) = match (head_began, idle_since) {
            // Nothing was asked yet. A head that has begun counts from the beginning of the connection as well.
            (_, NEVER) => (0, self.header_timeout),
            (NEVER, idle_since) => (idle_since, self.idle_timeout),
            (head_began, _) => (head_began, self.header_timeout),
        };
        Some(self.accepted + Duration::from_millis(since) + patience)
    }

    fn now(&self) -> u64 {
        self.accepted.elapsed().as_millis() as u64
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.now(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer: its request is in flight until it is sent.
#[derive(Debug)]
pub(super) struct AnswerBody {
    body: axum::body::Body,
    _in_flight: InFlight,
}

impl AnswerBody {
    pub(super) fn new(body: axum::body::Body, in_flight: InFlight) -> Self {
        Self { body, _in_flight: in_flight }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::Version;
    use tokio::time::advance;

    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    fn new() -> Arc<Activity> {
        Arc::new(Activity::new(HEADER, IDLE))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_must_ask_something_soon() {
        let activity = new();
        let accepted = Instant::now();
        assert_eq!(activity.deadline(), Some(accepted + HEADER));
        advance(Duration::from_secs(9)).await;
        activity.bytes_arrived();
        assert_eq!(activity.deadline(), Some(accepted + HEADER), "a byte buys no time");
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_it_may_idle_and_a_head_must_come_soon() {
        let activity = new();
        let request = activity.request_began(Version::HTTP_11);
        assert_eq!(activity.deadline(), None);
        advance(Duration::from_secs(100)).await;
        activity.bytes_arrived();
        drop(request);
        let idle_since = Instant::now();
        assert_eq!(activity.deadline(), Some(idle_since + IDLE));
        advance(Duration::from_secs(60)).await;
        activity.bytes_arrived();
        let head_began = Instant::now();
        assert_eq!(activity.deadline(), Some(head_began + HEADER));
        advance(Duration::from_secs(5)).await;
        activity.bytes_arrived();
        assert_eq!(activity.deadline(), Some(head_began + HEADER));
        drop(activity.request_began(Version::HTTP_11));
        assert_eq!(activity.deadline(), Some(Instant::now() + IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_http2_begin_no_head() {
        let activity = new();
        drop(activity.request_began(Version::HTTP_2));
        let idle_since = Instant::now();
        advance(Duration::from_secs(30)).await;
        activity.bytes_arrived();
        assert_eq!(activity.deadline(), Some(idle_since + IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_yet_keeps_it_busy() {
        let activity = new();
        activity.set_write_waits(true);
        drop(activity.request_began(Version::HTTP_11));
        assert_eq!(activity.deadline(), None);
        activity.set_write_waits(false);
        assert_eq!(activity.deadline(), Some(Instant::now() + IDLE));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_of_several_requests_ends_the_work() {
        let activity = new();
        let (one, other) = (activity.request_began(Version::HTTP_2), activity.request_began(Version::HTTP_2));
        drop(one);
        assert_eq!(activity.deadline(), None);
        drop(other);
        assert!(activity.deadline().is_some());
    }
}
