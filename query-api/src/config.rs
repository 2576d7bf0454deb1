//! The query-api's section of the configuration.

use std::num::NonZeroU32;
use std::time::Duration;

use luminate_query::RequestLimits;
use luminate_runtime::config::{ByteSize, HumanDuration};
use luminate_storage::QueryLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What queries may ask for, and what they may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct QueryConfig {
    /// Largest body of a query.
    pub max_body_bytes: ByteSize,
    /// Longest run of a query. After it the answer is 504 `query_timeout`.
    pub timeout: HumanDuration,
    /// Most memory that a query holds. A query that needs more is answered 422 `query_memory_limit`. All queries together
    /// hold at most `maxConcurrent` times as much.
    pub max_memory: ByteSize,
    /// Most samples that a query reads. A query that reads more is answered 422 `query_samples_limit`.
    pub max_samples: u64,
    /// Threads that a query uses in the store; 0 for as many as the machine has processors.
    pub workers: u32,
    /// Queries that run at once. Others wait.
    pub max_concurrent: NonZeroU32,
    /// Queries of one tenant that run at once. Fewer than `maxConcurrent`, so that no tenant keeps all others out.
    pub max_concurrent_per_tenant: NonZeroU32,
    /// How long a query waits for others to end. After it the answer is 503 `queries_busy`, or 429 `tenant_queries_busy`
    /// where the tenant's own queries are in the way.
    pub queue_timeout: HumanDuration,
    /// How long a query waits for the samples of its receipt, where it does not say. After it the answer is 504
    /// `receipt_timeout`.
    pub receipt_timeout: HumanDuration,
    /// The longest wait for a receipt that a query may ask for.
    pub max_receipt_timeout: HumanDuration,
    /// What a single request and its answer may be.
    pub limits: RequestLimitsConfig,
    /// Limits on how much a tenant asks. A key that is `null` is no limit.
    pub rate_limit: QueryRateLimitConfig,
}

/// What a single request and its answer may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RequestLimitsConfig {
    /// Most filters.
    pub max_filters: u32,
    /// Most values in all `in` and `notIn` filters together.
    pub max_filter_values: u32,
    /// Longest regular expression, in bytes.
    pub max_pattern_bytes: u32,
    /// Most dimensions in `groupBy`.
    pub max_group_by: u32,
    /// Most buckets that steps may cut a time range into.
    pub max_buckets: u32,
    /// Most groups, raw samples or names of the catalogue in an answer. More groups are left out, and the answer says
    /// `truncated`.
    pub max_rows: NonZeroU32,
    /// Raw samples or names of the catalogue in an answer where the request sets no limit.
    pub default_rows: NonZeroU32,
    /// Most values in an answer with steps, over all groups. A query that has more is answered 422 `query_rows_limit`.
    pub max_values: u32,
}

/// Limits on how much a tenant asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct QueryRateLimitConfig {
    /// Queries per tenant and second.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A value of the section makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("query.{key}: {fault}")]
pub struct InvalidQueryConfig {
    /// The key within the section.
    pub key: &'static str,
    /// What is wrong with its value.
    pub fault: String,
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

const fn seconds(seconds: u64) -> HumanDuration {
    HumanDuration::new(Duration::from_secs(seconds))
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: ByteSize::mib(1),
            timeout: seconds(30),
            max_memory: ByteSize::mib(256),
            max_samples: 1_000_000_000,
            workers: 0,
            max_concurrent: at_least_one(4),
            max_concurrent_per_tenant: at_least_one(3),
            queue_timeout: seconds(10),
            receipt_timeout: seconds(10),
            max_receipt_timeout: seconds(60),
            limits: RequestLimitsConfig::default(),
            rate_limit: QueryRateLimitConfig::default(),
        }
    }
}

impl Default for RequestLimitsConfig {
    fn default() -> Self {
        let limits = RequestLimits::default();
        Self {
            max_filters: limits.filters as u32,
            max_filter_values: limits.filter_values as u32,
            max_pattern_bytes: limits.pattern_bytes as u32,
            max_group_by: limits.group_by as u32,
            max_buckets: limits.buckets as u32,
            max_rows: at_least_one(limits.rows as u32),
            default_rows: at_least_one(limits.default_samples as u32),
            max_values: limits.values as u32,
        }
    }
}

