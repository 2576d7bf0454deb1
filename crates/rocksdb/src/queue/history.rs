//! Reading records again that were committed. The queue gives them back to the disk in large pieces and when it is quiet, so some
//! are there for a while.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use luminate_model::{Offset, Source};
use luminate_queue::{ConsumedRecord, HistoryReader, QueueError, RecordHistory, SourceHistory};

use super::partition::Partition;
use super::{Core, EmbeddedQueue, blocking};

/// Bytes of records that are read at once.
const PIECE_BYTES: usize = 4 << 20;

#[async_trait]
impl RecordHistory for EmbeddedQueue {
    async fn partitions(&self) -> Result<Vec<SourceHistory>, QueueError> {
        let core = Arc::clone(self.core());
        blocking(move || (0..).zip(&core.partitions).map(|(number, known)| history_of(&core, number, known)).collect())
            .await
    }

    async fn offset_at(&self, source: Source, time: i64) -> Result<Offset, QueueError> {
        let core = Arc::clone(self.core());
        blocking(move || {
            let known = core.partition_of(source).ok_or_else(|| unknown(source))?;
            let SourceHistory { begin, end, .. } = history_of(&core, source.partition, known)?;
            // Append times never decrease in a partition.
            let (mut before, mut at) = (begin.0, end.0);
            while before < at {
                let middle = before + (at - before) / 2;
                let record = core.log.read(source.partition, middle, middle + 1, 0)?;
                if record.first().is_some_and(|record| record.append_time < time) {
                    before = middle + 1;
                } else {
                    at = middle;
                }
            }
            Ok(Offset(at))
        })
        .await
    }

    async fn read(&self, source: Source, first: Offset, next: Offset) -> Result<Box<dyn HistoryReader>, QueueError> {
        let known = self.core().partition_of(source).ok_or_else(|| unknown(source))?;
        let end = next.min(known.end());
        let core = Arc::clone(self.core());
        Ok(Box::new(EmbeddedHistoryReader { core, source, position: first, end, piece: VecDeque::new() }))
    }
}

fn history_of(core: &Core, number: u32, partition: &Partition) -> Result<SourceHistory, QueueError> {
    let end = partition.end();
    let begin = core.log.first_record(number)?.map_or(end, Offset);
    Ok(SourceHistory { source: core.source(number), owner: None, begin, end, committed: partition.committed() })
}

fn unknown(source: Source) -> QueueError {
    QueueError::Unavailable(format!("this queue has no partition {source}"))
}

struct EmbeddedHistoryReader {
    core: Arc<Core>,
    source: Source,
    position: Offset,
    end: Offset,
    piece: VecDeque<ConsumedRecord>,
}

#[async_trait]
impl HistoryReader for EmbeddedHistoryReader {
    async fn next(&mut self) -> Result<Option<ConsumedRecord>, QueueError> {
        if self.piece.is_empty() && self.position < self.end {
            let (core, number, from, to) = (Arc::clone(&self.core), self.source.partition, self.position.0, self.end.0);
            self.piece = blocking(move || core.log.read(number, from, to, PIECE_BYTES)).await?.into();
            self.position = self.piece.back().map_or(self.end, |last| last.offset.next());
        }
        Ok(self.piece.pop_front())
    }
}
