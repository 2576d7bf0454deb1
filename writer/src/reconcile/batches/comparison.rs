//! Rows of the store against samples of the records, one by one.

use std::collections::BTreeMap;

use hashbrown::{HashMap, HashSet};
use luminate_model::time::utc_day;
use luminate_storage::{ProvenanceScope, StoredRow};

use super::segment::{Segment, for_each_row};
use super::strays::{Extra, Strays};
use crate::reconcile::report::BatchFault;

/// How many samples of one record and day are stored, and how many are not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Presence {
    pub(super) stored: u64,
    pub(super) missing: u64,
}

/// What was found of one segment.
#[derive(Default)]
pub(super) struct SegmentFindings {
    /// Samples that are not stored, by day.
    missing: BTreeMap<i64, u64>,
    /// Rows that nothing near their batch needs.
    pub(super) extra: Vec<Extra>,
    /// For each record by day.
    pub(super) records: Vec<BTreeMap<i64, Presence>>,
    /// Samples that are not stored and may be so rightly.
    pub(super) not_judged: u64,
    /// Samples that are stored under another segment's batch.
    pub(super) elsewhere: u64,
    /// Missing samples that are stored somewhere far from their batch.
    pub(super) stray: u64,
}

/// A row that its own segment does not hold.
struct Unfound {
    segment: usize,
    record: usize,
    day: i64,
    fingerprint: u64,
}

/// Compares neighbouring segments with all rows of their batches. Rows are looked for under their own segment's batches first.
/// `known_strays` are stored under batches that are far from here.
pub(super) fn compare(
    scope: &ProvenanceScope,
    segments: &[Segment],
    rows: Vec<StoredRow>,
    known_strays: &Strays,
) -> Vec<SegmentFindings> {
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
    claim_elsewhere(segments, &mut findings, &mut pool, unfound, known_strays);
    for ((segment, fingerprint), (day, count)) in pool.into_iter().filter(|(_, (_, left))| *left > 0) {
        let foreign = !expected.contains(&fingerprint);
        findings[segment].extra.push(Extra { day, fingerprint, count, foreign });
    }
    findings
}

/// Looks for rows under the batches of other segments; what is nowhere is missing.
fn claim_elsewhere(
    segments: &[Segment],
    findings: &mut [SegmentFindings],
    pool: &mut HashMap<(usize, u64), (i64, u64)>,
    unfound: Vec<Unfound>,
    known_strays: &Strays,
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
            *found.missing.entry(day).or_default() += 1;
            found.stray += u64::from(known_strays.hold(fingerprint));
        }
    }
}

impl SegmentFindings {
    /// As it is reported.
    pub(super) fn fault(&self, segment: &Segment) -> BatchFault {
        let mut fault = BatchFault { first: segment.first.0, next: segment.next.0, ..BatchFault::default() };
        self.missing.iter().for_each(|(day, missing)| fault.add_missing(*day, *missing));
        for Extra { day, count, foreign, .. } in &self.extra {
            if *foreign { fault.add_foreign(*day, *count) } else { fault.add_doubled(*day, *count) }
        }
        fault
    }
}
