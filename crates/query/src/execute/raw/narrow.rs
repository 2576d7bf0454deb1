//! Where a page ends, found from timestamps alone.

use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, PoisonError};

use luminate_storage::{ChunkConsumer, Earliest, QueryContext, SampleSource, ScanChunk, ScanColumns, StorageError};

use super::earliest;
use crate::execute::check_columns;
use crate::execute::memory::Reservation;
use crate::plan::RawPlan;

/// The timestamp of the last sample that the page wants, which is one more than it shows; `None` where there are fewer, or
/// where a filter names its values: then few samples match, and reading them once is cheaper.
pub(super) async fn last_timestamp(
    plan: &RawPlan,
    source: &dyn SampleSource,
    context: &QueryContext,
) -> Result<Option<i64>, StorageError> {
    if plan.scan.filters.iter().any(|filter| filter.test.exact_values().is_some()) {
        return Ok(None);
    }
    let mut scan = plan.scan.clone();
    scan.columns = timestamps_alone();
    let wanted = earliest(plan);
    scan.earliest = Some(wanted);
    let timestamps = Arc::new(Timestamps::new(wanted, context)?);
    source.scan(&scan, context, Arc::clone(&timestamps) as Arc<dyn ChunkConsumer>).await?;
    Ok(timestamps.last())
}

fn timestamps_alone() -> ScanColumns {
    ScanColumns { timestamps: true, ..ScanColumns::default() }
}

/// Keeps the earliest timestamps after the page before.
struct Timestamps {
    /// Samples up to `after` may have been shown already, and do not count.
    wanted: Earliest,
    /// For each worker the earliest that it has met, the latest of them on top.
    workers: Vec<Mutex<BinaryHeap<i64>>>,
    _memory: Reservation,
}

impl Timestamps {
    fn new(wanted: Earliest, context: &QueryContext) -> Result<Self, StorageError> {
        let mut memory = Reservation::new(context);
        memory.grow(context.workers() * wanted.samples * size_of::<i64>())?;
        let workers = (0..context.workers()).map(|_| Mutex::default()).collect();
        Ok(Self { wanted, workers, _memory: memory })
    }

    fn last(&self) -> Option<i64> {
        let mut timestamps = Vec::new();
        for worker in &self.workers {
            timestamps.extend(std::mem::take(&mut *worker.lock().unwrap_or_else(PoisonError::into_inner)));
        }
        timestamps.sort_unstable();
        timestamps.get(self.wanted.samples - 1).copied()
    }
}

impl ChunkConsumer for Timestamps {
    fn consume(&self, worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        check_columns(&chunk, &timestamps_alone())?;
        let earliest =
            self.workers.get(worker).ok_or_else(|| StorageError::Damaged(format!("there is no worker {worker}")))?;
        let mut earliest = earliest.lock().unwrap_or_else(PoisonError::into_inner);
        for timestamp in chunk.timestamps {
            if self.wanted.after.is_some_and(|after| timestamp <= after) {
                continue;
            }
            if earliest.len() < self.wanted.samples {
                earliest.push(timestamp);
            } else if let Some(mut latest) = earliest.peek_mut()
                && timestamp < *latest
            {
                *latest = timestamp;
            }
        }
        Ok(())
    }
}
