//! Compares what the queue holds with what the store holds, batch by batch, and stores again what is missing.
//!
//! Records are read again and judged as a writer judges them, so that repeats, rejects, erased and expired samples are expected
//! by neither side. The store tells one digest a batch; where it differs, single rows are compared.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`reconcile`]: all sources, or one |
//! | `source` | one source: its range, its records and batches side by side |
//! | `segment` | the records between two stored batches |
//! | `comparison` | rows that are missing, doubled or foreign |
//! | `mending` | batches that bring back what is missing |
//! | [`report`] | what was found |

mod comparison;
mod mending;
pub mod report;
mod segment;
mod source;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use luminate_model::Source;
use luminate_queue::{QueueError, RecordHistory};
use luminate_runtime::clock::Clock;
use luminate_storage::{ProvenanceSource, SampleSink, StorageError};

use crate::config::WriterConfig;
use crate::schema_registry::{RegisteredSchemas, SchemaRegistryError};

pub use report::{BatchFault, ReconcileReport, SliceFault, SourceReport};

/// What is compared.
pub struct ReconcileParts {
    /// The queue, which still has the records.
    pub history: Arc<dyn RecordHistory>,
    /// The store, which knows where its rows come from.
    pub store: Arc<dyn ProvenanceSource>,
    /// The same store, for mending.
    pub sink: Arc<dyn SampleSink>,
    /// Schemas of direct producers' records.
    pub schemas: Arc<RegisteredSchemas>,
    /// Now, in ms since 1970; judges retention.
    pub clock: Clock,
    /// The writers' section: how many keyed records are remembered, and how large batches are that are mended.
    pub config: WriterConfig,
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
}

/// Compares, and mends where that is asked for.
///
/// # Errors
/// [`ReconcileError`]; what was mended until then stays so.
pub async fn reconcile(parts: &ReconcileParts, request: &ReconcileRequest) -> Result<ReconcileReport, ReconcileError> {
    let mut partitions = parts.history.partitions().await?;
    if partitions.is_empty() {
        return Err(ReconcileError::NoTopic);
    }
    let known: BTreeSet<Source> = partitions.iter().map(|partition| partition.source).collect();
    let mut report = ReconcileReport::default();
    match request.source {
        Some(wanted) if !known.contains(&wanted) => return Err(ReconcileError::UnknownSource(wanted)),
        Some(wanted) => partitions.retain(|partition| partition.source == wanted),
        None => {
            let stored = parts.store.stored_sources().await?.into_iter();
            report.without_topic = stored.filter(|source| !known.contains(source)).map(|at| at.to_string()).collect();
        }
    }
    for partition in &partitions {
        let compared = source::reconcile_source(parts, request, partition).await?;
        report.add(compared);
    }
    Ok(report)
}
