//! Assignments and reading.

use std::sync::Arc;

use async_trait::async_trait;
use luminate_model::{Offset, Source};
use tokio::sync::{mpsc, oneshot, watch};

use super::{MemoryQueue, Shared, faults};
use crate::{Assignment, Committed, ConsumedRecord, Consumer, PartitionConsumer, QueueError};

/// The reading side of a [`MemoryQueue`].
pub struct MemoryConsumer {
    assignments: mpsc::UnboundedReceiver<Assignment>,
}

struct MemoryPartition {
    shared: Arc<Shared>,
    partition: u32,
    committed: Committed,
    position: Offset,
    changed: watch::Receiver<()>,
}

impl MemoryQueue {
    /// A consumer that is given every partition. A former one gets no more assignments.
    #[must_use]
    pub fn consumer(&self) -> MemoryConsumer {
        let (sender, assignments) = mpsc::unbounded_channel();
        if !self.shared.lock().closed {
            self.shared.lock().assignments = Some(sender);
            (0..self.shared.config.partitions).for_each(|partition| self.give(partition));
        }
        MemoryConsumer { assignments }
    }

    /// Gives a partition to the consumer (again).
    pub fn give(&self, partition: u32) {
        self.assign(Assignment::Given(Box::new(self.partition_consumer(partition))));
    }

    /// Takes a partition away from the consumer; completes when the consumer has let it go.
    pub async fn revoke(&self, partition: u32) {
        let (done, is_done) = oneshot::channel();
        self.assign(Assignment::Revoked { source: self.source(partition), done });
        // Dropping the sender says the same as sending.
        let _ = is_done.await;
    }

    fn assign(&self, assignment: Assignment) {
        if let Some(assignments) = &self.shared.lock().assignments {
            // The consumer may be gone already, as in a crash.
            let _ = assignments.send(assignment);
        }
    }

    fn partition_consumer(&self, partition: u32) -> MemoryPartition {
        let state = self.shared.lock();
        let log = state.logs.get(partition as usize);
        let committed = log.map(|log| log.committed.clone()).unwrap_or_default();
        let begin = log.map(super::log::PartitionLog::begin).unwrap_or_default();
        MemoryPartition {
            partition,
            position: committed.next.unwrap_or(begin),
            committed,
            changed: self.shared.changed.subscribe(),
            shared: Arc::clone(&self.shared),
        }
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn assignment(&mut self) -> Result<Assignment, QueueError> {
        self.assignments.recv().await.ok_or(QueueError::Closed)
    }
}

#[async_trait]
impl PartitionConsumer for MemoryPartition {
    fn source(&self) -> Source {
        self.shared.source(self.partition)
    }

    fn committed(&self) -> &Committed {
        &self.committed
    }

    async fn seek(&mut self, next: Offset) -> Result<(), QueueError> {
        let state = self.shared.lock();
        let log = state.logs.get(self.partition as usize).ok_or(QueueError::Closed)?;
        if next < log.begin() || next > log.end() {
            return Err(QueueError::OutOfRange { place: self.source(), wanted: next, begin: log.begin() });
        }
        drop(state);
        self.position = next;
        Ok(())
    }

    async fn poll(&mut self, max_bytes: usize) -> Result<Vec<ConsumedRecord>, QueueError> {
        loop {
            self.changed.mark_unchanged();
            {
                let mut state = self.shared.lock();
                faults::take(&mut state.faults.polls)?;
                let log = state.logs.get(self.partition as usize).ok_or(QueueError::Closed)?;
                let records = log.read(self.position, max_bytes);
                // No await from here on: the position moves only with the records.
                if let Some(last) = records.last() {
                    self.position = last.offset.next();
                    return Ok(records);
                }
                if state.closed {
                    return Err(QueueError::Closed);
                }
            }
            // The sender lives in `shared`.
            let _ = self.changed.changed().await;
        }
    }

    async fn commit(&mut self, next: Offset, metadata: &str) -> Result<(), QueueError> {
        let mut state = self.shared.lock();
        faults::take(&mut state.faults.commits)?;
        if let Some(log) = state.logs.get_mut(self.partition as usize) {
            log.commit(next, metadata);
        }
        Ok(())
    }

    fn end(&self) -> Offset {
        self.shared.lock().logs.get(self.partition as usize).map(super::log::PartitionLog::end).unwrap_or_default()
    }
}
