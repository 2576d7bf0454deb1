//! The section of the writer.

use std::time::Duration;

use luminate_runtime::config::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The writer: records in, batches stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct WriterConfig {
    /// When a batch is stored.
    pub batch: BatchConfig,
    /// How the store and the queue are tried again.
    pub retry: RetryConfig,
    /// How repeated write requests are recognised.
    pub idempotency: IdempotencyConfig,
    /// What is kept of records that cannot be used.
    pub dead_letters: DeadLettersConfig,
}

/// A batch is stored when it reaches one of these, whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct BatchConfig {
    /// Samples.
    pub max_samples: usize,
    /// Memory of the decoded samples and of the dead letters. Each partition may hold two such batches: one that is being stored,
    /// and one that is being read.
    pub max_bytes: ByteSize,
    /// Time since its first record came. A sample can be queried at most about this long after it was acknowledged.
    pub max_age: HumanDuration,
    /// Bytes of records that are read from the queue at once.
    pub poll_bytes: ByteSize,
}

/// Time between attempts: it doubles from the first to the longest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RetryConfig {
    /// Time before the first repetition.
    pub first_delay: HumanDuration,
    /// The longest time between two attempts.
    pub max_delay: HumanDuration,
}

/// Repeated write requests are recognised for ten minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct IdempotencyConfig {
    /// How many records with an idempotency key are remembered in each partition, at about 130 bytes each. When more come
    /// within ten minutes, the oldest are forgotten: their repeats are stored again, and a metric counts them.
    pub max_entries: usize,
}

/// What is kept of a record that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct DeadLettersConfig {
    /// The most bytes that are kept of one record. What was cut cannot be replayed. The default keeps every record whole that the
    /// queue takes, with the defaults of `kafka.producer.maxRecordBytes` and `queue.maxRecordBytes`. How much memory the dead
    /// letters of a batch take together is bounded by `writer.batch.maxBytes`, plus one record.
    pub max_bytes: ByteSize,
}

/// A value of the section makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("writer.{key}: {fault}")]
pub struct InvalidWriterConfig {
    /// The key within the section.
    pub key: &'static str,
    /// What is wrong with its value.
    pub fault: &'static str,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_samples: 500_000,
            max_bytes: ByteSize::mib(64),
            max_age: HumanDuration::new(Duration::from_secs(1)),
            poll_bytes: ByteSize::mib(4),
        }
    }
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first_delay: HumanDuration::new(Duration::from_millis(100)),
            max_delay: HumanDuration::new(Duration::from_secs(10)),
        }
    }
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self { max_entries: 500_000 }
    }
}

impl Default for DeadLettersConfig {
    fn default() -> Self {
        Self { max_bytes: ByteSize::mib(16) }
    }
}

impl WriterConfig {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`InvalidWriterConfig`] names the key.
    pub fn check(&self) -> Result<(), InvalidWriterConfig> {
        let ensure = |holds: bool, key, fault| if holds { Ok(()) } else { Err(InvalidWriterConfig { key, fault }) };
        ensure(self.batch.max_samples > 0, "batch.maxSamples", "must be at least 1")?;
        ensure(self.batch.max_bytes > ByteSize::bytes(0), "batch.maxBytes", "must be more than 0")?;
        ensure(!self.batch.max_age.get().is_zero(), "batch.maxAge", "must be more than 0")?;
        ensure(self.batch.poll_bytes > ByteSize::bytes(0), "batch.pollBytes", "must be more than 0")?;
        ensure(!self.retry.first_delay.get().is_zero(), "retry.firstDelay", "must be more than 0")?;
        ensure(self.retry.max_delay >= self.retry.first_delay, "retry.maxDelay", "must be at least firstDelay")?;
        ensure(self.idempotency.max_entries > 0, "idempotency.maxEntries", "must be at least 1")
    }
}
