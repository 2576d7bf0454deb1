//! The rows of some buckets, one by one.

use hashbrown::HashMap;
use luminate_model::Offset;
use luminate_model::time::utc_day;

use super::expectation::ExpectedRecords;
use super::faults::Faults;
use super::{BUCKETS, Comparison, bucket_of};
use crate::reconcile::ReconcileError;

/// Buckets whose rows are compared together.
pub(super) struct Share {
    buckets: Vec<bool>,
}

/// Rows with the same contents.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// In blocks within.
    found: u32,
    /// In records.
    expected: u32,
    /// In blocks across, as far as they were looked for.
    across: u32,
    /// The last block within that has one, as its place.
    block: u32,
    day: i32,
}

/// A sample that no block within has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing {
    /// The place of its range.
    pub(super) range: usize,
    pub(super) offset: Offset,
    pub(super) day: i64,
    pub(super) fingerprint: u64,
    is_doubtful: bool,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { buckets: vec![false; BUCKETS] }
    }

    pub(super) fn add(&mut self, bucket: usize) {
        self.buckets[bucket] = true;
    }

    pub(super) fn holds(&self, fingerprint: u64) -> bool {
        self.buckets[bucket_of(fingerprint)]
    }
}

impl Comparison<'_> {
    /// Finds what is wrong in a share; returns the samples that are missing.
    pub(super) async fn compare(&self, share: &Share, faults: &mut Faults) -> Result<Vec<Missing>, ReconcileError> {
        let mut tallies = self.rows_within(share).await?;
        let mut missing = self.unmatched(share, &mut tallies).await?;
        if !missing.is_empty() {
            self.look_across(share, &mut tallies).await?;
            missing.retain(|sample| {
                let Some(tally) = tallies.get_mut(&sample.fingerprint).filter(|tally| tally.across > 0) else {
                    return true;
                };
                tally.across -= 1;
                false
            });
        }
        for tally in tallies.values().filter(|tally| tally.found > tally.expected) {
            let extra = u64::from(tally.found - tally.expected);
            let day = i64::from(tally.day);
            if tally.expected > 0 {
                faults.add_doubled(tally.block, day, extra);
            } else {
                faults.add_foreign(tally.block, day, extra);
            }
        }
        missing.retain(|sample| {
            if sample.is_doubtful {
                faults.not_judged(sample.range);
            } else {
                faults.add_missing(sample.range, sample.offset, sample.day);
            }
            !sample.is_doubtful
        });
        Ok(missing)
    }

    async fn rows_within(&self, share: &Share) -> Result<HashMap<u64, Tally>, ReconcileError> {
        let mut tallies = HashMap::<u64, Tally>::new();
        for (block, stored) in (0..).zip(&self.ranges.within) {
            for row in self.store.rows(stored.id, self.as_of).await? {
                if share.holds(row.fingerprint) {
                    let tally = tallies.entry(row.fingerprint).or_default();
                    tally.found += 1;
                    tally.block = block;
                    tally.day = row.day as i32;
                }
            }
        }
        Ok(tallies)
    }

    /// Counts the records' samples; returns those that the blocks within have not, or not as often.
    async fn unmatched(
        &self,
        share: &Share,
        tallies: &mut HashMap<u64, Tally>,
    ) -> Result<Vec<Missing>, ReconcileError> {
        let mut unmatched = Vec::new();
        let mut records = ExpectedRecords::of_all(self);
        while let Some(expected) = records.next().await? {
            let Some(offset) = expected.record.as_ref().map(|record| record.offset) else { continue };
            let (range, is_doubtful) = (expected.range, expected.is_doubtful);
            expected.for_each_row(|row, fingerprint| {
                if !share.holds(fingerprint) {
                    return;
                }
                let tally = tallies.entry(fingerprint).or_default();
                tally.expected += 1;
                if tally.expected > tally.found {
                    let day = utc_day(row.timestamp);
                    unmatched.push(Missing { range, offset, day, fingerprint, is_doubtful });
                }
            });
        }
        Ok(unmatched)
    }

    /// Counts what the blocks across have of what is expected.
    async fn look_across(&self, share: &Share, tallies: &mut HashMap<u64, Tally>) -> Result<(), ReconcileError> {
        for block in &self.ranges.across {
            for row in self.store.rows(block.id, self.as_of).await? {
                if let Some(tally) = tallies.get_mut(&row.fingerprint).filter(|_| share.holds(row.fingerprint)) {
                    tally.across += 1;
                }
            }
        }
        Ok(())
    }
}
