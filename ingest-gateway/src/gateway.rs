//! The gateway put together: what its handlers share, and its routes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use luminate_auth::TokenVerifier;
use luminate_model::RetentionRules;
use luminate_queue::Producer;
use luminate_runtime::http::{Authenticator, BodyLimits, MemoryBudget};
use luminate_runtime::lifecycle::Lifecycle;
use luminate_runtime::telemetry::Metrics;
use tokio::sync::Semaphore;

use crate::config::{GatewayConfig, InvalidGatewayConfig};
use crate::limit::WriteLimits;
use crate::validate::Retentions;
use crate::write::write;

/// The path of write requests.
pub const WRITE_PATH: &str = "/api/v1/write";

/// Tells the time, in ms since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a gateway needs of the process around it.
pub struct GatewayParts {
    /// Checks tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// Takes records.
    pub producer: Arc<dyn Producer>,
    /// How long tenants keep their metrics.
    pub retention: Arc<RetentionRules>,
    /// Bytes of requests that the process may hold, shared with other services on the same port.
    pub budget: MemoryBudget,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// The time by which samples are judged.
    pub clock: Clock,
    /// The process.
    pub lifecycle: Lifecycle,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<GatewayState>);

/// What the handlers share.
pub(crate) struct GatewayState {
    pub(crate) config: GatewayConfig,
    pub(crate) body_limits: BodyLimits,
    pub(crate) limits: WriteLimits,
    pub(crate) producer: Arc<dyn Producer>,
    pub(crate) retention: Retentions,
    pub(crate) budget: MemoryBudget,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    /// Permits to decode a large body.
    pub(crate) decoding: Arc<Semaphore>,
    authenticator: Authenticator,
}

/// Puts a gateway together and returns its routes. The standard layers of a port, health and metrics are the composer's.
///
/// # Errors
/// [`InvalidGatewayConfig`] names the key whose value makes no sense.
///
/// # Panics
/// Outside of a tokio runtime: it starts a task.
pub fn build(config: GatewayConfig, parts: GatewayParts) -> Result<Router, InvalidGatewayConfig> {
    config.check()?;
    config.check_budget(parts.budget.limit())?;
    let metrics = parts.lifecycle.metrics().clone();
    let limits = WriteLimits::new(&config, &metrics);
    limits.spawn_upkeep(&parts.lifecycle);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let gateway = Gateway(Arc::new(GatewayState {
        body_limits: BodyLimits { max_bytes: config.max_body_bytes.get(), deadline: parts.body_timeout },
        limits,
        producer: parts.producer,
        retention: Retentions::new(&parts.retention),
        budget: parts.budget,
        clock: parts.clock,
        metrics: metrics.clone(),
        decoding: Arc::new(Semaphore::new(cores)),
        authenticator: Authenticator::new(parts.verifier),
        config,
    }));
    let writes = Router::new().route(WRITE_PATH, post(write)).route_layer(from_fn_with_state(metrics, count_writes));
    Ok(writes.with_state(gateway))
}

/// Counts a write request when it is answered, whatever the answer.
async fn count_writes(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    metrics.write_requests.inc();
    response
}

/// The time of the system, in ms since 1970.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

impl Gateway {
    pub(crate) fn state(&self) -> &GatewayState {
        &self.0
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }
}
