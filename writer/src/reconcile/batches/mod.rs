//! Against a store whose rows name their batch: records and stored batches, read side by side in the order of their offsets.
//!
//! The store tells one digest a batch; where it differs, single rows are compared, first with the records near their batch, then
//! with all that the queue has of the source.
//!
//! | module | holds |
//! |---|---|
//! | this one | one source: its range, its records and batches side by side |
//! | `segment` | the records between two stored batches |
//! | `comparison` | rows that are missing, doubled or foreign |
//! | `strays` | rows under a batch that is not theirs |
//! | `mending` | batches that bring back what is missing |

mod comparison;
mod mending;
mod segment;
mod strays;

use std::collections::{BTreeSet, VecDeque};

use luminate_model::{Offset, Source};
use luminate_queue::SourceHistory;
use luminate_storage::{ProvenanceScope, ProvenanceSource, SampleSink, StoredRows};

use super::records::{JudgedRecords, OffsetRange};
use super::report::{BatchFault, ReconcileReport, SourceReport};
use super::{CLOCKS_APART_MS, ReconcileError, ReconcileParts, ReconcileRequest};
use comparison::compare;
use mending::mend;
use segment::Segment;
use strays::{Extra, Strays};

/// Batches that are asked of the store at once.
const BATCHES_AT_ONCE: usize = 10_000;
/// Segments are compared together until they have so many samples and rows.
const MAX_PENDING: u64 = 2_000_000;

const LEFT_TO_DO: &str = "doubled and foreign rows are never removed here: look at them by their source and batch and delete \
                          those that are too many; to begin anew, delete all rows of the batch, then mend";
const STORED_ELSEWHERE: &str = "some of it is stored under another batch: delete those rows there, then mend";

/// Compares all sources of a request, and mends them where that is asked for.
pub(super) async fn reconcile_batches(
    parts: &ReconcileParts,
    (store, sink): (&dyn ProvenanceSource, &dyn SampleSink),
    request: &ReconcileRequest,
    partitions: &[SourceHistory],
) -> Result<ReconcileReport, ReconcileError> {
    if request.mend {
        refuse_beside_erasures(sink).await?;
    }
    let mut report = ReconcileReport::default();
    if request.source.is_none() {
        let known: BTreeSet<Source> = partitions.iter().map(|partition| partition.source).collect();
        let stored = store.stored_sources().await?.into_iter();
        report.without_topic = stored.filter(|source| !known.contains(source)).map(|at| at.to_string()).collect();
    }
    for partition in partitions.iter().filter(|partition| request.source.is_none_or(|one| one == partition.source)) {
        let comparison = Comparison::of(parts, store, request, partition).await?;
        let (mut compared, strays) = comparison.run(None, Strays::default()).await?;
        if request.mend && compared.missing > 0 {
            (compared, _) = comparison.run(Some(sink), strays).await?;
            if store.erased_ends(&partition.source).await? != comparison.scope.erased {
                return Err(ReconcileError::ErasedMeanwhile);
            }
        }
        report.add(compared);
    }
    Ok(report)
}

/// An erasure waits for writers before it deletes, and not for us.
async fn refuse_beside_erasures(sink: &dyn SampleSink) -> Result<(), ReconcileError> {
    let unfinished = sink.unfinished_erasures().await?;
    unfinished.first().map_or(Ok(()), |erasure| Err(ReconcileError::ErasureRunning(erasure.tenant.to_string())))
}

/// What is compared of one source.
struct Comparison<'a> {
    parts: &'a ReconcileParts,
    store: &'a dyn ProvenanceSource,
    partition: &'a SourceHistory,
    range: OffsetRange,
    scope: ProvenanceScope,
}

/// One source under comparison.
struct Run<'a> {
    of: &'a Comparison<'a>,
    /// Where what is missing is stored, if it is.
    mend: Option<&'a dyn SampleSink>,
    report: SourceReport,
    /// Segments that are not right, and neighbours that may hold rows of theirs.
    pending: Vec<Segment>,
    /// What an earlier run found too much of.
    known_strays: Strays,
    strays: Strays,
}

