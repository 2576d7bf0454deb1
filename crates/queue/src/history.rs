//! Reading records again that were consumed before: for whoever compares a store with its queue.

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};

use crate::{Committed, ConsumedRecord, QueueError};

/// What a queue holds of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceHistory {
    /// The partition.
    pub source: Source,
    /// Whose partition it is, where a topic is one tenant's.
    pub owner: Option<TenantId>,
    /// The first offset whose record is still there.
    pub begin: Offset,
    /// The offset that the next record gets.
    pub end: Offset,
    /// What writers have committed.
    pub committed: Committed,
}

/// A queue that keeps records after they were consumed. Reading them changes nothing: nobody's partition is taken, nothing is
/// committed.
#[async_trait]
pub trait RecordHistory: Send + Sync {
    /// Every partition.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn partitions(&self) -> Result<Vec<SourceHistory>, QueueError>;

    /// The first record of a source that was appended at this time (ms since 1970) or later; the end where there is none.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn offset_at(&self, source: Source, time: i64) -> Result<Offset, QueueError>;

    /// Reads the records of a source from `first` on and before `next`.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn read(&self, source: Source, first: Offset, next: Offset) -> Result<Box<dyn HistoryReader>, QueueError>;
}

/// Records as they are read again.
#[async_trait]
pub trait HistoryReader: Send {
    /// The next record; `None` after the last one.
    ///
    /// # Errors
    /// [`QueueError`]; nothing more can be read.
    async fn next(&mut self) -> Result<Option<ConsumedRecord>, QueueError>;
}
