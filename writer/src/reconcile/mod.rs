//! Compares what the queue holds with what the store holds, and stores again what is missing.
//!
//! Records are read again and judged as a writer judges them, so that repeats, rejects, erased and expired samples are expected
//! by neither side. What the store has beside is told apart by contents: *doubled* where a record has such a sample, *foreign*
//! where none does.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`reconcile`]: all sources, or one |
//! | `records` | the records of a source, judged again |
//! | `batches` | against a store whose rows name their batch: one digest a batch, single rows where digests differ |
//! | `blocks` | against a store whose blocks name ranges of offsets: by contents alone |
//! | [`report`] | what was found |

mod batches;
mod blocks;
mod records;
pub mod report;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use luminate_model::Source;
use luminate_queue::{QueueError, RecordHistory};
use luminate_runtime::clock::Clock;
use luminate_storage::{BlockProvenance, ProvenanceSource, SampleSink, StorageError};

use crate::config::WriterConfig;
use crate::schema_registry::{RegisteredSchemas, SchemaRegistryError};

pub use report::{BatchFault, ReconcileReport, SliceFault, SourceReport};

/// How far the store's clock may be ahead of ours, ms. Rows that expire within are not compared.
const CLOCKS_APART_MS: i64 = 3_600_000;

/// What is compared.
pub struct ReconcileParts {
    /// The queue, which still has the records.
    pub history: Arc<dyn RecordHistory>,
    /// The store.
    pub store: ComparedStore,
    /// Schemas of direct producers' records.
    pub schemas: Arc<RegisteredSchemas>,
    /// Now, in ms since 1970; judges retention.
    pub clock: Clock,
    /// The writers' section: how many keyed records are remembered, and how large batches are that are mended.
    pub config: WriterConfig,
}

/// A store, by how well it knows where its rows come from.
pub enum ComparedStore {
    /// Each row names its batch.
    OfBatches {
        /// What is stored.
        provenance: Arc<dyn ProvenanceSource>,
        /// The same store, for mending.
        sink: Arc<dyn SampleSink>,
    },
    /// Each block names ranges of offsets.
    OfBlocks(Arc<dyn BlockProvenance>),
}

/// What is to be compared.
#[derive(Debug, Clone, Default)]
pub struct ReconcileRequest {
    /// One source; `None` for all.
    pub source: Option<Source>,
    /// Records appended at this time (ms since 1970) or later, and those before that share a batch with them.
    pub from: Option<i64>,
    /// Records appended before this time, and those after that share a batch with them.
    pub to: Option<i64>,
    /// Whether what is missing is stored.
    pub mend: bool,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The schema registry, which a record needs.
    #[error("a record's schema is not known")]
    Schema(#[from] SchemaRegistryError),
    /// The queue has no partitions: nothing can be said of the store.
    #[error("there is no topic of samples")]
    NoTopic,
    /// The queue has no such partition.
    #[error("there is no partition {0}; its topic may have been made again")]
    UnknownSource(Source),
    /// What is stored now could come back after it was erased.
    #[error("nothing is mended while the tenant {0} is being erased: wait until `luminate erase` is done")]
    ErasureRunning(String),
    /// Something was erased while it was mended.
    #[error("a tenant was erased while samples were mended, and some of its samples may be back: erase it again")]
    ErasedMeanwhile,
}

/// Compares, and mends where that is asked for.
///
/// # Errors
/// [`ReconcileError`]; what was mended until then stays so.
pub async fn reconcile(parts: &ReconcileParts, request: &ReconcileRequest) -> Result<ReconcileReport, ReconcileError> {
    let partitions = parts.history.partitions().await?;
    if partitions.is_empty() {
        return Err(ReconcileError::NoTopic);
    }
    let known: BTreeSet<Source> = partitions.iter().map(|partition| partition.source).collect();
    if let Some(unknown) = request.source.filter(|wanted| !known.contains(wanted)) {
        return Err(ReconcileError::UnknownSource(unknown));
    }
    match &parts.store {
        ComparedStore::OfBatches { provenance, sink } => {
            batches::reconcile_batches(parts, (provenance.as_ref(), sink.as_ref()), request, &partitions).await
        }
        ComparedStore::OfBlocks(store) => blocks::reconcile_blocks(parts, store.as_ref(), request, &partitions).await,
    }
}
