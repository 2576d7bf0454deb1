//! Against a store whose blocks name ranges of offsets, of one source or of several: records and rows are compared by contents,
//! whichever block holds them.
//!
//! A block is *within* what is compared where all its ranges are; then each of its rows must be a record's. A block that reaches
//! beyond holds rows of records that are not looked at as well: it is searched for what is missed, and nothing more can be said of
//! it.
//!
//! Rows are counted in [`BUCKETS`] buckets by their fingerprints, each with a digest. Only where digests differ, rows are compared
//! one by one, so many buckets at a time as memory allows.
//!
//! | module | holds |
//! |---|---|
//! | this one | the whole comparison: digests, then shares of rows |
//! | `ranges` | which offsets and which blocks are compared |
//! | `expectation` | the samples that the store should have |
//! | `share` | the rows of some buckets, one by one |
//! | `faults` | what was found, by offsets and blocks |
//! | `mending` | storing again what is missing |

mod expectation;
mod faults;
mod mending;
mod ranges;
mod share;

use luminate_queue::SourceHistory;
use luminate_storage::{BlockProvenance, RowsDigest};

use super::report::{ReconcileReport, SourceReport};
use super::{CLOCKS_APART_MS, ReconcileError, ReconcileParts, ReconcileRequest};
use expectation::ExpectedRecords;
use faults::Faults;
use ranges::ComparedRanges;
use share::Share;

/// So many parts are told apart by the first bits of the fingerprints.
const BUCKETS: usize = 1 << 16;
/// Rows and samples that are compared one by one at a time, about.
const MAX_ROWS: u64 = 4_000_000;

/// What is compared, with what.
struct Comparison<'a> {
    parts: &'a ReconcileParts,
    store: &'a dyn BlockProvenance,
    ranges: ComparedRanges,
    /// What retention keeps at this time is compared, ms since 1970.
    as_of: i64,
}

/// What records and blocks have in one bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    expected: RowsDigest,
    found: RowsDigest,
}

/// Compares all ranges of a request, and mends them where that is asked for.
pub(super) async fn reconcile_blocks(
    parts: &ReconcileParts,
    store: &dyn BlockProvenance,
    request: &ReconcileRequest,
    partitions: &[SourceHistory],
) -> Result<ReconcileReport, ReconcileError> {
    let ranges = ComparedRanges::find(parts, store, request, partitions).await?;
    let as_of = (parts.clock)() + CLOCKS_APART_MS;
    let comparison = Comparison { parts, store, ranges, as_of };
    let mut reports = comparison.ranges.reports();
    let buckets = comparison.count(&mut reports).await?;
    let mut faults = Faults::default();
    for share in shares(&buckets) {
        let missing = comparison.compare(&share, &mut faults).await?;
        if request.mend {
            comparison.mend(missing, &mut faults).await?;
        }
    }
    faults.report(&comparison.ranges, &mut reports);
    let without_topic = if request.source.is_none() { comparison.ranges.unknown_sources() } else { Vec::new() };
    let mut report = ReconcileReport { without_topic, ..ReconcileReport::default() };
    reports.into_iter().for_each(|of_source| report.add(of_source));
    Ok(report)
}

impl Comparison<'_> {
    /// Counts samples of the records and rows of the blocks within.
    async fn count(&self, reports: &mut [SourceReport]) -> Result<Vec<Bucket>, ReconcileError> {
        let mut buckets = vec![Bucket::default(); BUCKETS];
        for block in &self.ranges.within {
            for row in self.store.rows(block.id, self.as_of).await? {
                buckets[bucket_of(row.fingerprint)].found.add(row.fingerprint, 1);
            }
        }
        let mut records = ExpectedRecords::of_all(self);
        while let Some(record) = records.next().await? {
            let report = &mut reports[record.range];
            report.records += 1;
            record.for_each_row(|_, fingerprint| {
                report.expected += 1;
                buckets[bucket_of(fingerprint)].expected.add(fingerprint, 1);
            });
        }
        Ok(buckets)
    }
}

/// The buckets that differ, in shares that memory suffices for.
fn shares(buckets: &[Bucket]) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    let mut size = MAX_ROWS;
    for (at, bucket) in buckets.iter().enumerate().filter(|(_, bucket)| bucket.expected != bucket.found) {
        let rows = bucket.expected.rows + bucket.found.rows;
        if size + rows > MAX_ROWS {
            shares.push(Share::new());
            size = 0;
        }
        size += rows;
        if let Some(share) = shares.last_mut() {
            share.add(at);
        }
    }
    shares
}

fn bucket_of(fingerprint: u64) -> usize {
    (fingerprint >> (u64::BITS - BUCKETS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_that_differ_are_shared_out_and_the_others_left_out() {
        let rows = |rows| RowsDigest { rows, checksum: 0 };
        let mut buckets = vec![Bucket { expected: rows(9), found: rows(9) }; BUCKETS];
        for (at, expected) in [(0, MAX_ROWS), (3, 10), (4, MAX_ROWS - 20), (5, 11)] {
            buckets[at] = Bucket { expected: rows(expected), found: rows(0) };
        }
        let shared: Vec<Vec<usize>> = shares(&buckets)
            .iter()
            .map(|share| (0..BUCKETS).filter(|at| share.holds((*at as u64) << 48)).collect())
            .collect();
        assert_eq!(shared, [vec![0], vec![3, 4], vec![5]]);
    }
}
