//! One connection from its beginning to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tower::Service as _;

use super::activity::{Activity, AnswerBody};
use super::config::HttpConfig;
use super::stream::WatchedStream;
use crate::lifecycle::StopSignal;

/// Largest head of a request, and the largest piece in which a body is read, in bytes.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Largest head of an HTTP/2 request, in bytes.
const HTTP2_MAX_HEAD_BYTES: u32 = 16 * 1024;

/// Bytes of one HTTP/2 request, and of all of a connection, that a client may send before they are read.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Time for a connection without requests to say goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// What all connections of a port have in common.
pub(super) struct ConnectionSettings {
    protocol: auto::Builder<TokioExecutor>,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
}

impl ConnectionSettings {
    pub(super) fn new(config: &HttpConfig) -> Self {
        let mut protocol = auto::Builder::new(TokioExecutor::new());
        protocol
            .http1()
            .timer(TokioTimer::new())
            // Hyper's own would also cut connections that idle between requests, and does not watch the first bytes, by
            // which it tells HTTP/1 from HTTP/2. `Activity` watches all of it.
            .header_read_timeout(None)
            .max_buf_size(READ_BUFFER_BYTES);
        protocol
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.http2.max_concurrent_streams.get())
            .max_header_list_size(HTTP2_MAX_HEAD_BYTES)
            .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(config.http2.ping_interval.get())
            .keep_alive_timeout(config.http2.ping_timeout.get());
        Self {
            protocol,
            header_timeout: config.header_timeout.get(),
            idle_timeout: config.idle_timeout.get(),
            write_timeout: config.write_timeout.get(),
        }
    }
}

/// Serves a connection until its client leaves, is too slow, or the process stops and its requests are answered.
pub(super) async fn serve(stream: TcpStream, routes: Router, settings: Arc<ConnectionSettings>, mut stop: StopSignal) {
    // Answers are written whole: waiting for more to send only costs time. A socket that refuses is about to fail anyway.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::new(settings.header_timeout, settings.idle_timeout));
    let stream = WatchedStream::new(stream, Arc::clone(&activity), settings.write_timeout);
    let service = service_fn(|request| answer(request, routes.clone(), Arc::clone(&activity)));
    let mut connection = pin!(settings.protocol.serve_connection(TokioIo::new(stream), service));
    let mut goodbye_began: Option<Instant> = None;
    loop {
        // No longer than this, because a head may begin while we sleep, and has less time than an idle connection.
        let look_again = Instant::now() + settings.header_timeout;
        let wake = patience_ends(&activity, goodbye_began).map_or(look_again, |ends| ends.min(look_again));
        tokio::select! {
            // In this order, so that an answer that is done but not written is written before time is looked at.
            biased;
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection failed");
                }
                return;
            }
            () = stop.requested(), if goodbye_began.is_none() => {}
            () = sleep_until(wake) => {
                if patience_ends(&activity, goodbye_began).is_none_or(|ends| ends > Instant::now()) {
                    continue;
                }
                if goodbye_began.is_some() {
                    return;
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        goodbye_began = Some(Instant::now());
    }
}

/// When the client has been waited for long enough; `None` while it waits for an answer itself.
fn patience_ends(activity: &Activity, goodbye_began: Option<Instant>) -> Option<Instant> {
    let deadline = activity.deadline()?;
    match goodbye_began {
        Some(began) => Some(activity.idle_since().max(began) + GOODBYE_TIMEOUT),
        None => Some(deadline),
    }
}

async fn answer(
    request: http::Request<Incoming>,
    mut routes: Router,
    activity: Arc<Activity>,
) -> Result<http::Response<AnswerBody>, Infallible> {
    let in_flight = activity.request_began(request.version());
    // A router is always ready.
    let response = routes.call(request.map(axum::body::Body::new)).await?;
    Ok(response.map(|body| AnswerBody::new(body, in_flight)))
}
