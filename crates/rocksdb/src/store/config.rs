//! The store's settings.

use std::time::Duration;

use luminate_runtime::config::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The RocksDB store: where samples are kept and queried on a single node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RocksStoreConfig {
    /// Memory for pages that were read.
    pub cache: ByteSize,
    /// Memory for what was stored and is not in table files yet.
    pub write_buffer: ByteSize,
    /// Size of the write-ahead log from which on it is shortened. A start reads what there is of it.
    pub log: ByteSize,
    /// Samples of a merged block, up to 1048576. Larger blocks compress better, smaller ones cost less to read in part.
    pub block_samples: u32,
    /// Stored batches are merged as soon as there are this many of them, or they hold `mergeSamples`, or are as old as
    /// `mergeAfter`.
    pub merge_batches: u32,
    /// See `mergeBatches`.
    pub merge_samples: u64,
    /// See `mergeBatches`.
    pub merge_after: HumanDuration,
    /// Runs of about one size, of one tenant and window of time, are merged as soon as there are this many.
    pub merge_runs: u32,
    /// Memory that one merge takes at most, about.
    pub merge_memory: ByteSize,
    /// When nothing was stored for this long, merges do not wait for more to come.
    pub idle_after: HumanDuration,
    /// How often samples whose retention has passed are looked for.
    pub expire_every: HumanDuration,
    /// Room on the disk that a file without use keeps, so that erasing works on a full disk; a small store keeps less.
    pub ballast: ByteSize,
    /// Free space of the disk below which no batch is taken: a disk that fills up in the middle of a write would fail the store
    /// until a restart.
    pub disk_reserve: ByteSize,
}

impl Default for RocksStoreConfig {
    fn default() -> Self {
        Self {
            cache: ByteSize::mib(64),
            write_buffer: ByteSize::mib(48),
            log: ByteSize::mib(64),
            block_samples: 262_144,
            merge_batches: 32,
            merge_samples: 4_000_000,
            merge_after: Duration::from_secs(60).into(),
            merge_runs: 8,
            merge_memory: ByteSize::mib(64),
            idle_after: Duration::from_secs(10).into(),
            expire_every: Duration::from_secs(600).into(),
            ballast: ByteSize::mib(64),
            disk_reserve: ByteSize::mib(32),
        }
    }
}

impl RocksStoreConfig {
    /// Says what cannot work.
    pub(crate) fn fault(&self) -> Option<String> {
        let most = crate::block::summary::MAX_BLOCK_SAMPLES;
        if self.block_samples < 1024 || self.block_samples > most {
            return Some(format!("blockSamples must be from 1024 to {most}"));
        }
        if self.merge_batches == 0 || self.merge_runs < 2 {
            return Some("mergeBatches must be at least 1 and mergeRuns at least 2".to_owned());
        }
        let least = [("cache", self.cache, 1), ("writeBuffer", self.write_buffer, 4), ("log", self.log, 1)];
        let small = least.iter().find(|(_, size, mib)| *size < ByteSize::mib(*mib));
        small.map(|(key, _, mib)| format!("{key} must be at least {mib}MiB"))
    }
}
