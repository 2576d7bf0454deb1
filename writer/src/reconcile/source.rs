//! One source: its records and its stored batches, read side by side in the order of their offsets.

use std::collections::VecDeque;

use luminate_model::{Offset, Source};
use luminate_queue::{ConsumedRecord, SourceHistory};
use luminate_storage::{BatchRecord, ProvenanceScope, ProvenanceSource, StoredRows};

use super::comparison::compare;
use super::mending::mend;
use super::report::{BatchFault, SourceReport};
use super::segment::Segment;
use super::{ReconcileError, ReconcileParts, ReconcileRequest};
use crate::decode::RecordDecoder;
use crate::idempotency::{IdempotencyWindow, WINDOW_MS, oldest_in_window};
use crate::judge::{NeedsSchema, Verdict, judge};

/// How far the store's clock may be ahead of ours, ms. Rows that expire within are not compared.
const CLOCKS_APART_MS: i64 = 3_600_000;
/// Batches that are asked of the store at once.
const BATCHES_AT_ONCE: usize = 10_000;
/// Segments are compared together until they have so many samples and rows.
const MAX_PENDING: u64 = 2_000_000;

const LEFT_TO_DO: &str = "doubled and foreign rows are never removed here: look at them by their source and batch and delete \
                          those that are too many; to begin anew, delete all rows of the batch, then mend";

/// The offsets that are compared, from one batch's beginning to another's end.
struct Range {
    first: Offset,
    next: Offset,
}

/// One source under comparison.
struct Run<'a> {
    parts: &'a ReconcileParts,
    mend: bool,
    scope: ProvenanceScope,
    report: SourceReport,
    /// Segments that are not right, and neighbours that may hold rows of theirs.
    pending: Vec<Segment>,
}

/// Compares one source up to what is committed.
pub(super) async fn reconcile_source(
    parts: &ReconcileParts,
    request: &ReconcileRequest,
    partition: &SourceHistory,
) -> Result<SourceReport, ReconcileError> {
    let source = partition.source;
    let watermark = partition.committed.next.unwrap_or(partition.begin);
    let erased = parts.store.erased_ends(&source).await?;
    let kept_after = (parts.clock)() + CLOCKS_APART_MS;
    let scope = ProvenanceScope { source, first: partition.begin, next: watermark, kept_after, erased };
    let range = find_range(parts, request, &scope).await?;
    let report = SourceReport::new(source, range.first, range.next);
    let scope = scope.between(range.first, range.next);
    let mut run = Run { parts, mend: request.mend, scope, report, pending: Vec::new() };
    if range.first < range.next {
        run.compare_range(partition, &range).await?;
    }
    run.look_beyond_the_end(partition).await?;
    Ok(run.report)
}

