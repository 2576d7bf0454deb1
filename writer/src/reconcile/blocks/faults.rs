//! What was found, by the offsets of what is missing and the blocks of what is too much.

use std::collections::BTreeMap;

use luminate_model::Offset;

use super::ranges::ComparedRanges;
use crate::reconcile::report::{BatchFault, SourceReport};

/// From so many stretches of missing records on, new ones are counted with the one before.
const MAX_STRETCHES: usize = 100_000;

const MISSING: &str = "mend: the records are still in the queue";
const TOO_MUCH: &str =
    "a block has these: nothing is removed here; restore a backup, or erase the tenant and send its samples again";

/// What was found of all ranges.
#[derive(Default)]
pub(super) struct Faults {
    /// Neighbouring records of which something is missing, by range and first offset.
    missing: BTreeMap<(usize, u64), BatchFault>,
    /// By block, as its place among those within.
    extra: BTreeMap<u32, BatchFault>,
    /// Samples by range of which cannot be known whether they should be there.
    not_judged: BTreeMap<usize, u64>,
}

impl Faults {
    /// A sample of a record is not stored.
    pub(super) fn add_missing(&mut self, range: usize, Offset(offset): Offset, day: i64) {
        self.stretch(range, offset).add_missing(day, 1);
    }

    /// Missing samples of a record were stored.
    pub(super) fn add_mended(&mut self, range: usize, Offset(offset): Offset, samples: u64) {
        self.stretch(range, offset).mended += samples;
    }

    /// A block holds more of some sample than the records have.
    pub(super) fn add_doubled(&mut self, block: u32, day: i64, samples: u64) {
        self.extra.entry(block).or_default().add_doubled(day, samples);
    }

    /// A block holds samples that no record has.
    pub(super) fn add_foreign(&mut self, block: u32, day: i64, samples: u64) {
        self.extra.entry(block).or_default().add_foreign(day, samples);
    }

    /// A sample is not stored, which may be right.
    pub(super) fn not_judged(&mut self, range: usize) {
        *self.not_judged.entry(range).or_default() += 1;
    }

    /// The stretch that a record belongs to, made longer or anew where it belongs to none.
    fn stretch(&mut self, range: usize, offset: u64) -> &mut BatchFault {
        let is_full = self.missing.len() >= MAX_STRETCHES;
        let before = self.missing.range(..=(range, offset)).next_back();
        let joined = before.filter(|((of, _), fault)| *of == range && (offset <= fault.next || is_full));
        let key = joined.map_or((range, offset), |(key, _)| *key);
        let fault = self.missing.entry(key).or_insert_with(|| BatchFault { first: offset, ..BatchFault::default() });
        fault.next = fault.next.max(offset + 1);
        fault
    }

    /// Puts everything into the reports of the ranges.
    pub(super) fn report(self, ranges: &ComparedRanges, reports: &mut [SourceReport]) {
        for ((range, _), mut fault) in self.missing {
            fault.advice = (fault.mended < fault.missing).then(|| MISSING.to_owned());
            reports[range].add(fault);
        }
        for (block, mut fault) in self.extra {
            let spans = ranges.within.get(block as usize).map(|block| block.spans.as_slice()).unwrap_or_default();
            // A block within has a range at least, and each of them is one of those compared.
            let Some((span, range)) = spans.first().and_then(|span| Some((span, ranges.position(span.source)?))) else {
                continue;
            };
            (fault.first, fault.next) = (span.first.0, span.next.0);
            fault.advice = Some(TOO_MUCH.to_owned());
            reports[range].add(fault);
        }
        for (range, samples) in self.not_judged {
            reports[range].not_judged += samples;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_records_are_one_stretch_in_whatever_order_they_come() {
        let mut faults = Faults::default();
        for offset in [5, 9, 6, 7, 5, 20] {
            faults.add_missing(0, Offset(offset), 3);
        }
        faults.add_missing(1, Offset(8), 3);
        faults.add_mended(0, Offset(6), 2);
        let told: Vec<_> =
            faults.missing.iter().map(|((range, _), it)| (*range, it.first, it.next, it.missing)).collect();
        assert_eq!(told, [(0, 5, 8, 4), (0, 9, 10, 1), (0, 20, 21, 1), (1, 8, 9, 1)]);
        assert_eq!(faults.missing[&(0, 5)].mended, 2);
    }
}
