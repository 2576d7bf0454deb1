//! Limit: how much a tenant may write. Requests are counted before their bodies are read, samples when they are known and
//! before any is published.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use luminate_model::TenantId;
use luminate_runtime::http::{Problem, RateLimit, RateLimitRefusal, RateLimited, TenantRateLimiter};
use luminate_runtime::lifecycle::{Lifecycle, StopStage};
use luminate_runtime::telemetry::Metrics;

use crate::config::GatewayConfig;

/// The limits of all tenants. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WriteLimits {
    requests: TenantRateLimiter,
    samples: TenantRateLimiter,
    unavailable_for: Arc<HashSet<String>>,
}

impl WriteLimits {
    /// The limits as configured.
    #[must_use]
    pub fn new(config: &GatewayConfig, metrics: &Metrics) -> Self {
        let limit = |unit, per_second: Option<NonZeroU32>, largest: NonZeroU32| {
            // A burst takes the largest request at least, or that request would be refused for ever.
            let limit = |per_second: NonZeroU32| RateLimit { unit, per_second, burst: per_second.max(largest) };
            TenantRateLimiter::new(per_second.map(limit), metrics)
        };
        let rate_limit = &config.rate_limit;
        Self {
            requests: limit("requests", rate_limit.requests_per_second, NonZeroU32::MIN),
            samples: limit("samples", rate_limit.samples_per_second, config.max_samples),
            unavailable_for: rate_limit.unavailable_for.iter().cloned().collect::<HashSet<_>>().into(),
        }
    }

    /// Counts a write request.
    ///
    /// # Errors
    /// [`Problem`] `rate_limited`, 429 or, where the tenant is set so, 503.
    pub fn request(&self, tenant: &TenantId) -> Result<(), Problem> {
        self.requests.check(tenant, 1).map_err(|limited| self.refuse(tenant, limited))
    }

    /// Counts the samples of a write request.
    ///
    /// # Errors
    /// [`Problem`] `rate_limited`, 429 or, where the tenant is set so, 503.
    pub fn samples(&self, tenant: &TenantId, samples: u32) -> Result<(), Problem> {
        self.samples.check(tenant, samples).map_err(|limited| self.refuse(tenant, limited))
    }

    /// Starts the tasks that forget idle tenants.
    pub(crate) fn spawn_upkeep(&self, lifecycle: &Lifecycle) {
        let (requests, samples) = (self.requests.clone(), self.samples.clone());
        lifecycle.spawn("write-rate-limits", StopStage::Drain, |stop| async move {
            tokio::join!(requests.forget_idle_tenants(stop.clone()), samples.forget_idle_tenants(stop));
            Ok(())
        });
    }

    fn refuse(&self, tenant: &TenantId, limited: RateLimited) -> Problem {
        limited.problem(match self.unavailable_for.contains(tenant.as_str()) {
            true => RateLimitRefusal::Unavailable,
            false => RateLimitRefusal::TooManyRequests,
        })
    }
}
