//! Storing batches.

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};

use crate::batch::{Batch, IdempotencyEntry};
use crate::error::StorageError;
use crate::intent::IntentSink;

/// What a store knows of a source when a writer begins with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    /// Everything before is stored; `None` where the store holds nothing of this source.
    pub next: Option<Offset>,
    /// Idempotency entries that are still kept, in the order of their offsets.
    pub idempotency: Vec<IdempotencyEntry>,
}

/// What became of a batch's samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The whole batch was stored before; nothing was done.
    pub already: bool,
    /// Samples that are stored now.
    pub samples: u64,
    /// Samples that were left out because an erasure covers them (a replay of what was erased).
    pub erased: u64,
}

/// What an erasure removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Samples removed.
    pub samples: u64,
}

/// Where writers put batches.
#[async_trait]
pub trait SampleSink: Send + Sync + 'static {
    /// Where to continue with a source, and what the writer left there.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn resume(&self, source: &Source) -> Result<Resume, StorageError>;

    /// Stores a batch: samples, catalogue, idempotency entries and next offset become durable together before this
    /// returns. Idempotent by source and offsets. A dropped future may still store the batch.
    ///
    /// # Errors
    /// [`StorageError::NotContiguous`] where the batch neither continues nor repeats what is stored; others where nothing,
    /// or (on [`StorageError::Unavailable`]) perhaps everything was stored.
    async fn write(&self, batch: Batch) -> Result<Stored, StorageError>;

    /// Erases a tenant: everything that came from offsets before those of `up_to`, and whatever a replay would bring back
    /// from there. Sources that `up_to` does not name are erased whole as far as they are stored now. When this returns, no
    /// sample of it is readable, and its bytes are gone from disk. May be repeated.
    ///
    /// Stores know the batch of a sample, not its record: where something was stored together with, or merged into, what lies
    /// before those offsets, it goes too. What is stored after the call began never does.
    ///
    /// # Errors
    /// [`StorageError`]; a repeat finishes what was begun.
    async fn erase(&self, tenant: &TenantId, up_to: &[(Source, Offset)]) -> Result<Erased, StorageError>;

    /// Whether the store takes batches now; the reason where it does not. For health, cheap.
    fn writable(&self) -> Result<(), String>;

    /// For a store that cannot make samples and next offset durable in one step: how batches are stored that a writer has
    /// noted an intent of. Such a store answers [`SampleSink::resume`] with nothing, because what was committed decides.
    fn intents(&self) -> Option<&dyn IntentSink> {
        None
    }
}
