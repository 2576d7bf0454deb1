//! The section of the embedded queue.

use luminate_runtime::config::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Partitions of a queue that is made without saying how many.
const DEFAULT_PARTITIONS: u32 = 4;

/// More partitions than this serve nobody on one machine.
const MAX_PARTITIONS: u32 = 1024;

/// The embedded queue: where records wait, durably, between gateway and writer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct EmbeddedQueueConfig {
    /// Partitions of a queue that is made, 4 where nothing is said. A queue that exists keeps what it was made with: where
    /// another number is said, the start is refused.
    pub partitions: Option<u32>,
    /// The most bytes of records that wait to be stored. Beyond it write requests are answered 503 with `Retry-After`.
    pub max_bytes: ByteSize,
    /// The most bytes of records that wait for one sync of the log. Beyond it write requests are answered 503.
    pub max_pending_bytes: ByteSize,
    /// The largest record.
    pub max_record_bytes: ByteSize,
    /// The most bytes of dead letters. Beyond it a record that cannot be used holds its partition up until some are purged:
    /// nothing is dropped, and records that wait behind it are stored later.
    pub max_dead_letter_bytes: ByteSize,
    /// Free space of the disk below which nothing is accepted, so that what was accepted can still be stored.
    pub disk_reserve: ByteSize,
    /// Memory for records that were written to the log and are not in table files yet.
    pub write_buffer: ByteSize,
}

impl Default for EmbeddedQueueConfig {
    fn default() -> Self {
        Self {
            partitions: None,
            max_bytes: ByteSize::gib(1),
            max_pending_bytes: ByteSize::mib(32),
            max_record_bytes: ByteSize::mib(16),
            max_dead_letter_bytes: ByteSize::mib(256),
            disk_reserve: ByteSize::mib(64),
            write_buffer: ByteSize::mib(32),
        }
    }
}

impl EmbeddedQueueConfig {
    /// What is wrong with the settings, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.partitions.is_some_and(|partitions| partitions == 0 || partitions > MAX_PARTITIONS) {
            return Err(format!("partitions must be from 1 to {MAX_PARTITIONS}"));
        }
        if self.max_record_bytes > self.max_bytes {
            return Err("maxRecordBytes must be at most maxBytes".to_owned());
        }
        if self.write_buffer < ByteSize::mib(1) {
            return Err("writeBuffer must be at least 1MiB".to_owned());
        }
        Ok(())
    }

    /// How many partitions a new queue gets.
    pub(super) fn partitions_at_creation(partitions: Option<u32>) -> u32 {
        partitions.unwrap_or(DEFAULT_PARTITIONS)
    }
}