/// From the last batch that begins at the wanted time or before, to the first that begins after it. Where the topic has lost
/// the beginning of a batch, the comparison begins with the next one.
async fn find_range(
    parts: &ReconcileParts,
    request: &ReconcileRequest,
    scope: &ProvenanceScope,
) -> Result<Range, ReconcileError> {
    let (store, begin, watermark) = (&parts.store, scope.first, scope.next);
    let wanted = match request.from {
        Some(time) => parts.history.offset_at(scope.source, time).await?.min(watermark),
        None => begin,
    };
    let first = match store.last_batch(&scope.between(begin, wanted.next())).await? {
        Some(batch) => batch,
        None if store.last_batch(&scope.between(Offset(0), begin)).await?.is_none() => begin,
        None => first_batch(store.as_ref(), &scope.between(begin, watermark)).await?.unwrap_or(watermark),
    };
    let end = match request.to {
        Some(time) => parts.history.offset_at(scope.source, time).await?.min(watermark),
        None => watermark,
    };
    let next = first_batch(store.as_ref(), &scope.between(end, watermark)).await?.unwrap_or(watermark);
    Ok(Range { first, next })
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
    async fn compare_range(&mut self, partition: &SourceHistory, range: &Range) -> Result<(), ReconcileError> {
        let parts = self.parts;
        let scope = self.scope.clone();
        let mut records = JudgedRecords::open(parts, partition, range).await?;
        let mut batches = StoredBatches::new(parts.store.as_ref(), scope.clone());
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
            if record.offset < range.first {
                continue;
            }
            if open.is_full() {
                let closed = std::mem::replace(&mut open, Segment::new(record.offset));
                self.close(closed, record.offset).await?;
            }
            self.report.records += 1;
            if let Some(expected) = record.expected {
                open.expect(&scope, expected, record.may_be_repeat);
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
        let rows = self.parts.store.rows(&self.scope.between(first.first, last.next)).await?;
        let findings = compare(&self.scope, &segments, rows);
        let is_orderly = findings.iter().zip(&segments).all(|(found, segment)| {
            let fault = found.fault(segment);
            fault.doubled == 0 && fault.foreign == 0 && found.elsewhere == 0
        });
        for (found, segment) in findings.iter().zip(&segments) {
            let mut fault = found.fault(segment);
            self.report.not_judged += found.not_judged;
            if !is_orderly {
                fault.advice = Some(LEFT_TO_DO.to_owned());
            } else if self.mend && fault.missing > 0 {
                let max_samples = self.parts.config.batch.max_samples;
                let mended = mend(self.parts.sink.as_ref(), self.scope.source, segment, found, max_samples).await;
                match mended {
                    Ok(mended) => fault.mended = mended.min(fault.missing),
                    Err(reason) => fault.advice = Some(reason),
                }
            } else if fault.missing > 0 {
                fault.advice = Some("mend: the records are still in the topic".to_owned());
            }
            self.report.add(fault);
        }
        Ok(())
    }

    /// Rows of batches that the topic has not reached.
    async fn look_beyond_the_end(&mut self, partition: &SourceHistory) -> Result<(), ReconcileError> {
        let beyond = |end: Offset| self.scope.between(end, Offset(u64::MAX));
        if self.parts.store.batches(&beyond(partition.end), 1).await?.is_empty() {
            return Ok(());
        }
        // Records may have come since the end was looked up.
        let partitions = self.parts.history.partitions().await?;
        let end = partitions.iter().find(|known| known.source == partition.source).map_or(partition.end, |now| now.end);
        let mut batches = StoredBatches::new(self.parts.store.as_ref(), beyond(end));
        let mut faults = Vec::new();
        while let Some(stored) = batches.next().await? {
            let foreign = stored.rows.rows + stored.cut.rows;
            let advice = Some(LEFT_TO_DO.to_owned());
            let (first, next) = (stored.batch.0, stored.batch.next().0);
            faults.push(BatchFault { first, next, foreign, advice, ..BatchFault::default() });
        }
        faults.into_iter().for_each(|fault| self.report.add(fault));
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

/// A record, and what the store should have of it.
struct JudgedRecord {
    offset: Offset,
    expected: Option<BatchRecord>,
    /// Whether it may repeat a record that the topic has no more.
    may_be_repeat: bool,
}

/// Records as a writer judges them.
struct JudgedRecords<'a> {
    parts: &'a ReconcileParts,
    reader: Box<dyn luminate_queue::HistoryReader>,
    decoder: RecordDecoder,
    window: IdempotencyWindow,
    /// Records with a key that were appended before this time may repeat others that are gone. Known with the first record.
    window_known_from: Option<i64>,
    /// Whether records before the first one that is read are gone.
    begins_late: bool,
}

impl<'a> JudgedRecords<'a> {
    /// Begins so early that repeats are recognised.
    async fn open(
        parts: &'a ReconcileParts,
        partition: &SourceHistory,
        range: &Range,
    ) -> Result<JudgedRecords<'a>, ReconcileError> {
        let source = partition.source;
        let first = match append_time(parts, source, range).await? {
            Some(time) => parts.history.offset_at(source, oldest_in_window(time)).await?,
            None => range.first,
        };
        let first = first.min(range.first).max(partition.begin);
        Ok(Self {
            parts,
            reader: parts.history.read(source, first, range.next).await?,
            decoder: RecordDecoder::new(partition.owner.clone(), std::sync::Arc::clone(&parts.schemas)),
            window: IdempotencyWindow::new(parts.config.idempotency.max_entries, Vec::new()),
            window_known_from: None,
            begins_late: first == partition.begin && first > Offset(0),
        })
    }

    async fn next(&mut self) -> Result<Option<JudgedRecord>, ReconcileError> {
        let Some(record) = self.reader.next().await? else { return Ok(None) };
        let (offset, append_time) = (record.offset, record.append_time);
        let known_from = *self.window_known_from.get_or_insert(if self.begins_late {
            append_time.saturating_add(WINDOW_MS)
        } else {
            i64::MIN
        });
        let judged = match self.judge(&record).await? {
            Verdict::Store { tenant, samples, idempotency, .. } => {
                let may_be_repeat = idempotency.is_some() && append_time < known_from;
                JudgedRecord { offset, expected: Some(BatchRecord { tenant, offset, samples }), may_be_repeat }
            }
            Verdict::Repeat { .. } | Verdict::Reject { .. } => {
                JudgedRecord { offset, expected: None, may_be_repeat: false }
            }
        };
        Ok(Some(judged))
    }

    async fn judge(&mut self, record: &ConsumedRecord) -> Result<Verdict, ReconcileError> {
        loop {
            match judge(&mut self.window, &mut self.decoder, record) {
                Ok(verdict) => return Ok(verdict),
                Err(NeedsSchema(id)) => self.parts.schemas.learn(id).await?,
            }
        }
    }
}

/// When the first record of a range was appended.
async fn append_time(parts: &ReconcileParts, source: Source, range: &Range) -> Result<Option<i64>, ReconcileError> {
    let mut reader = parts.history.read(source, range.first, range.next).await?;
    Ok(reader.next().await?.map(|record| record.append_time))
}
