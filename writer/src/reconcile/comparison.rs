//! Rows of the store against samples of the records, one by one.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use luminate_model::time::utc_day;
use luminate_storage::{ProvenanceScope, StoredRow};

use super::report::{BatchFault, SliceFault};
use super::segment::{Segment, for_each_row};

/// How many samples of one record and day are stored, and how many are not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Presence {
    pub(super) stored: u64,
    pub(super) missing: u64,
}

/// What was found of one segment.
#[derive(Default)]
pub(super) struct SegmentFindings {
    slices: BTreeMap<i64, SliceFault>,
    /// For each record by day.
    pub(super) records: Vec<BTreeMap<i64, Presence>>,
    /// Samples that are not stored and may be so rightly.
    pub(super) not_judged: u64,
    /// Samples that are stored under another segment's batch.
    pub(super) elsewhere: u64,
}

/// A row that its own segment does not hold.
struct Unfound {
    segment: usize,
    record: usize,
    day: i64,
    fingerprint: u64,
}

/// Compares neighbouring segments with all rows of their batches. Rows are looked for under their own segment's batches first.
pub(super) fn compare(scope: &ProvenanceScope, segments: &[Segment], rows: Vec<StoredRow>) -> Vec<SegmentFindings> {
    let segment_of = |row: &StoredRow| segments.partition_point(|segment| segment.first <= row.batch).saturating_sub(1);
    // By segment and fingerprint: the day, and how many rows nobody has claimed.
    let mut pool = HashMap::<(usize, u64), (i64, u64)>::with_capacity(rows.len());
    for row in &rows {
        pool.entry((segment_of(row), row.fingerprint)).or_insert((row.day, 0)).1 += row.count;
    }
    drop(rows);
    let mut findings: Vec<SegmentFindings> = Vec::with_capacity(segments.len());
    let mut expected = HashSet::new();
    let mut unfound = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let mut found = SegmentFindings::default();
        for (number, expected_record) in segment.records.iter().enumerate() {
            let mut days = BTreeMap::<i64, Presence>::new();
            for_each_row(scope, &expected_record.record, |row, fingerprint| {
                expected.insert(fingerprint);
                let day = utc_day(row.timestamp);
                let presence = days.entry(day).or_default();
                match pool.get_mut(&(at, fingerprint)) {
                    Some((_, left)) if *left > 0 => {
                        *left -= 1;
                        presence.stored += 1;
                    }
                    _ => unfound.push(Unfound { segment: at, record: number, day, fingerprint }),
                }
            });
            found.records.push(days);
        }
        findings.push(found);
    }
    pool.retain(|_, (_, left)| *left > 0);
    claim_elsewhere(segments, &mut findings, &mut pool, unfound);
    for ((segment, fingerprint), (day, left)) in pool.into_iter().filter(|(_, (_, left))| *left > 0) {
        let slice = findings[segment].slice(day);
        let kind = if expected.contains(&fingerprint) { &mut slice.doubled } else { &mut slice.foreign };
        *kind += left;
    }
    findings
}

/// Looks for rows under the batches of other segments; what is nowhere is missing.
fn claim_elsewhere(
    segments: &[Segment],
    findings: &mut [SegmentFindings],
    pool: &mut HashMap<(usize, u64), (i64, u64)>,
    unfound: Vec<Unfound>,
) {
    let mut places = HashMap::<u64, Vec<usize>>::new();
    for (segment, fingerprint) in pool.keys() {
        places.entry(*fingerprint).or_default().push(*segment);
    }
    for Unfound { segment, record, day, fingerprint } in unfound {
        let elsewhere = places.get(&fingerprint).into_iter().flatten();
        let held_by = elsewhere.copied().find(|at| pool.get(&(*at, fingerprint)).is_some_and(|(_, left)| *left > 0));
        let found = &mut findings[segment];
        let presence = found.records[record].entry(day).or_default();
        if let Some((_, left)) = held_by.and_then(|at| pool.get_mut(&(at, fingerprint))) {
            *left -= 1;
            presence.stored += 1;
            found.elsewhere += 1;
            continue;
        }
        presence.missing += 1;
        if segments[segment].records[record].is_doubtful {
            found.not_judged += 1;
        } else {
            found.slice(day).missing += 1;
        }
    }
}

impl SegmentFindings {
    fn slice(&mut self, day: i64) -> &mut SliceFault {
        self.slices.entry(day).or_insert(SliceFault { day, ..SliceFault::default() })
    }

    /// As it is reported.
    pub(super) fn fault(&self, segment: &Segment) -> BatchFault {
        let slices: Vec<SliceFault> = self.slices.values().copied().collect();
        let sum = |of: fn(&SliceFault) -> u64| slices.iter().map(of).sum();
        BatchFault {
            first: segment.first.0,
            next: segment.next.0,
            missing: sum(|slice| slice.missing),
            doubled: sum(|slice| slice.doubled),
            foreign: sum(|slice| slice.foreign),
            mended: 0,
            slices,
            advice: None,
        }
    }
}
