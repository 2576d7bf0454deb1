//! The open batch: what was read of a partition and is not stored.

use luminate_model::{Offset, Source};
use luminate_queue::{ConsumedRecord, DeadLetter};
use luminate_storage::{Batch, BatchRecord, IdempotencyEntry};

use crate::dead_letter::{dead_letter, dead_letter_of_samples};
use crate::idempotency::oldest_in_window;
use crate::judge::Verdict;

/// What a batch may hold.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Samples.
    pub samples: usize,
    /// Memory of the decoded samples and of the dead letters, in bytes. One record may exceed it.
    pub bytes: usize,
    /// Bytes that are kept of each record that cannot be used.
    pub dead_letter_bytes: usize,
}

/// A contiguous range of offsets of one partition, and what became of its records.
pub struct OpenBatch {
    limits: BatchLimits,
    source: Source,
    /// Where the batch begins, where that is known: offsets before its first record hold nothing.
    begin: Option<Offset>,
    range: Option<Range>,
    records: Vec<BatchRecord>,
    idempotency: Vec<IdempotencyEntry>,
    dead_letters: Vec<DeadLetter>,
    samples: usize,
    bytes: usize,
    repeated: u64,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    first: Offset,
    next: Offset,
    oldest_append_time: i64,
    newest_append_time: i64,
}

/// A batch that is complete: what to do with it, in this order.
#[derive(Debug)]
pub struct ClosedBatch {
    /// First these are kept,
    pub dead_letters: Vec<DeadLetter>,
    /// then this is stored, and then its next offset committed.
    pub batch: Batch,
    /// Samples of records that were recognised as repeats.
    pub repeated: u64,
    /// Memory of the decoded samples, in bytes.
    pub bytes: usize,
    /// When the queue appended the first record, ms since 1970.
    pub oldest_append_time: i64,
}

impl OpenBatch {
    /// An empty batch that continues at `begin`; `None` where the first record shall decide.
    #[must_use]
    pub fn new(source: Source, limits: BatchLimits, begin: Option<Offset>) -> Self {
        Self {
            limits,
            source,
            begin,
            range: None,
            records: Vec::new(),
            idempotency: Vec::new(),
            dead_letters: Vec::new(),
            samples: 0,
            bytes: 0,
            repeated: 0,
        }
    }

    /// Takes the next record of the partition with what becomes of it.
    pub fn add(&mut self, record: &ConsumedRecord, verdict: Verdict) {
        let range = self.range.get_or_insert(Range {
            first: self.begin.unwrap_or(record.offset),
            next: record.offset,
            oldest_append_time: record.append_time,
            newest_append_time: record.append_time,
        });
        range.next = record.offset.next();
        range.newest_append_time = record.append_time;
        match verdict {
            Verdict::Store { tenant, samples, rejected, idempotency } => {
                for rejected in rejected {
                    let max_bytes = self.limits.dead_letter_bytes;
                    self.keep(dead_letter_of_samples(self.source, record, rejected, tenant.clone(), max_bytes));
                }
                self.samples += samples.len();
                self.bytes += samples.memory_bytes();
                self.idempotency.extend(idempotency);
                self.records.push(BatchRecord { tenant, offset: record.offset, samples });
            }
            Verdict::Repeat { samples, idempotency } => {
                self.repeated += samples;
                self.idempotency.push(idempotency);
            }
            Verdict::Reject { reject, tenant, idempotency } => {
                self.idempotency.extend(idempotency);
                self.keep(dead_letter(self.source, record, reject, tenant, self.limits.dead_letter_bytes));
            }
        }
    }

    fn keep(&mut self, letter: DeadLetter) {
        let headers = letter.headers.iter().map(|(name, value)| name.len() + value.len());
        self.bytes += letter.bytes.len() + letter.key.len() + headers.sum::<usize>();
        self.dead_letters.push(letter);
    }

