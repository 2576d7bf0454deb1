//! What was found.

use luminate_model::{Offset, Source};
use serde::Serialize;

/// More faults than this are counted, not listed.
const MAX_FAULTS: usize = 1000;

/// What was found of all sources that were looked at.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReconcileReport {
    /// Whether nothing is wrong, or nothing is any more after mending.
    pub clean: bool,
    /// Samples that the store should hold.
    pub expected: u64,
    /// Samples that the store did not hold.
    pub missing: u64,
    /// Samples that it holds more often than it should, under whatever batch.
    pub doubled: u64,
    /// Samples that it holds and no record of the source has.
    pub foreign: u64,
    /// Missing samples that were stored.
    pub mended: u64,
    /// The sources.
    pub sources: Vec<SourceReport>,
    /// Sources of which there are rows and no topic (any more): nothing can be said of them.
    pub without_topic: Vec<String>,
}

/// What was found of one source.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceReport {
    /// Incarnation and partition.
    pub source: String,
    /// The first offset that was compared
    pub from: u64,
    /// and the one after the last; the committed offset at most.
    pub to: u64,
    /// Records that were compared.
    pub records: u64,
    /// Samples that the store should hold.
    pub expected: u64,
    /// Samples that the store did not hold.
    pub missing: u64,
    /// Samples that it holds more often than it should, under whatever batch.
    pub doubled: u64,
    /// Samples that it holds and no record of the source has.
    pub foreign: u64,
    /// Samples that the store does not hold, and of which cannot be known whether it should: an erasure ends within their batch
    /// (of a store that knows of blocks alone: something of their tenant was erased once), or they may repeat records that the
    /// queue has no more.
    pub not_judged: u64,
    /// Missing samples that were stored.
    pub mended: u64,
    /// Batches with faults, the first thousand.
    pub batches: Vec<BatchFault>,
    /// Batches with faults that are not listed.
    pub more_batches: u64,
}

/// What is wrong with the rows between two batches; of a store that knows where its blocks came from, what is missing between two
/// offsets, or what a block has too much.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchFault {
    /// The first offset.
    pub first: u64,
    /// The offset of the next stored batch; else the one after the last.
    pub next: u64,
    /// Samples that the store did not hold.
    pub missing: u64,
    /// Samples that it holds more often than it should, under whatever batch.
    pub doubled: u64,
    /// Samples that it holds and no record of the source has.
    pub foreign: u64,
    /// Missing samples that were stored.
    pub mended: u64,
    /// The same by slice.
    pub slices: Vec<SliceFault>,
    /// What to do, where something is left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What is wrong with the rows of one UTC day of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SliceFault {
    /// Days since 1970.
    pub day: i64,
    /// Samples that the store did not hold.
    pub missing: u64,
    /// Samples that it holds more often than it should, under whatever batch.
    pub doubled: u64,
    /// Samples that it holds and no record of the source has.
    pub foreign: u64,
}

impl ReconcileReport {
    pub(super) fn add(&mut self, source: SourceReport) {
        self.expected += source.expected;
        self.missing += source.missing;
        self.doubled += source.doubled;
        self.foreign += source.foreign;
        self.mended += source.mended;
        self.sources.push(source);
        self.clean = self.missing == self.mended && self.doubled == 0 && self.foreign == 0;
    }
}

impl SourceReport {
    pub(super) fn new(source: Source, from: Offset, to: Offset) -> Self {
        Self { source: source.to_string(), from: from.0, to: to.0, ..Self::default() }
    }

    /// Takes a fault; answers with its place among `batches`, where it is listed there.
    pub(super) fn add(&mut self, fault: BatchFault) -> Option<usize> {
        if fault.missing + fault.doubled + fault.foreign == 0 {
            return None;
        }
        self.missing += fault.missing;
        self.doubled += fault.doubled;
        self.foreign += fault.foreign;
        self.mended += fault.mended;
        if self.batches.len() >= MAX_FAULTS {
            self.more_batches += 1;
            return None;
        }
        self.batches.push(fault);
        Some(self.batches.len() - 1)
    }

    /// Rows that a fault tells as foreign turned out to be doubled. `listed` is the fault's place among `batches`.
    pub(super) fn turn_out_doubled(&mut self, listed: Option<usize>, day: i64, count: u64) {
        self.foreign -= count;
        self.doubled += count;
        if let Some(fault) = listed.and_then(|at| self.batches.get_mut(at)) {
            fault.foreign -= count;
            fault.slice(day).foreign -= count;
            fault.add_doubled(day, count);
        }
    }
}

impl BatchFault {
    pub(super) fn add_missing(&mut self, day: i64, count: u64) {
        self.missing += count;
        self.slice(day).missing += count;
    }

    pub(super) fn add_doubled(&mut self, day: i64, count: u64) {
        self.doubled += count;
        self.slice(day).doubled += count;
    }

    pub(super) fn add_foreign(&mut self, day: i64, count: u64) {
        self.foreign += count;
        self.slice(day).foreign += count;
    }

    /// The slice of a day; they ascend.
    fn slice(&mut self, day: i64) -> &mut SliceFault {
        let found = self.slices.binary_search_by_key(&day, |slice| slice.day);
        let at = found.unwrap_or_else(|at| {
            self.slices.insert(at, SliceFault { day, ..SliceFault::default() });
            at
        });
        &mut self.slices[at]
    }
}
