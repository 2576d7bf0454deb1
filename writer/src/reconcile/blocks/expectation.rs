//! The samples that the store should have, by the records.

use luminate_model::columns::SampleRow;
use luminate_storage::{BatchRecord, BlockProvenance};

use super::Comparison;
use crate::reconcile::ReconcileError;
use crate::reconcile::records::{JudgedRecords, OffsetRange, fingerprint};

/// A record that was read.
pub(super) struct ExpectedRecord<'a> {
    /// The place of its range.
    pub(super) range: usize,
    /// What the store should have of it; nothing of repeats, rejects and what is erased.
    pub(super) record: Option<BatchRecord>,
    /// Whether the store may rightly have nothing of it: it may repeat one that is gone, or was stored together with something
    /// that was erased.
    pub(super) is_doubtful: bool,
    store: &'a dyn BlockProvenance,
    as_of: i64,
}

impl ExpectedRecord<'_> {
    /// Shows the samples that the store should have, with their fingerprints.
    pub(super) fn for_each_row(&self, mut visit: impl FnMut(&SampleRow<'_>, u64)) {
        let Some(BatchRecord { tenant, samples, .. }) = &self.record else { return };
        let mut scratch = Vec::new();
        for row in samples.rows() {
            if row.timestamp >= self.store.kept_from(tenant, row.metric(), row.retention_days(), self.as_of) {
                let fingerprint = fingerprint(&mut scratch, tenant, &row);
                visit(&row, fingerprint);
            }
        }
    }
}

/// The records of several ranges, one range after another.
pub(super) struct ExpectedRecords<'a> {
    comparison: &'a Comparison<'a>,
    /// Places of ranges and their offsets, those that come next last.
    left: Vec<(usize, OffsetRange)>,
    open: Option<(usize, JudgedRecords<'a>)>,
}

impl<'a> ExpectedRecords<'a> {
    /// Of everything that is compared.
    pub(super) fn of_all(comparison: &'a Comparison<'a>) -> Self {
        let all = comparison.ranges.ranges.iter().map(|range| range.range).enumerate();
        Self::of(comparison, all.collect())
    }

    /// Of these offsets of the ranges at these places.
    pub(super) fn of(comparison: &'a Comparison<'a>, mut ranges: Vec<(usize, OffsetRange)>) -> Self {
        ranges.retain(|(_, range)| range.first < range.next);
        ranges.reverse();
        Self { comparison, left: ranges, open: None }
    }

    /// The next record; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<ExpectedRecord<'a>>, ReconcileError> {
        let Comparison { parts, store, ranges, as_of } = self.comparison;
        loop {
            if let Some((range, records)) = &mut self.open {
                if let Some(judged) = records.next().await? {
                    let erased = &ranges.ranges[*range].erased;
                    let end = judged.expected.as_ref().and_then(|record| erased.get(&record.tenant));
                    let is_erased = end.is_some_and(|end| judged.offset < *end);
                    return Ok(Some(ExpectedRecord {
                        range: *range,
                        is_doubtful: judged.may_be_repeat || end.is_some(),
                        record: judged.expected.filter(|_| !is_erased),
                        store: *store,
                        as_of: *as_of,
                    }));
                }
                self.open = None;
            }
            let Some((at, range)) = self.left.pop() else { return Ok(None) };
            self.open = Some((at, JudgedRecords::open(parts, &ranges.ranges[at].partition, range).await?));
        }
    }
}
