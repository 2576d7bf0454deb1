//! Reading and committing.

use std::sync::Arc;

use async_trait::async_trait;
use luminate_model::{Offset, Source};
use luminate_queue::{Assignment, Committed, ConsumedRecord, Consumer, PartitionConsumer, QueueError};
use tokio::sync::watch;

use super::layout::PartitionEnd;
use super::{Core, Stage, blocking, tidying};

/// The reading side of the embedded queue: it is given every partition, and none is ever taken away.
pub struct EmbeddedConsumer {
    core: Arc<Core>,
    next: u32,
    stage: watch::Receiver<Stage>,
}

struct EmbeddedPartition {
    core: Arc<Core>,
    number: u32,
    committed: Committed,
    /// The first record that shall stay readable.
    keep: Option<Offset>,
    position: u64,
    end: watch::Receiver<PartitionEnd>,
    stage: watch::Receiver<Stage>,
}

impl EmbeddedConsumer {
    pub(super) fn new(core: Arc<Core>) -> Self {
        let stage = core.stage.subscribe();
        Self { core, next: 0, stage }
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn assignment(&mut self) -> Result<Assignment, QueueError> {
        let Some(partition) = self.core.partitions.get(self.next as usize) else {
            // The sender lives in `core`.
            let _ = self.stage.wait_for(|stage| *stage == Stage::Closed).await;
            return Err(QueueError::Closed);
        };
        let given = EmbeddedPartition {
            number: self.next,
            position: partition.committed().next.unwrap_or_default().0,
            committed: partition.committed(),
            keep: None,
            end: partition.watch_end(),
            stage: self.core.stage.subscribe(),
            core: Arc::clone(&self.core),
        };
        self.next += 1;
        Ok(Assignment::Given(Box::new(given)))
    }
}

#[async_trait]
impl PartitionConsumer for EmbeddedPartition {
    fn source(&self) -> Source {
        self.core.source(self.number)
    }

    fn committed(&self) -> &Committed {
        &self.committed
    }

    async fn seek(&mut self, next: Offset) -> Result<(), QueueError> {
        let place = self.source();
        let partition = self.core.partition_of(place).ok_or(QueueError::Closed)?;
        let begin = partition.begin();
        if next < begin || next > partition.end() {
            return Err(QueueError::OutOfRange { place, wanted: next, begin });
        }
        self.position = next.0;
        Ok(())
    }

    async fn poll(&mut self, max_bytes: usize) -> Result<Vec<ConsumedRecord>, QueueError> {
        loop {
            // The stage first: what was appended before the queue closed is seen below.
            let closed = *self.stage.borrow_and_update() == Stage::Closed;
            let (from, to) = (self.position, self.end.borrow_and_update().next);
            if from < to {
                let (core, number) = (Arc::clone(&self.core), self.number);
                let records = blocking(move || core.log.read(number, from, to, max_bytes)).await?;
                // No await from here on: the position moves only with the records.
                self.position = records.last().map_or(from, |record| record.offset.next().0);
                return Ok(records);
            }
            if closed {
                return Err(QueueError::Closed);
            }
            // The senders live in `core`.
            tokio::select! {
                _ = self.end.changed() => {}
                _ = self.stage.changed() => {}
            }
        }
    }

    fn keep_from(&mut self, offset: Option<Offset>) {
        self.keep = offset;
    }

    async fn commit(&mut self, next: Offset, metadata: &str) -> Result<(), QueueError> {
        let (core, place, keep) = (Arc::clone(&self.core), self.source(), self.keep);
        let metadata = metadata.to_owned();
        blocking(move || {
            let partition = core.partition_of(place).ok_or(QueueError::Closed)?;
            partition.commit(&core.log, place, next, keep, &metadata)?;
            tidying::wish_if_drained(&core);
            Ok(())
        })
        .await
    }

    fn end(&self) -> Offset {
        Offset(self.end.borrow().next)
    }
}
