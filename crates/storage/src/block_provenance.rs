//! What a store holds that knows where its blocks came from, but not its single rows: for comparing it with the queue.
//!
//! A block tells, for each source, a range that holds all offsets its samples are of. Merges join the ranges of many batches and
//! sources, so what is missing, doubled or foreign is found by contents: by [`row_fingerprint`](crate::row_fingerprint).

use std::collections::BTreeMap;

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};

use crate::batch::Batch;
use crate::error::StorageError;

/// Offsets of one source, `[first, next)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub source: Source,
    /// The first offset.
    pub first: Offset,
    /// The offset after the last.
    pub next: Offset,
}

/// Samples that are stored together, and where they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// The store's own number.
    pub id: u64,
    /// For each source the range that holds the offsets of all its samples, and perhaps others; ascending by source.
    pub spans: Vec<Span>,
}

/// A row of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRow {
    /// Days since 1970.
    pub day: i64,
    /// [`row_fingerprint`](crate::row_fingerprint)
    pub fingerprint: u64,
}

/// A store that can say what its blocks hold and where they came from.
#[async_trait]
pub trait BlockProvenance: Send + Sync {
    /// How far each source is stored: everything before is.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn stored_ends(&self) -> Result<BTreeMap<Source, Offset>, StorageError>;

    /// For each tenant of which records of the source were erased, the offset before which nothing of it is stored.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn erased_ends(&self, source: &Source) -> Result<BTreeMap<TenantId, Offset>, StorageError>;

    /// The blocks that count now.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn blocks(&self) -> Result<Vec<StoredBlock>, StorageError>;

    /// The rows of a block that retention keeps at `as_of` (ms since 1970) and that are not erased.
    ///
    /// # Errors
    /// [`StorageError`], also where the block does not count any more.
    async fn rows(&self, block: u64, as_of: i64) -> Result<Vec<BlockRow>, StorageError>;

    /// The first timestamp that retention keeps at `as_of`, of samples written with a retention of `written_days`.
    fn kept_from(&self, tenant: &TenantId, metric: &str, written_days: u16, as_of: i64) -> i64;

    /// Stores samples again that were lost, and returns how many. Nobody looks whether they are there: the caller has. What is
    /// erased is left out. They are durable when this returns.
    ///
    /// # Errors
    /// [`StorageError::NotContiguous`] where the batch lies beyond what is stored: that is for writers to store.
    async fn restore(&self, batch: Batch) -> Result<u64, StorageError>;
}
