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

/// An erasure as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedErasure {
    /// Whose data is erased.
    pub tenant: TenantId,
    /// For each source the offset before which everything is erased.
    pub up_to: Vec<(Source, Offset)>,
}

/// What an erasure removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Samples removed since the erasure was noted; after a restart those that were still there.
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

    /// Notes that a tenant is erased: everything that came from offsets before those of `up_to`; sources that it does not name
    /// as far as they are stored now. Durable when this returns. From then on nothing that it covers is stored, so a replay
    /// brings nothing back; what is stored already is removed by [`SampleSink::remove_erased`].
    ///
    /// Stores know the batch of a sample, not its record: where something was stored together with, or merged into, what lies
    /// before those offsets, it goes too. What is stored after the call began never does.
    ///
    /// # Errors
    /// [`StorageError`]; perhaps it was noted.
    async fn note_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError>;

    /// Removes what the noted erasures of a tenant cover. When this returns, no sample of it is readable, and its bytes are
    /// gone from disk. May be repeated.
    ///
    /// # Errors
    /// [`StorageError`]; a repeat finishes what was begun.
    async fn remove_erased(&self, tenant: &TenantId) -> Result<Erased, StorageError>;

    /// The erasures that were noted and not finished: a writer that starts goes on with them.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn unfinished_erasures(&self) -> Result<Vec<NotedErasure>, StorageError>;

    /// Notes that nothing of an erasure is left to do, here or elsewhere. Where a later one of the tenant was noted, that
    /// one stays unfinished.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn finish_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError>;

    /// Notes an erasure and removes what it covers, where nothing is to be removed elsewhere.
    ///
    /// # Errors
    /// [`StorageError`]; a repeat finishes what was begun.
    async fn erase(&self, tenant: &TenantId, up_to: &[(Source, Offset)]) -> Result<Erased, StorageError> {
        let erasure = NotedErasure { tenant: tenant.clone(), up_to: up_to.to_vec() };
        self.note_erasure(&erasure).await?;
        let erased = self.remove_erased(tenant).await?;
        self.finish_erasure(&erasure).await?;
        Ok(erased)
    }

    /// Whether the store takes batches now; the reason where it does not. For health, cheap.
    fn writable(&self) -> Result<(), String>;

    /// For a store that cannot make samples and next offset durable in one step: how batches are stored that a writer has
    /// noted an intent of. Such a store answers [`SampleSink::resume`] with nothing, because what was committed decides.
    fn intents(&self) -> Option<&dyn IntentSink> {
        None
    }
}
