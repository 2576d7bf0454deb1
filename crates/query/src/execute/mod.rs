//! Carrying a plan out over a store.

mod accumulate;
mod aggregate;
mod cells;
mod finish;
mod groups;
mod interner;
mod memory;
mod raw;

use luminate_storage::{QueryContext, SampleSource, ScanChunk, ScanColumns, StorageError};

use crate::answer::{Answer, Stats};
use crate::error::QueryError;
use crate::plan::Plan;

/// Carries a plan out. A dropped future stops the query, through its context.
///
/// # Errors
/// [`QueryError::Storage`]: the store's, or a limit of the context or plan that was hit.
pub async fn execute(plan: Plan, source: &dyn SampleSource, context: &QueryContext) -> Result<Answer, QueryError> {
    let cancel_when_dropped = context.cancel_on_drop();
    // Taken before the samples are read: what it covers is in the answer.
    let watermark = watermark(source).await?;
    let (rows, truncated) = match plan {
        Plan::Aggregate(plan) => aggregate::execute(plan, source, context).await?,
        Plan::Raw(plan) => raw::execute(plan, source, context).await?,
    };
    cancel_when_dropped.disarm();
    Ok(Answer { rows, truncated, watermark, stats: Stats::of(context) })
}

/// How far samples are stored, for an answer. `None` where that cannot be told now: what was asked for can be answered all the
/// same.
///
/// # Errors
/// [`StorageError`], other than that it is away.
pub async fn watermark(source: &dyn SampleSource) -> Result<Option<String>, StorageError> {
    match source.watermark().await {
        Ok(receipt) => Ok(receipt.encode()),
        Err(StorageError::Unavailable(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Runs work that keeps a processor busy where it holds up no other task.
async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(StorageError::Cancelled),
    }
}

/// Holds a chunk to the columns that were asked for, so that a store that leaves one out is found and not believed.
fn check_columns(chunk: &ScanChunk, asked: &ScanColumns) -> Result<(), StorageError> {
    let samples = chunk.samples();
    let series = chunk.runs.len();
    let is_whole = (!asked.timestamps || chunk.timestamps.len() == samples)
        && (!asked.values || chunk.values.len() == samples)
        && (!asked.series_ids || chunk.series_ids.len() == series)
        && (asked.all_dimensions || chunk.dimensions.len() == asked.dimensions.len())
        && chunk.dimensions.iter().all(|column| column.indexes.len() == series);
    if is_whole { Ok(()) } else { Err(StorageError::Damaged("a chunk lacks columns that were asked for".to_owned())) }
}