impl<'a> Comparison<'a> {
    /// Finds the range: up to what is committed.
    async fn of(
        parts: &'a ReconcileParts,
        store: &'a dyn ProvenanceSource,
        request: &ReconcileRequest,
        partition: &'a SourceHistory,
    ) -> Result<Self, ReconcileError> {
        let source = partition.source;
        let watermark = partition.committed.next.unwrap_or(partition.begin);
        let erased = store.erased_ends(&source).await?;
        let kept_after = (parts.clock)() + CLOCKS_APART_MS;
        let scope = ProvenanceScope { source, first: partition.begin, next: watermark, kept_after, erased };
        let range = find_range(parts, store, request, &scope).await?;
        let scope = scope.between(range.first, range.next);
        Ok(Self { parts, store, partition, range, scope })
    }

    /// Compares; with a sink, mends what is missing. `known_strays` are those of an earlier run: what is among them is not
    /// mended, since it would be there twice.
    async fn run(
        &self,
        mend: Option<&dyn SampleSink>,
        known_strays: Strays,
    ) -> Result<(SourceReport, Strays), ReconcileError> {
        let report = SourceReport::new(self.scope.source, self.range.first, self.range.next);
        let mut run = Run { of: self, mend, report, pending: Vec::new(), known_strays, strays: Strays::default() };
        if self.range.first < self.range.next {
            run.compare_range().await?;
        }
        run.look_beyond_the_end().await?;
        run.strays.recognise(self.parts, self.partition, &mut run.report).await?;
        Ok((run.report, run.strays))
    }
}

/// From the last batch that begins at the wanted time or before, to the first that begins after it. Where the topic has lost
/// the beginning of a batch, the comparison begins with the next one.
async fn find_range(
    parts: &ReconcileParts,
    store: &dyn ProvenanceSource,
    request: &ReconcileRequest,
    scope: &ProvenanceScope,
) -> Result<OffsetRange, ReconcileError> {
    let (begin, watermark) = (scope.first, scope.next);
    let wanted = match request.from {
        Some(time) => parts.history.offset_at(scope.source, time).await?.min(watermark),
        None => begin,
    };
    let first = match store.last_batch(&scope.between(begin, wanted.next())).await? {
        Some(batch) => batch,
        None if store.last_batch(&scope.between(Offset(0), begin)).await?.is_none() => begin,
        None => first_batch(store, &scope.between(begin, watermark)).await?.unwrap_or(watermark),
    };
    let end = match request.to {
        Some(time) => parts.history.offset_at(scope.source, time).await?.min(watermark),
        None => watermark,
    };
    let next = first_batch(store, &scope.between(end, watermark)).await?.unwrap_or(watermark);
    Ok(OffsetRange { first, next })
}

/// The first batch that begins within a scope.
async fn first_batch(store: &dyn ProvenanceSource, scope: &ProvenanceScope) -> Result<Option<Offset>, ReconcileError> {
    let mut batches = StoredBatches::new(store, scope.clone());
    while let Some(stored) = batches.next().await? {
        if stored.rows.rows > 0 {
            return Ok(Some(stored.batch));
        }
    }
    Ok(None)
}

