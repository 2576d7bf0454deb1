//! Storing batches in a store that cannot make samples and next offset durable in one step.
//!
//! The writer notes an intent (the batch's range and its [`StoreTarget`]) in the queue before the batch is stored. Every row
//! carries its source and the first offset of its batch, so that whoever finds the intent later can count what is there.

use async_trait::async_trait;
use luminate_model::{Incarnation, Offset, Source};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::StorageError;
use crate::permit::Permit;
use crate::sink::Stored;

/// Where a batch goes and in which form: noted in its intent, and obeyed when the intent is replayed, whatever the
/// configuration says on that later day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreTarget {
    /// The shard, by name.
    pub shard: String,
    /// The table, with its generation where migrations have replaced it.
    pub table: String,
    /// Version of the form in which rows are cut into slices and named; not of the record.
    pub format: u32,
}

/// Stores batches whose intent is noted.
#[async_trait]
pub trait IntentSink: Send + Sync {
    /// Where a batch of `source` goes today.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn target(&self, source: &Source) -> Result<StoreTarget, StorageError>;

    /// The first offset of the last batch of `source` that any rows are stored of; `None` where there are none. For a writer that
    /// finds nothing committed.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn last_batch(&self, source: &Source) -> Result<Option<Offset>, StorageError>;

    /// The incarnations of a topic that were noted, in the order in which they were; none where there are none. What was noted
    /// before this is called is told, whichever process noted it. For a writer that finds nothing committed.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn known_incarnations(&self, topic: &str) -> Result<Vec<Incarnation>, StorageError>;

    /// Notes that samples are taken from an incarnation of a topic: before the first batch of it is stored. Durable when this
    /// returns. What was noted before changes nothing.
    ///
    /// # Errors
    /// [`StorageError`]; perhaps it was noted.
    async fn note_incarnation(&self, topic: &str, incarnation: Incarnation) -> Result<(), StorageError>;

    /// Stores a batch that was never tried before, slice by slice.
    ///
    /// # Errors
    /// [`StorageError::PermitExpired`] where nothing was sent. After any other error that may be retried the batch is in
    /// doubt: [`IntentSink::settle`] finds out.
    async fn insert(&self, batch: &Batch, target: &StoreTarget, permit: Permit) -> Result<Stored, StorageError>;

    /// Finds out which slices of a batch are stored, and stores the missing ones. May be repeated; a batch that is stored
    /// whole is left alone ([`Stored::already`]).
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where a slice is there in part; others as for [`IntentSink::insert`].
    async fn settle(&self, batch: &Batch, target: &StoreTarget, permit: Permit) -> Result<Stored, StorageError>;
}
