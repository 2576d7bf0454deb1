//! Serves routes on a port: bind, accept, serve, drain.
//!
//! Not with `axum::serve`, which sets no deadline on anything: a client that sends half a header would keep its connection for
//! ever. Here each connection has a watch over it (`activity`), each read and write goes through it (`stream`), and there
//! are only so many connections (`maxConnections` of [`HttpConfig`]); further ones wait in the kernel's accept queue.

mod activity;
mod config;
mod connection;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

pub use self::config::{Http2Config, HttpConfig};
use self::connection::ConnectionSettings;
use crate::lifecycle::{Lifecycle, StopSignal, StopStage};
use crate::telemetry::Metrics;

/// How long to wait when the process has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {}", advice(.source, .listen))]
pub struct BindError {
    /// The address as configured.
    pub listen: String,
    /// What the operating system says.
    pub source: io::Error,
}

/// An open port that nobody answers yet.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    local_addr: SocketAddr,
    config: HttpConfig,
}

impl HttpServer {
    /// Opens the port. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`], which says what to do.
    pub async fn bind(config: &HttpConfig) -> Result<Self, BindError> {
        let failed = |source| BindError { listen: config.listen.clone(), source };
        let listener = TcpListener::bind(&config.listen).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, local_addr, config: config.clone() })
    }

    /// The address that was opened.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves the routes as a supervised task. On [`StopStage::Requests`] it stops accepting and finishes the requests that it
    /// has accepted; what has not ended when the stage's time is over is cut off.
    pub fn start(self, routes: Router, lifecycle: &Lifecycle) {
        tracing::info!(address = %self.local_addr, "listening");
        let metrics = lifecycle.metrics().clone();
        lifecycle.spawn("http-server", StopStage::Requests, |stop| async move {
            self.serve(routes, metrics, stop).await;
            Ok(())
        });
    }

    /// Serves the routes until the signal, then drains. Dropping the future cuts off what is left.
    pub async fn serve(self, routes: Router, metrics: Metrics, mut stop: StopSignal) {
        let settings = Arc::new(ConnectionSettings::new(&self.config));
        let slots = Arc::new(Semaphore::new(self.config.max_connections.get() as usize));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.requested() => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let Some((stream, slot)) = accepted else { continue };
            let open = metrics.http_connections.clone();
            let serving = connection::serve(stream, routes.clone(), Arc::clone(&settings), stop.clone());
            connections.spawn(async move {
                open.inc();
                serving.await;
                open.dec();
                drop(slot);
            });
        }
        // Closed now and not at the end, so that new clients go elsewhere at once.
        drop(self.listener);
        tracing::info!(connections = connections.len(), "stopped accepting, finishing requests");
        while connections.join_next().await.is_some() {}
    }
}

/// The next connection, once there is a slot for it. `None` where accepting failed, which is the client's fault or passes.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) if is_of_one_connection(&error) => None,
        Err(error) => {
            // Out of file descriptors, most likely: wait for some to be closed, instead of turning in circles.
            tracing::warn!(%error, "cannot accept connections");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn advice(error: &io::Error, listen: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process has the port; stop it, or choose another with `--listen`".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose a higher one with `--listen`".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::InvalidInput => {
            format!("`{listen}` is not an address with a port, such as `127.0.0.1:8080` or `[::]:8080`")
        }
        _ => error.to_string(),
    }
}
