//! The query-api put together: what its handlers share, and its routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use luminate_auth::TokenVerifier;
use luminate_model::RetentionRules;
use luminate_query::RequestLimits;
use luminate_runtime::http::{Authenticator, BodyLimits, MemoryBudget};
use luminate_runtime::lifecycle::Lifecycle;
use luminate_runtime::telemetry::Metrics;
use luminate_storage::SampleSource;

use crate::admission::Admission;
use crate::config::{InvalidQueryConfig, QueryConfig};
use crate::limit::QueryRateLimit;
use crate::{catalogue, query};

/// How much longer than a query's time its store may take to notice that it has run out.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Tells the time, in ms since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What a query-api needs of the process around it.
pub struct QueryParts {
    /// Checks tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// Where queries are answered.
    pub source: Arc<dyn SampleSource>,
    /// How long tenants keep their metrics.
    pub retention: Arc<RetentionRules>,
    /// Bytes of requests that the process may hold, shared with other services on the same port.
    pub budget: MemoryBudget,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// The time by which queries are answered.
    pub clock: Clock,
    /// The process.
    pub lifecycle: Lifecycle,
}

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

/// Puts a query-api together and returns its routes. The standard layers of a port, health and metrics are the composer's.
///
/// # Errors
/// [`InvalidQueryConfig`] names the key whose value makes no sense.
pub fn build(config: QueryConfig, parts: QueryParts) -> Result<Router, InvalidQueryConfig> {
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
        source: parts.source,
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
        .route_layer(from_fn_with_state(metrics, count_queries));
    Ok(routes.with_state(service))
}

/// Counts a query when it is answered, whatever the answer.
async fn count_queries(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    metrics.query_requests.inc();
    response
}

impl QueryService {
    pub(crate) fn state(&self) -> &ServiceState {
        &self.0
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }
}