    /// Whether no record was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_none()
    }

    /// Whether a limit is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.samples >= self.limits.samples || self.bytes >= self.limits.bytes
    }

    /// When the queue appended the first record, ms since 1970; `None` while there is none.
    #[must_use]
    pub fn oldest_append_time(&self) -> Option<i64> {
        self.range.map(|range| range.oldest_append_time)
    }

    /// Takes everything out as a batch, which may hold no record to store but has its range all the same; `None` where no
    /// record was taken.
    pub fn close(&mut self) -> Option<ClosedBatch> {
        let range = self.range?;
        let closed = std::mem::replace(self, Self::new(self.source, self.limits, Some(range.next)));
        let batch = Batch {
            source: closed.source,
            first: range.first,
            next: range.next,
            records: closed.records,
            idempotency: closed.idempotency,
            forget_idempotency_before: oldest_in_window(range.newest_append_time),
        };
        Some(ClosedBatch {
            dead_letters: closed.dead_letters,
            batch,
            repeated: closed.repeated,
            bytes: closed.bytes,
            oldest_append_time: range.oldest_append_time,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use luminate_model::{Incarnation, Reject, RejectCode};
    use luminate_schemas::RejectedSamples;
    use proptest::prelude::*;

    use super::*;
    use crate::test_records::{columns, consumed, tenant};

    const SOURCE: Source = Source { incarnation: Incarnation([5; 16]), partition: 1 };
    const LIMITS: BatchLimits = BatchLimits { samples: 10, bytes: 1 << 20, dead_letter_bytes: 4 };

    fn store(samples: usize) -> Verdict {
        let values: Vec<i64> = (0..samples as i64).collect();
        Verdict::Store { tenant: tenant("a"), samples: columns(&values), rejected: Vec::new(), idempotency: None }
    }

    fn repeat(samples: usize) -> Verdict {
        let (tenant, offset) = (tenant("a"), Offset(0));
        let idempotency = IdempotencyEntry { tenant, key: 1, part: 0, body: 1, append_time: 0, offset };
        Verdict::Repeat { samples: samples as u64, idempotency }
    }

    fn reject() -> Verdict {
        Verdict::Reject { reject: Reject::new(RejectCode::RecordMalformed, "bad"), tenant: None, idempotency: None }
    }

    #[test]
    fn a_batch_without_samples_still_has_its_range() {
        let mut batch = OpenBatch::new(SOURCE, LIMITS, None);
        assert!(batch.close().is_none());
        batch.add(&consumed(7, "a/0", "bytes"), reject());
        batch.add(&consumed(8, "a/0", ""), repeat(5));
        assert!(!batch.is_empty());
        let closed = batch.close().unwrap();
        assert_eq!((closed.batch.first, closed.batch.next), (Offset(7), Offset(9)));
        assert_eq!((closed.batch.records.len(), closed.repeated, closed.dead_letters.len()), (0, 5, 1));
        assert!(batch.is_empty() && batch.close().is_none());
        // Offset 9 holds nothing.
        batch.add(&consumed(10, "a/0", "bytes"), reject());
        let closed = batch.close().unwrap();
        assert_eq!((closed.batch.first, closed.batch.next), (Offset(9), Offset(11)));
    }

    #[test]
    fn a_sample_that_is_rejected_is_a_dead_letter_beside_the_others() {
        let mut batch = OpenBatch::new(SOURCE, LIMITS, None);
        let reject = Reject::new(RejectCode::ValueNotFinite, "bad");
        let rejected = vec![RejectedSamples { index: 2, samples: 1, reject, value: b"bad".to_vec() }];
        let verdict = Verdict::Store { tenant: tenant("a"), samples: columns(&[1, 2]), rejected, idempotency: None };
        batch.add(&consumed(7, "a/0", "bytes"), verdict);
        let closed = batch.close().unwrap();
        assert_eq!((closed.batch.samples(), closed.dead_letters.len()), (2, 1));
        assert_eq!(closed.dead_letters[0].id.index, Some(2));
    }

    #[test]
    fn many_dead_letters_fill_a_batch_too() {
        let mut batch = OpenBatch::new(SOURCE, BatchLimits { bytes: 15, ..LIMITS }, None);
        batch.add(&consumed(0, "a/0", "12345678"), reject());
        batch.add(&consumed(1, "a/0", "12345678"), reject());
        assert!(!batch.is_full());
        batch.add(&consumed(2, "a/0", "12345678"), reject());
        assert!(batch.is_full());
    }

    #[test]
    fn headers_of_dead_letters_fill_a_batch_too() {
        let mut batch = OpenBatch::new(SOURCE, LIMITS, None);
        let mut record = consumed(0, "a/0", "");
        record.headers.push(("trace".to_owned(), vec![0; LIMITS.bytes].into()));
        batch.add(&record, reject());
        assert!(batch.is_full());
    }

    proptest! {
        /// Batches are contiguous and complete: whatever the records are, each is in exactly one batch, accounted for once.
        #[test]
        fn every_record_is_in_one_batch(kinds in proptest::collection::vec((0..3_u8, 0..8_usize), 0..60)) {
            let mut batch = OpenBatch::new(SOURCE, LIMITS, None);
            let mut closed = Vec::new();
            for (offset, (kind, samples)) in kinds.iter().enumerate() {
                let verdict = match kind {
                    0 => store(*samples),
                    1 => repeat(*samples),
                    _ => reject(),
                };
                batch.add(&consumed(offset as u64, "a/0", "bytes"), verdict);
                if batch.is_full() {
                    closed.extend(batch.close());
                }
            }
            closed.extend(batch.close());
            let mut next = Offset(0);
            for closed in &closed {
                prop_assert_eq!(closed.batch.first, next);
                prop_assert!(closed.batch.next > closed.batch.first);
                next = closed.batch.next;
                prop_assert!(closed.batch.samples() < LIMITS.samples + 8, "one record over the limit at most");
            }
            prop_assert_eq!(next, Offset(kinds.len() as u64));
            let of = |wanted: u8| kinds.iter().filter(move |(kind, _)| *kind == wanted);
            prop_assert_eq!(closed.iter().map(|c| c.batch.records.len()).sum::<usize>(), of(0).count());
            prop_assert_eq!(closed.iter().map(|c| c.repeated).sum::<u64>(), of(1).map(|(_, n)| *n as u64).sum::<u64>());
            prop_assert_eq!(closed.iter().map(|c| c.dead_letters.len()).sum::<usize>(), of(2).count());
        }
    }
}
