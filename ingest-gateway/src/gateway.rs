//! The gateway put together: what its handlers share, and its routes.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::post;
use luminate_queue::Producer;
use luminate_runtime::clock::Clock;
use luminate_runtime::http::{Authenticator, BodyLimits, MemoryBudget, ServiceParts, count_answers};
use luminate_runtime::telemetry::Metrics;
use tokio::sync::Semaphore;

use crate::config::{GatewayConfig, InvalidGatewayConfig};
use crate::limit::WriteLimits;
use crate::validate::Retentions;
use crate::write::write;

/// The path of write requests.
pub const WRITE_PATH: &str = "/api/v1/write";

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

/// Puts a gateway together that gives its records to `producer`, and returns its routes. The standard layers of a port, health
/// and metrics are the composer's.
///
/// # Errors
/// [`InvalidGatewayConfig`] names the key whose value makes no sense.
///
/// # Panics
/// Outside of a tokio runtime: it starts a task.
pub fn build(
    config: GatewayConfig,
    producer: Arc<dyn Producer>,
    parts: ServiceParts,
) -> Result<Router, InvalidGatewayConfig> {
    config.check()?;
    config.check_budget(parts.budget.limit())?;
    let metrics = parts.lifecycle.metrics().clone();
    let limits = WriteLimits::new(&config, &metrics);
    limits.spawn_upkeep(&parts.lifecycle);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let gateway = Gateway(Arc::new(GatewayState {
        body_limits: BodyLimits { max_bytes: config.max_body_bytes.get(), deadline: parts.body_timeout },
        limits,
        producer,
        retention: Retentions::new(&parts.retention),
        budget: parts.budget,
        clock: parts.clock,
        metrics: metrics.clone(),
        decoding: Arc::new(Semaphore::new(cores)),
        authenticator: Authenticator::new(parts.verifier),
        config,
    }));
    let count_writes = from_fn_with_state(metrics.write_requests.clone(), count_answers);
    Ok(Router::new().route(WRITE_PATH, post(write)).route_layer(count_writes).with_state(gateway))
}

impl Gateway {
    pub(crate) fn state(&self) -> &GatewayState {
        &self.0
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }
}
