//! The gateway's section of the configuration.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use luminate_model::TenantId;
use luminate_model::validation::SampleLimits;
use luminate_runtime::config::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decompress::largest_request_bytes;

/// What write requests may be, and how they are spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayConfig {
    /// Largest body of a write request, as sent.
    pub max_body_bytes: ByteSize,
    /// Largest body of a write request, decompressed.
    pub max_decompressed_bytes: ByteSize,
    /// Most samples of a write request.
    pub max_samples: NonZeroU32,
    /// How long a write request waits for its records to be durable. After it the answer is 503 `queue_outcome_unknown`.
    pub publish_timeout: HumanDuration,
    /// What makes a sample valid.
    pub samples: SampleLimitsConfig,
    /// Limits on how much a tenant sends. A key that is `null` is no limit.
    pub rate_limit: WriteRateLimitConfig,
    /// How tenants' series are spread over partitions.
    pub shards: ShardsConfig,
}

/// What makes a sample valid. No size can be set above the limits of the record format, which the descriptions name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SampleLimitsConfig {
    /// Longest metric name, in bytes of UTF-8; 1024 at most.
    pub max_name_bytes: NonZeroU32,
    /// Longest key of a dimension, in bytes of UTF-8; 1024 at most.
    pub max_dimension_key_bytes: NonZeroU32,
    /// Longest value of a dimension, in bytes of UTF-8; 65536 at most.
    pub max_dimension_value_bytes: NonZeroU32,
    /// Most dimensions of a sample, those with an empty value not counted; 256 at most.
    pub max_dimensions: u32,
    /// Oldest sample that is taken. Everything is, unless set: backfilling is normal.
    pub oldest_age: Option<HumanDuration>,
    /// Furthest into the future that a sample may lie.
    pub furthest_future: HumanDuration,
}

/// Limits on how much a tenant sends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct WriteRateLimitConfig {
    /// Write requests per tenant and second.
    pub requests_per_second: Option<NonZeroU32>,
    /// Samples per tenant and second. Bursts of one largest request are taken.
    pub samples_per_second: Option<NonZeroU32>,
    /// Tenants that are refused with 503 instead of 429, because their clients drop data on 429, as Prometheus does.
    pub unavailable_for: Vec<String>,
}

/// How tenants' series are spread over partitions. A change moves series to other partitions: a write request that is
/// repeated across it may be stored twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ShardsConfig {
    /// Shards of a tenant that is not named below; 1024 at most.
    pub default: NonZeroU32,
    /// Shards of single tenants.
    pub tenants: BTreeMap<String, NonZeroU32>,
}

/// The most shards that a tenant can have.
pub const MAX_SHARDS: u32 = 1024;

/// A value of the section makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gateway.{key}: {fault}")]
pub struct InvalidGatewayConfig {
    /// The key within the section.
    pub key: String,
    /// What is wrong with its value.
    pub fault: String,
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: ByteSize::mib(16),
            max_decompressed_bytes: ByteSize::mib(64),
            max_samples: at_least_one(100_000),
            publish_timeout: HumanDuration::new(Duration::from_secs(10)),
            samples: SampleLimitsConfig::default(),
            rate_limit: WriteRateLimitConfig::default(),
            shards: ShardsConfig::default(),
        }
    }
}

impl Default for SampleLimitsConfig {
    fn default() -> Self {
        Self {
            max_name_bytes: at_least_one(256),
            max_dimension_key_bytes: at_least_one(256),
            max_dimension_value_bytes: at_least_one(2048),
            max_dimensions: 64,
            oldest_age: None,
            furthest_future: HumanDuration::new(Duration::from_secs(3600)),
        }
    }
}

impl Default for ShardsConfig {
    fn default() -> Self {
        Self { default: NonZeroU32::MIN, tenants: BTreeMap::new() }
    }
}