impl Run<'_> {
    async fn compare_range(&mut self) -> Result<(), ReconcileError> {
        let Comparison { parts, store, partition, range, scope } = self.of;
        let mut records = JudgedRecords::open(parts, partition, *range).await?;
        let mut batches = StoredBatches::new(*store, scope.clone());
        let mut upcoming = batches.next().await?;
        let mut open = Segment::new(range.first);
        loop {
            let record = records.next().await?;
            let at = record.as_ref().map_or(range.next, |record| record.offset);
            while let Some(stored) = upcoming.take_if(|stored| stored.batch <= at) {
                if stored.rows.rows > 0 && stored.batch > open.first {
                    let closed = std::mem::replace(&mut open, Segment::new(stored.batch));
                    self.close(closed, stored.batch).await?;
                }
                open.find(stored);
                upcoming = batches.next().await?;
            }
            let Some(record) = record else { break };
            if open.is_full() {
                let closed = std::mem::replace(&mut open, Segment::new(record.offset));
                self.close(closed, record.offset).await?;
            }
            self.report.records += 1;
            if let Some(expected) = record.expected {
                open.expect(scope, expected, record.may_be_repeat);
            }
        }
        self.close(open, range.next).await?;
        self.settle_pending().await
    }

    /// A segment has all its records and rows.
    async fn close(&mut self, mut segment: Segment, next: Offset) -> Result<(), ReconcileError> {
        segment.next = next;
        self.report.expected += segment.expected.rows;
        let is_right = segment.is_right();
        if is_right && !self.pending.last().is_some_and(Segment::may_hold_more) {
            return self.settle_pending().await;
        }
        self.pending.push(segment);
        let size: u64 = self.pending.iter().map(|segment| segment.expected.rows + segment.found.rows).sum();
        let is_last = is_right || size >= MAX_PENDING;
        if is_last { self.settle_pending().await } else { Ok(()) }
    }

    /// Finds out what is wrong with the pending segments, row by row.
    async fn settle_pending(&mut self) -> Result<(), ReconcileError> {
        let segments = std::mem::take(&mut self.pending);
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return Ok(()) };
        let Comparison { parts, store, scope, .. } = self.of;
        let rows = store.rows(&scope.between(first.first, last.next)).await?;
        let findings = compare(scope, &segments, rows, &self.known_strays);
        let is_orderly = findings.iter().all(|found| found.extra.is_empty() && found.elsewhere == 0);
        for (found, segment) in findings.iter().zip(&segments) {
            let mut fault = found.fault(segment);
            self.report.not_judged += found.not_judged;
            if found.stray > 0 {
                fault.advice = Some(STORED_ELSEWHERE.to_owned());
            } else if !is_orderly {
                fault.advice = Some(LEFT_TO_DO.to_owned());
            } else if let Some(sink) = self.mend.filter(|_| fault.missing > 0) {
                let max_samples = parts.config.batch.max_samples;
                match mend(sink, scope.source, segment, found, max_samples).await {
                    Ok(mended) => fault.mended = mended.min(fault.missing),
                    Err(reason) => fault.advice = Some(reason),
                }
            } else if fault.missing > 0 {
                fault.advice = Some("mend: the records are still in the topic".to_owned());
            }
            let listed = self.report.add(fault);
            self.strays.take(&found.extra, listed);
        }
        Ok(())
    }

    /// Rows of batches that the topic has not reached.
    async fn look_beyond_the_end(&mut self) -> Result<(), ReconcileError> {
        let Comparison { parts, store, partition, scope, .. } = self.of;
        let beyond = |end: Offset| scope.between(end, Offset(u64::MAX));
        if store.batches(&beyond(partition.end), 1).await?.is_empty() {
            return Ok(());
        }
        // Records may have come since the end was looked up.
        let partitions = parts.history.partitions().await?;
        let end = partitions.iter().find(|known| known.source == partition.source).map_or(partition.end, |now| now.end);
        let mut batches = StoredBatches::new(*store, beyond(end));
        while let Some(stored) = batches.next().await? {
            let (first, next) = (stored.batch, stored.batch.next());
            let advice = Some(LEFT_TO_DO.to_owned());
            let mut fault = BatchFault { first: first.0, next: next.0, advice, ..BatchFault::default() };
            let rows = store.rows(&scope.between(first, next)).await?;
            let extra: Vec<Extra> = rows.into_iter().map(Extra::foreign).collect();
            extra.iter().for_each(|row| fault.add_foreign(row.day, row.count));
            let listed = self.report.add(fault);
            self.strays.take(&extra, listed);
        }
        Ok(())
    }
}

/// Stored batches of a scope, asked for as they are needed.
struct StoredBatches<'a> {
    store: &'a dyn ProvenanceSource,
    left: ProvenanceScope,
    page: VecDeque<StoredRows>,
}

impl<'a> StoredBatches<'a> {
    fn new(store: &'a dyn ProvenanceSource, scope: ProvenanceScope) -> Self {
        Self { store, left: scope, page: VecDeque::new() }
    }

    async fn next(&mut self) -> Result<Option<StoredRows>, ReconcileError> {
        if self.page.is_empty() && self.left.first < self.left.next {
            self.page = self.store.batches(&self.left, BATCHES_AT_ONCE).await?.into();
            self.left.first = self.page.back().map_or(self.left.next, |last| last.batch.next());
        }
        Ok(self.page.pop_front())
    }
}
