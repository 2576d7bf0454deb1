//! Requests and samples per tenant and second.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::header::HeaderName;
use http::{HeaderValue, StatusCode};
use luminate_model::TenantId;

use super::codes;
use super::problem::Problem;
use crate::lifecycle::StopSignal;
use crate::telemetry::Metrics;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How many refused tenants get a metric of their own.
const NAMED_TENANTS: usize = 1000;

/// The label of the rest.
const OTHER_TENANTS: &str = "_other";

/// How often tenants that have not been seen for a while are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// A limit of every tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// What is counted, as clients see it: `requests`, `samples`.
    pub unit: &'static str,
    /// How many a second.
    pub per_second: NonZeroU32,
    /// How many at once. At least the largest request: what is larger than the burst could never pass.
    pub burst: NonZeroU32,
}

/// What a refused request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateLimitRefusal {
    /// 429, as HTTP has it.
    #[default]
    TooManyRequests,
    /// 503, for clients that drop their data on 429, as Prometheus does.
    Unavailable,
}

/// Holds every tenant to a [`RateLimit`], or nobody to anything. Cheap to clone.
#[derive(Clone)]
pub struct TenantRateLimiter<C: Clock = DefaultClock>(Option<Arc<Limiter<C>>>);

struct Limiter<C: Clock> {
    limit: RateLimit,
    buckets: RateLimiter<TenantId, DefaultKeyedStateStore<TenantId>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    metrics: Metrics,
    named_tenants: Mutex<HashSet<TenantId>>,
}

/// A request was over the limit. Nothing of it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimited {
    /// The limit.
    pub limit: RateLimit,
    /// After how long the same request would pass, if no other came.
    pub retry_after: Duration,
}

impl TenantRateLimiter {
    /// A limiter; `None` for no limit.
    #[must_use]
    pub fn new(limit: Option<RateLimit>, metrics: &Metrics) -> Self {
        Self::with_clock(limit, metrics, DefaultClock::default())
    }
}

impl<C: Clock + Clone> TenantRateLimiter<C> {
    fn with_clock(limit: Option<RateLimit>, metrics: &Metrics, clock: C) -> Self {
        Self(limit.map(|limit| {
            let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst.max(limit.per_second));
            Arc::new(Limiter {
                limit,
                buckets: RateLimiter::new(quota, DefaultKeyedStateStore::default(), clock.clone()),
                clock,
                metrics: metrics.clone(),
                named_tenants: Mutex::default(),
            })
        }))
    }

    /// Counts a request of so many cells (1, or its samples) of a tenant.
    ///
    /// # Errors
    /// [`RateLimited`] where the tenant has not so many left.
    pub fn check(&self, tenant: &TenantId, cells: u32) -> Result<(), RateLimited> {
        let (Some(limiter), Some(cells)) = (&self.0, NonZeroU32::new(cells)) else {
            return Ok(());
        };
        // More than the burst would be refused for ever, however long the client waits.
        let cells = cells.min(limiter.limit.burst.max(limiter.limit.per_second));
        match limiter.buckets.check_key_n(tenant, cells) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                limiter.count_refusal(tenant);
                Err(RateLimited { limit: limiter.limit, retry_after: not_until.wait_time_from(limiter.clock.now()) })
            }
            // `cells` is at most the burst.
            Err(_) => Ok(()),
        }
    }

    /// Forgets tenants that have not been seen for a while, until the process stops; the task that bounds the memory of the
    /// limiter. Returns at once where there is no limit.
    pub async fn forget_idle_tenants(&self, mut stop: StopSignal) {
        let Some(limiter) = &self.0 else {
            return stop.requested().await;
        };
        let mut ticks = tokio::time::interval(FORGET_EVERY);
        loop {
            tokio::select! {
                () = stop.requested() => return,
                _ = ticks.tick() => limiter.forget_idle_tenants(),
            }
        }
    }
}

impl<C: Clock> Limiter<C> {
    fn forget_idle_tenants(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }

    fn count_refusal(&self, tenant: &TenantId) {
        let mut named = self.named_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let has_name = named.contains(tenant) || named.len() < NAMED_TENANTS && named.insert(tenant.clone());
        drop(named);
        let label = if has_name { tenant.as_str() } else { OTHER_TENANTS };
        self.metrics.rate_limit_exceeded.inc();
        self.metrics.rate_limit_rejected.with([label]).inc();
    }
}

impl<C: Clock> std::fmt::Debug for TenantRateLimiter<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TenantRateLimiter").field(&self.0.as_ref().map(|limiter| limiter.limit)).finish()
    }
}

impl RateLimited {
    /// The answer, with `Retry-After`, `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
    #[must_use]
    pub fn problem(self, refusal: RateLimitRefusal) -> Problem {
        let RateLimit { unit, per_second, burst } = self.limit;
        let problem_type = match refusal {
            RateLimitRefusal::TooManyRequests => &codes::RATE_LIMITED,
            RateLimitRefusal::Unavailable => &codes::RATE_LIMITED_UNAVAILABLE,
        };
        debug_assert!(matches!(problem_type.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE));
        let seconds = whole_seconds(self.retry_after);
        // What is left cannot be told from a refusal; for this request it is nothing.
        let state = HeaderValue::from_str(&format!("\"{unit}\";r=0;t={seconds}"));
        let policy = HeaderValue::from_str(&format!("\"{unit}\";q={per_second};w=1"));
        let mut problem = Problem::new(problem_type)
            .detail(format!("the tenant may send {per_second} {unit} a second, and {burst} at once"))
            .retry_after(self.retry_after);
        for (name, value) in [(RATE_LIMIT, state), (RATE_LIMIT_POLICY, policy)] {
            if let Ok(value) = value {
                problem = problem.header(name, value);
            }
        }
        problem
    }
}

/// Rounded up, so that who waits so long has waited long enough.
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
#[path = "rate_limit_tests.rs"]
mod tests;
