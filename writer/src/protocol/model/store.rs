//! A store without transactions: tables of rows with their provenance, and tokens that are kept apart from the rows.

use std::collections::BTreeMap;
use std::time::Duration;

use luminate_model::{Incarnation, Offset, Source};
use luminate_storage::{Batch, Permit, StoreTarget};

use super::log::slice_of;

/// How long tokens are remembered: longer than a permit holds, and no longer than it takes to show what is wrong without them.
const TOKENS_ARE_KEPT: Duration = Duration::from_secs(90);

/// Ways of being wrong, for the model to find.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flaws {
    pub(super) settle_believes_token: bool,
    pub(super) settle_does_not_count: bool,
    pub(super) no_token: bool,
    pub(super) no_fencing: bool,
    pub(super) intents_are_forgotten: bool,
    pub(super) target_is_not_obeyed: bool,
    pub(super) keyed_are_forgotten: bool,
    pub(super) incarnations_are_forgotten: bool,
    pub(super) commits_name_no_incarnation: bool,
    pub(super) schemas_are_forgotten: bool,
    pub(super) permits_never_end: bool,
}

/// One insert of one slice.
#[derive(Debug, Clone)]
pub(super) struct Insert {
    table: String,
    source: Source,
    batch: u64,
    slice: i64,
    rows: Vec<i64>,
    token: String,
}

/// Table, source, first offset of the batch, slice.
type Place = (String, Source, u64, i64);

/// The store.
#[derive(Default)]
pub(super) struct Store {
    pub(super) flaws: Flaws,
    slices: BTreeMap<Place, Vec<i64>>,
    /// Incarnations that samples were taken from, in the order in which they were noted.
    incarnations: Vec<Incarnation>,
    /// With the time at which each was noted.
    tokens: BTreeMap<(String, i64, String), Duration>,
    /// Inserts that were sent and have not come, and until when the server may execute each.
    pub(super) late: Vec<(Insert, Permit)>,
}

/// The inserts of a batch, one a slice.
pub(super) fn inserts(batch: &Batch, target: &StoreTarget, attempt: u32) -> Vec<Insert> {
    let mut slices = BTreeMap::<i64, Vec<i64>>::new();
    for record in &batch.records {
        for row in record.samples.rows() {
            slices.entry(slice_of(row.timestamp)).or_default().push(row.timestamp);
        }
    }
    let insert = |(slice, rows)| Insert {
        table: target.table.clone(),
        source: batch.source,
        batch: batch.first.0,
        slice,
        rows,
        token: format!("{}/{}-{}/{slice}/{attempt}", batch.source, batch.first, batch.next),
    };
    slices.into_iter().map(insert).collect()
}

impl Insert {
    fn place(&self) -> Place {
        (self.table.clone(), self.source, self.batch, self.slice)
    }
}

impl Store {
    pub(super) fn new(flaws: Flaws) -> Self {
        Self { flaws, ..Self::default() }
    }

    /// Takes an insert; `rows_are_lost` where the server dies between noting the token and keeping the rows.
    pub(super) fn take(&mut self, insert: &Insert, now: Duration, rows_are_lost: bool) {
        let token = (insert.table.clone(), insert.slice, insert.token.clone());
        self.tokens.retain(|_, noted| now < *noted + TOKENS_ARE_KEPT);
        if !self.flaws.no_token && self.tokens.contains_key(&token) {
            return;
        }
        self.tokens.insert(token, now);
        if !rows_are_lost {
            self.slices.entry(insert.place()).or_default().extend(&insert.rows);
        }
    }

    /// Settles one slice; false where it is there in part.
    pub(super) fn settle(&mut self, insert: &Insert, batch: &Batch, target: &StoreTarget, now: Duration) -> bool {
        for attempt in 1..4 {
            let found = self.slices.get(&insert.place()).map_or(0, Vec::len);
            if found == insert.rows.len() && !self.flaws.settle_does_not_count {
                return true;
            }
            if found != 0 && !self.flaws.settle_does_not_count {
                return false;
            }
            let again = inserts(batch, target, attempt).into_iter().find(|again| again.slice == insert.slice).unwrap();
            self.take(&again, now, false);
            if self.flaws.settle_believes_token || self.flaws.settle_does_not_count {
                return true;
            }
        }
        true
    }

    /// The first offset of the last batch of a source that has rows.
    pub(super) fn last_batch(&self, source: Source) -> Option<Offset> {
        let batches = self.slices.keys().filter(|(_, of, ..)| *of == source);
        batches.map(|(_, _, batch, _)| Offset(*batch)).max()
    }

    pub(super) fn note_incarnation(&mut self, incarnation: Incarnation) {
        if !self.incarnations.contains(&incarnation) {
            self.incarnations.push(incarnation);
        }
    }

    /// What is told of incarnations that were noted.
    pub(super) fn incarnations(&self) -> Vec<Incarnation> {
        if self.flaws.incarnations_are_forgotten { Vec::new() } else { self.incarnations.clone() }
    }

    /// Whether it has rows of other incarnations, and none was ever taken from this one.
    pub(super) fn knows_only_others(&self, incarnation: Incarnation) -> bool {
        let has_others = self.slices.keys().any(|(_, source, ..)| source.incarnation != incarnation);
        has_others && !self.incarnations.contains(&incarnation)
    }

    /// Every row of a source that is stored, in any table.
    pub(super) fn rows_of(&self, source: Source) -> Vec<i64> {
        let slices = self.slices.iter().filter(|((_, of, ..), _)| *of == source);
        let mut rows: Vec<_> = slices.flat_map(|(_, rows)| rows).copied().collect();
        rows.sort_unstable();
        rows
    }

    /// Every row that is stored, in any table.
    pub(super) fn rows(&self) -> Vec<i64> {
        let mut rows: Vec<_> = self.slices.values().flatten().copied().collect();
        rows.sort_unstable();
        rows
    }
}
