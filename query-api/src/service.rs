//! The query-api put together: what its handlers share, and its routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use luminate_model::RetentionRules;
use luminate_query::RequestLimits;
use luminate_runtime::clock::Clock;
use luminate_runtime::http::{Authenticator, BodyLimits, MemoryBudget, ServiceParts, count_answers};
use luminate_runtime::telemetry::Metrics;
use luminate_storage::SampleSource;

use crate::admission::Admission;
use crate::config::{InvalidQueryConfig, QueryConfig};
use crate::limit::QueryRateLimit;
use crate::{catalogue, query};

/// How much longer than a query's time its store may take to notice that it has run out.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub struct QueryService(Arc<ServiceState>);

/// What the handlers share.
pub(crate) struct ServiceState {
    pub(crate) config: QueryConfig,
    pub(crate) request_limits: RequestLimits,
    pub(crate) body_limits: BodyLimits,
    pub(crate) rate_limit: QueryRateLimit,
    pub(crate) admission: Admission,
    pub(crate) source: Arc<dyn SampleSource>,
    pub(crate) retention: Arc<RetentionRules>,
    pub(crate) budget: MemoryBudget,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    authenticator: Authenticator,
}

/// Puts a query-api together that answers from `source`, and returns its routes. The standard layers of a port, health and
/// metrics are the composer's.
///
/// # Errors
/// [`InvalidQueryConfig`] names the key whose value makes no sense.
pub fn build(
    config: QueryConfig,
    source: Arc<dyn SampleSource>,
    parts: ServiceParts,
) -> Result<Router, InvalidQueryConfig> {
    config.check()?;
    let metrics = parts.lifecycle.metrics().clone();
    let rate_limit = QueryRateLimit::new(&config.rate_limit, &metrics);
    rate_limit.spawn_upkeep(&parts.lifecycle);
    let (all, of_tenant) = (config.max_concurrent.get(), config.max_concurrent_per_tenant.get());
    let service = QueryService(Arc::new(ServiceState {
        request_limits: config.request_limits(),
        body_limits: BodyLimits { max_bytes: config.max_body_bytes.get(), deadline: parts.body_timeout },
        rate_limit,
        admission: Admission::new(all as usize, of_tenant as usize, config.queue_timeout.get()),
        source,
        retention: parts.retention,
        budget: parts.budget,
        clock: parts.clock,
        metrics: metrics.clone(),
        authenticator: Authenticator::new(parts.verifier),
        config,
    }));
    let routes = Router::new()
        .route("/api/v1/query", post(query::query))
        .route("/api/v1/metrics", get(catalogue::metrics))
        .route("/api/v1/dimensions", get(catalogue::dimensions))
        .route("/api/v1/dimensions/{key}/values", get(catalogue::dimension_values))
        .route_layer(from_fn_with_state(metrics.query_requests.clone(), count_answers));
    Ok(routes.with_state(service))
}

impl QueryService {
    pub(crate) fn state(&self) -> &ServiceState {
        &self.0
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }
}
