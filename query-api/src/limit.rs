//! Limit: how often a tenant may ask. Counted before the body is read.

use luminate_model::TenantId;
use luminate_runtime::http::{Problem, RateLimit, RateLimitRefusal, TenantRateLimiter};
use luminate_runtime::lifecycle::{Lifecycle, StopStage};
use luminate_runtime::telemetry::Metrics;

use crate::config::QueryRateLimitConfig;

/// The limit of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryRateLimit(TenantRateLimiter);

impl QueryRateLimit {
    /// The limit as configured.
    #[must_use]
    pub fn new(config: &QueryRateLimitConfig, metrics: &Metrics) -> Self {
        let limit = config.requests_per_second;
        let limit = limit.map(|per_second| RateLimit { unit: "requests", per_second, burst: per_second });
        Self(TenantRateLimiter::new(limit, metrics))
    }

    /// Counts a query.
    ///
    /// # Errors
    /// [`Problem`] `rate_limited`, 429.
    pub fn count(&self, tenant: &TenantId) -> Result<(), Problem> {
        self.0.check(tenant, 1).map_err(|limited| limited.problem(RateLimitRefusal::TooManyRequests))
    }

    /// Starts the task that forgets idle tenants.
    pub(crate) fn spawn_upkeep(&self, lifecycle: &Lifecycle) {
        let limiter = self.0.clone();
        lifecycle.spawn("query-rate-limits", StopStage::Drain, |stop| async move {
            limiter.forget_idle_tenants(stop).await;
            Ok(())
        });
    }
}
