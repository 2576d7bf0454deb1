//! The store's settings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use luminate_model::time::DAY_MS;

/// Settings of the RocksDB store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RocksStoreConfig {
    /// Memory for pages that were read, in MiB.
    pub cache_mib: u32,
    /// Memory for what was written and is not in files yet, in MiB.
    pub write_buffer_mib: u32,
    /// Size of the write-ahead log in MiB from which on it is shortened; a start reads it whole.
    pub log_mib: u32,
    /// Samples of a merged block. Larger blocks compress better, smaller ones cost less to read in part.
    pub block_samples: u32,
    /// Stored batches are merged as soon as there are this many of them,
    pub merge_batches: u32,
    /// or as soon as they hold this many samples together,
    pub merge_samples: u64,
    /// or when one of them is this old, in seconds.
    pub merge_after_seconds: u32,
    /// Runs of about one size, of one tenant and window of time, are merged as soon as there are this many.
    pub merge_runs: u32,
    /// When nothing was stored for this long, in seconds, everything is merged.
    pub idle_after_seconds: u32,
    /// How often expired samples are looked for, in seconds.
    pub expire_every_seconds: u32,
    /// Room on the disk that is kept by a file without use, in MiB at most, so that erasing works on a full disk; a small
    /// store keeps less.
    pub ballast_mib: u32,
    /// Free room on the disk in MiB below which no batch is taken: a disk that fills up while writing would fail the
    /// store until a restart.
    pub reserve_mib: u32,
}

impl Default for RocksStoreConfig {
    fn default() -> Self {
        Self {
            cache_mib: 64,
            write_buffer_mib: 48,
            log_mib: 64,
            block_samples: 262_144,
            merge_batches: 8,
            merge_samples: 4_000_000,
            merge_after_seconds: 60,
            merge_runs: 8,
            idle_after_seconds: 10,
            expire_every_seconds: 600,
            ballast_mib: 64,
            reserve_mib: 32,
        }
    }
}

/// Width of the windows that merges begin with.
pub(crate) const DAY: i64 = DAY_MS;