impl QueryConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`InvalidQueryConfig`] names the key.
    pub fn check(&self) -> Result<(), InvalidQueryConfig> {
        let above_zero = |size: ByteSize| size.get() > 0;
        ensure(above_zero(self.max_body_bytes), "maxBodyBytes", || "must be above 0".to_owned())?;
        ensure(above_zero(self.max_memory), "maxMemory", || "must be above 0".to_owned())?;
        ensure(self.max_samples > 0, "maxSamples", || "must be above 0".to_owned())?;
        ensure(!self.timeout.get().is_zero(), "timeout", || "must be above 0".to_owned())?;
        ensure(self.max_concurrent_per_tenant <= self.max_concurrent, "maxConcurrentPerTenant", || {
            format!("{} is above maxConcurrent ({})", self.max_concurrent_per_tenant, self.max_concurrent)
        })?;
        ensure(self.receipt_timeout <= self.max_receipt_timeout, "receiptTimeout", || {
            format!("{} is above maxReceiptTimeout ({})", self.receipt_timeout, self.max_receipt_timeout)
        })?;
        ensure(self.limits.default_rows <= self.limits.max_rows, "limits.defaultRows", || {
            format!("{} is above limits.maxRows ({})", self.limits.default_rows, self.limits.max_rows)
        })?;
        ensure(self.limits.max_buckets > 0, "limits.maxBuckets", || "must be above 0".to_owned())
    }

    /// What a single request and its answer may be.
    #[must_use]
    pub fn request_limits(&self) -> RequestLimits {
        let limits = &self.limits;
        RequestLimits {
            filters: limits.max_filters as usize,
            filter_values: limits.max_filter_values as usize,
            pattern_bytes: limits.max_pattern_bytes as usize,
            group_by: limits.max_group_by as usize,
            buckets: u64::from(limits.max_buckets),
            rows: limits.max_rows.get() as usize,
            default_samples: limits.default_rows.get() as usize,
            values: limits.max_values as usize,
        }
    }

    /// What a query may cost.
    #[must_use]
    pub fn query_limits(&self) -> QueryLimits {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        QueryLimits {
            timeout: self.timeout.get(),
            memory_bytes: self.max_memory.get(),
            samples: self.max_samples,
            workers: if self.workers == 0 { processors } else { self.workers as usize },
        }
    }
}

fn ensure(holds: bool, key: &'static str, fault: impl FnOnce() -> String) -> Result<(), InvalidQueryConfig> {
    if holds { Ok(()) } else { Err(InvalidQueryConfig { key, fault: fault() }) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_those_of_the_language() {
        let config = QueryConfig::default();
        config.check().unwrap();
        assert_eq!(config.request_limits(), RequestLimits::default());
        assert!(config.query_limits().workers >= 1);
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named() {
        type Spoil = fn(&mut QueryConfig);
        let spoilt: [(&str, Spoil); 8] = [
            ("maxBodyBytes", |c| c.max_body_bytes = ByteSize::bytes(0)),
            ("maxMemory", |c| c.max_memory = ByteSize::bytes(0)),
            ("maxSamples", |c| c.max_samples = 0),
            ("timeout", |c| c.timeout = seconds(0)),
            ("maxConcurrentPerTenant", |c| c.max_concurrent = NonZeroU32::MIN),
            ("receiptTimeout", |c| c.max_receipt_timeout = seconds(1)),
            ("limits.defaultRows", |c| c.limits.max_rows = NonZeroU32::MIN),
            ("limits.maxBuckets", |c| c.limits.max_buckets = 0),
        ];
        for (key, spoil) in spoilt {
            let mut config = QueryConfig::default();
            spoil(&mut config);
            let error = config.check().unwrap_err();
            assert!(error.to_string().starts_with(&format!("query.{key}: ")), "{error}");
        }
    }
}
