//! What a store's call fails with.

use luminate_model::{Offset, Source};

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The query ran longer than it may.
    #[error("the query ran longer than {limit_ms} ms")]
    Timeout {
        /// The limit in ms.
        limit_ms: u64,
    },
    /// The client went away, or the process is stopping.
    #[error("the query was cancelled")]
    Cancelled,
    /// The query needs more memory than it may.
    #[error("the query needs more than {limit_bytes} bytes of memory")]
    MemoryLimit {
        /// The limit in bytes.
        limit_bytes: u64,
    },
    /// The query reads more samples than it may.
    #[error("the query reads more than {limit} samples")]
    SamplesLimit {
        /// The limit in samples.
        limit: u64,
    },
    /// The query has more result rows than it may.
    #[error("the query has more than {limit} result rows")]
    RowsLimit {
        /// The limit in rows.
        limit: u64,
    },
    /// The batch does not continue what is stored: offsets are missing, or overlap in part.
    #[error("batch {first}..{next} of {place} does not continue what is stored, which ends at {stored}")]
    NotContiguous {
        /// The partition.
        place: Source,
        /// First offset of the refused batch.
        first: Offset,
        /// Next offset of the refused batch.
        next: Offset,
        /// The store's next offset.
        stored: Offset,
    },
    /// The store belongs to other partitions than this one.
    #[error("the store does not belong to the partition {place}")]
    NotOwned {
        /// The partition.
        place: Source,
    },
    /// The time in which the writer may store for this partition has run out before anything was sent; a new commit gives it
    /// time again.
    #[error("the permission to store for this partition has expired")]
    PermitExpired,
    /// The store is busy or away; trying again may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The store's disk is full. Nothing more is accepted until room was made.
    #[error("the store's disk is full: {0}")]
    DiskFull(String),
    /// The store's data is not what it should be, or an invariant broke; an operator must look.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl StorageError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Timeout { .. } => "query_timeout",
            Self::Cancelled => "query_cancelled",
            Self::MemoryLimit { .. } => "query_memory_limit",
            Self::SamplesLimit { .. } => "query_samples_limit",
            Self::RowsLimit { .. } => "query_rows_limit",
            Self::NotContiguous { .. } => "batch_not_contiguous",
            Self::NotOwned { .. } => "storage_not_owned",
            Self::PermitExpired => "storage_permit_expired",
            Self::Unavailable(_) => "storage_unavailable",
            Self::DiskFull(_) => "storage_disk_full",
            Self::Damaged(_) => "storage_damaged",
        }
    }

    /// Whether trying again later may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::DiskFull(_) | Self::PermitExpired)
    }
}
