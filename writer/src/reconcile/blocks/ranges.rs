//! Which offsets and which blocks are compared.

use std::collections::{BTreeMap, BTreeSet};

use luminate_model::{Offset, Source, TenantId};
use luminate_queue::SourceHistory;
use luminate_storage::{BlockProvenance, Span, StoredBlock};

use crate::reconcile::records::OffsetRange;
use crate::reconcile::report::SourceReport;
use crate::reconcile::{ReconcileError, ReconcileParts, ReconcileRequest};

/// The offsets of one source that are compared.
pub(super) struct ComparedRange {
    pub(super) partition: SourceHistory,
    pub(super) range: OffsetRange,
    /// Whether what lies after the range is no record's that is stored: rows from there are too many.
    is_open: bool,
    /// For each erased tenant the end of its erasure.
    pub(super) erased: BTreeMap<TenantId, Offset>,
}

/// All ranges, and the blocks that have rows of them.
pub(super) struct ComparedRanges {
    pub(super) ranges: Vec<ComparedRange>,
    /// Blocks whose rows are all of the ranges.
    pub(super) within: Vec<StoredBlock>,
    /// Blocks that have rows of others, too.
    pub(super) across: Vec<StoredBlock>,
    /// Sources that blocks name and the queue does not know.
    unknown: BTreeSet<Source>,
}

impl ComparedRange {
    fn holds(&self, span: &Span) -> bool {
        self.range.first <= span.first && (self.is_open || span.next <= self.range.next)
    }

    fn touches(&self, span: &Span) -> bool {
        self.range.first < span.next && (self.is_open || span.first < self.range.next)
    }
}

impl ComparedRanges {
    /// Of each source what the queue still has and the store should: before the offset up to which it is stored.
    pub(super) async fn find(
        parts: &ReconcileParts,
        store: &dyn BlockProvenance,
        request: &ReconcileRequest,
        partitions: &[SourceHistory],
    ) -> Result<Self, ReconcileError> {
        let stored = store.stored_ends().await?;
        let mut ranges = Vec::new();
        for partition in partitions.iter().filter(|one| request.source.is_none_or(|wanted| wanted == one.source)) {
            let source = partition.source;
            let end = stored.get(&source).copied().unwrap_or_default().clamp(partition.begin, partition.end);
            let first = match request.from {
                Some(time) => parts.history.offset_at(source, time).await?.clamp(partition.begin, end),
                None => partition.begin,
            };
            let next = match request.to {
                Some(time) => parts.history.offset_at(source, time).await?.clamp(first, end),
                None => end,
            };
            ranges.push(ComparedRange {
                partition: partition.clone(),
                range: OffsetRange { first, next },
                is_open: request.to.is_none(),
                erased: store.erased_ends(&source).await?,
            });
        }
        let known: BTreeSet<Source> = partitions.iter().map(|partition| partition.source).collect();
        let mut found = Self { ranges, within: Vec::new(), across: Vec::new(), unknown: BTreeSet::new() };
        for block in store.blocks().await? {
            found.take(block, &known);
        }
        Ok(found)
    }

    fn take(&mut self, block: StoredBlock, known: &BTreeSet<Source>) {
        self.unknown.extend(block.spans.iter().map(|span| span.source).filter(|source| !known.contains(source)));
        let of = |span: &Span| self.ranges.iter().find(|one| one.partition.source == span.source);
        if block.spans.iter().all(|span| of(span).is_some_and(|range| range.holds(span))) {
            self.within.push(block);
        } else if block.spans.iter().any(|span| of(span).is_some_and(|range| range.touches(span))) {
            self.across.push(block);
        }
    }

    /// The range that a source's offsets are compared of.
    pub(super) fn position(&self, source: Source) -> Option<usize> {
        self.ranges.iter().position(|range| range.partition.source == source)
    }

    /// A report for each range, still empty.
    pub(super) fn reports(&self) -> Vec<SourceReport> {
        let report = |of: &ComparedRange| SourceReport::new(of.partition.source, of.range.first, of.range.next);
        self.ranges.iter().map(report).collect()
    }

    /// Sources of which there are blocks and no topic.
    pub(super) fn unknown_sources(&self) -> Vec<String> {
        self.unknown.iter().map(Source::to_string).collect()
    }
}