impl GatewayConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// [`InvalidGatewayConfig`] names the key.
    pub fn check(&self) -> Result<(), InvalidGatewayConfig> {
        let record = SampleLimits::RECORD;
        let samples = &self.samples;
        let sizes = [
            ("samples.maxNameBytes", samples.max_name_bytes.get(), record.name_bytes),
            ("samples.maxDimensionKeyBytes", samples.max_dimension_key_bytes.get(), record.dimension_key_bytes),
            ("samples.maxDimensionValueBytes", samples.max_dimension_value_bytes.get(), record.dimension_value_bytes),
            ("samples.maxDimensions", samples.max_dimensions, record.dimensions),
            ("shards.default", self.shards.default.get(), MAX_SHARDS as usize),
        ];
        for (key, value, most) in sizes {
            ensure(value as usize <= most, key, || format!("{value} is above {most}, the most that records can hold"))?;
        }
        ensure(self.max_body_bytes.get() > 0, "maxBodyBytes", || "must be above 0".to_owned())?;
        ensure(self.max_decompressed_bytes >= self.max_body_bytes, "maxDecompressedBytes", || {
            format!("{} is below maxBodyBytes ({})", self.max_decompressed_bytes, self.max_body_bytes)
        })?;
        // Offsets in a body and dictionaries of a record are counted in 32 bits.
        ensure(self.max_decompressed_bytes <= ByteSize::gib(1), "maxDecompressedBytes", || {
            format!("{} is above 1GiB", self.max_decompressed_bytes)
        })?;
        for (tenant, shards) in &self.shards.tenants {
            let key = format!("shards.tenants.{tenant}");
            tenant_of(&key, tenant)?;
            ensure(shards.get() <= MAX_SHARDS, &key, || format!("{shards} is above {MAX_SHARDS}"))?;
        }
        for tenant in &self.rate_limit.unavailable_for {
            tenant_of("rateLimit.unavailableFor", tenant)?;
        }
        Ok(())
    }

    /// Checks that the largest body fits into the memory that the process gives to requests.
    ///
    /// # Errors
    /// [`InvalidGatewayConfig`] where it could never be taken.
    pub fn check_budget(&self, budget_bytes: u64) -> Result<(), InvalidGatewayConfig> {
        let needed = largest_request_bytes(self.max_body_bytes.get(), self.max_decompressed_bytes.get());
        ensure(needed <= budget_bytes, "maxDecompressedBytes", || {
            let budget = ByteSize::bytes(budget_bytes);
            format!("the largest body would need {needed} bytes of memory, and requests may hold {budget} in all")
        })
    }

    /// The limits of samples, as the judge of samples wants them.
    #[must_use]
    pub fn sample_limits(&self) -> SampleLimits {
        let samples = &self.samples;
        let ms = |duration: HumanDuration| i64::try_from(duration.get().as_millis()).unwrap_or(i64::MAX);
        SampleLimits {
            name_bytes: samples.max_name_bytes.get() as usize,
            dimension_key_bytes: samples.max_dimension_key_bytes.get() as usize,
            dimension_value_bytes: samples.max_dimension_value_bytes.get() as usize,
            dimensions: samples.max_dimensions as usize,
            oldest_age_ms: samples.oldest_age.map(ms),
            future_ms: Some(ms(samples.furthest_future)),
        }
    }

    /// How many shards a tenant has.
    #[must_use]
    pub fn shards_of(&self, tenant: &TenantId) -> NonZeroU32 {
        self.shards.tenants.get(tenant.as_str()).copied().unwrap_or(self.shards.default)
    }
}

fn ensure(holds: bool, key: &str, fault: impl FnOnce() -> String) -> Result<(), InvalidGatewayConfig> {
    if holds { Ok(()) } else { Err(InvalidGatewayConfig { key: key.to_owned(), fault: fault() }) }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the operator's configuration names tenants, and only the form is checked"
)]
fn tenant_of(key: &str, name: &str) -> Result<TenantId, InvalidGatewayConfig> {
    TenantId::parse(name).map_err(|error| InvalidGatewayConfig { key: key.to_owned(), fault: error.to_string() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_within_the_record_format() {
        let config = GatewayConfig::default();
        config.check().unwrap();
        config.check_budget(256 << 20).unwrap();
        assert_eq!(config.check_budget(100 << 20).unwrap_err().key, "maxDecompressedBytes");
        assert_eq!(config.sample_limits().future_ms, Some(3_600_000));
        assert_eq!(config.sample_limits().oldest_age_ms, None);
    }

    #[test]
    fn a_value_beyond_the_record_format_is_named() {
        type Spoil = fn(&mut GatewayConfig);
        let spoilt: [(&str, Spoil); 10] = [
            ("samples.maxNameBytes", |c| c.samples.max_name_bytes = at_least_one(1025)),
            ("samples.maxDimensionKeyBytes", |c| c.samples.max_dimension_key_bytes = at_least_one(1025)),
            ("samples.maxDimensionValueBytes", |c| c.samples.max_dimension_value_bytes = at_least_one(65_537)),
            ("samples.maxDimensions", |c| c.samples.max_dimensions = 257),
            ("shards.default", |c| c.shards.default = at_least_one(1025)),
            ("maxBodyBytes", |c| c.max_body_bytes = ByteSize::bytes(0)),
            ("maxDecompressedBytes", |c| c.max_decompressed_bytes = ByteSize::bytes(1)),
            ("maxDecompressedBytes", |c| c.max_decompressed_bytes = ByteSize::gib(2)),
            ("shards.tenants.a/b", |c| c.shards.tenants = BTreeMap::from([("a/b".to_owned(), NonZeroU32::MIN)])),
            ("rateLimit.unavailableFor", |c| c.rate_limit.unavailable_for.push(String::new())),
        ];
        for (key, spoil) in spoilt {
            let mut config = GatewayConfig::default();
            spoil(&mut config);
            let error = config.check().unwrap_err();
            assert_eq!(error.key, key);
            assert!(error.to_string().starts_with(&format!("gateway.{key}: ")));
        }
    }

    #[test]
    fn shards_are_the_tenants_own_or_the_default() {
        let mut config = GatewayConfig::default();
        config.shards.tenants.insert("big".to_owned(), at_least_one(8));
        assert_eq!(config.shards_of(&TenantId::parse("big").unwrap()).get(), 8);
        assert_eq!(config.shards_of(&TenantId::parse("small").unwrap()).get(), 1);
    }

    #[test]
    fn keys_are_camel_case_and_unknown_ones_refused() {
        let config: GatewayConfig =
            serde_json::from_str(r#"{"maxBodyBytes": "1MiB", "samples": {"oldestAge": "7d"}}"#).unwrap();
        assert_eq!(config.sample_limits().oldest_age_ms, Some(7 * 86_400_000));
        assert!(serde_json::from_str::<GatewayConfig>(r#"{"maxBodySize": 1}"#).is_err());
    }
}
