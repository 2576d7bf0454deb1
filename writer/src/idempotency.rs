//! Recognising repeated write requests: the keyed records of a partition's last ten minutes.
//!
//! The window is a function of the partition's last ten minutes of records and of nothing else: time is append time, and a
//! record counts whatever was decided about it. So a writer that reads those records again decides as the first did, wherever
//! it begins.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use luminate_model::Offset;
use luminate_storage::IdempotencyEntry;

/// How long a repeat is recognised, in ms between the append times.
pub const WINDOW_MS: i64 = 10 * 60 * 1000;

/// What a keyed record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// The first with its key.
    First,
    /// There was one with its key and body.
    Repeat,
    /// There were some with its key, none of them with its body.
    Conflict,
}

/// The keyed records of a partition's last ten minutes, and no more than a given number of them.
pub struct IdempotencyWindow {
    /// In the order of their offsets, and so of their append times.
    entries: VecDeque<IdempotencyEntry>,
    /// The number of the first of `entries`, counted from the beginning of the window's life.
    first: u64,
    /// Finds entries by tenant, key and part: their numbers.
    index: HashTable<u64>,
    hasher: RandomState,
    max_entries: usize,
    forgotten_early: u64,
}

impl IdempotencyWindow {
    /// A window with what is known of it, in the order of the offsets.
    #[must_use]
    pub fn new(max_entries: usize, known: Vec<IdempotencyEntry>) -> Self {
        let mut window = Self {
            entries: VecDeque::new(),
            first: 0,
            index: HashTable::new(),
            hasher: RandomState::default(),
            max_entries: max_entries.max(1),
            forgotten_early: 0,
        };
        for entry in known {
            window.recognise(&entry);
        }
        window
    }

    /// Judges a keyed record by those before it, and remembers it. Append times must not decrease from call to call.
    pub fn recognise(&mut self, record: &IdempotencyEntry) -> Recognition {
        self.forget_before(oldest_in_window(record.append_time));
        let hash = self.hash(record);
        let (entries, first) = (&self.entries, self.first);
        let same_key = self
            .index
            .iter_hash(hash)
            .filter_map(|number| entry(entries, first, *number))
            .filter(|known| is_same_part(known, record));
        let recognition = same_key.fold(Recognition::First, |found, known| match found {
            Recognition::Repeat => found,
            _ if known.body == record.body => Recognition::Repeat,
            _ => Recognition::Conflict,
        });
        self.remember(record.clone(), hash);
        recognition
    }

    /// The first record that a later writer must read again to know what this window knows at `append_time`: all that is
    /// forgotten then is forgotten before.
    pub fn oldest_at(&mut self, append_time: i64) -> Option<Offset> {
        self.forget_before(oldest_in_window(append_time));
        self.oldest()
    }

    /// The first record that is remembered.
    #[must_use]
    pub fn oldest(&self) -> Option<Offset> {
        self.entries.front().map(|entry| entry.offset)
    }

    /// Most records that are remembered; as many as decided of those that were judged so far.
    #[must_use]
    pub const fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// From now on at most so many records are remembered. What is too many is forgotten at once: a later writer that begins
    /// with this bound knows no more.
    pub fn set_max_entries(&mut self, max_entries: usize) {
        self.max_entries = max_entries.max(1);
        self.make_room_for(self.max_entries);
    }

    /// How many records are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no record is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many records were forgotten within their ten minutes since the last call, because there were too many.
    pub fn take_forgotten_early(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten_early)
    }

    fn remember(&mut self, record: IdempotencyEntry, hash: u64) {
        self.make_room_for(self.max_entries - 1);
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(record);
        let (entries, first, hasher) = (&self.entries, self.first, &self.hasher);
        self.index.insert_unique(hash, number, |number| {
            entry(entries, first, *number).map(|known| hash_of(hasher, known)).unwrap_or_default()
        });
    }

    fn make_room_for(&mut self, entries: usize) {
        while self.entries.len() > entries {
            self.forget_oldest();
            self.forgotten_early += 1;
        }
    }

    fn forget_before(&mut self, oldest: i64) {
        while self.entries.front().is_some_and(|entry| entry.append_time < oldest) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.entries.front() else { return };
        let hash = self.hash(oldest);
        let number = self.first;
        if let Ok(found) = self.index.find_entry(hash, |known| *known == number) {
            found.remove();
        }
        self.entries.pop_front();
        self.first += 1;
    }

    fn hash(&self, record: &IdempotencyEntry) -> u64 {
        hash_of(&self.hasher, record)
    }
}

/// Entries appended before this are of no use to a record appended at `append_time`, nor to a later one.
#[must_use]
pub const fn oldest_in_window(append_time: i64) -> i64 {
    append_time.saturating_sub(WINDOW_MS)
}

fn entry(entries: &VecDeque<IdempotencyEntry>, first: u64, number: u64) -> Option<&IdempotencyEntry> {
    entries.get(usize::try_from(number.checked_sub(first)?).ok()?)
}

fn is_same_part(left: &IdempotencyEntry, right: &IdempotencyEntry) -> bool {
    left.key == right.key && left.part == right.part && left.tenant == right.tenant
}

fn hash_of(hasher: &RandomState, record: &IdempotencyEntry) -> u64 {
    hasher.hash_one((record.key, record.part, &record.tenant))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_records::tenant;

    fn keyed(offset: u64, append_time: i64, key: u128, body: u128) -> IdempotencyEntry {
        IdempotencyEntry { tenant: tenant("a"), key, part: 0, body, append_time, offset: Offset(offset) }
    }

    #[test]
    fn a_repeat_is_the_same_key_part_tenant_and_body() {
        let mut window = IdempotencyWindow::new(10, Vec::new());
        let first = keyed(0, 0, 1, 1);
        assert_eq!(window.recognise(&first), Recognition::First);
        assert_eq!(window.recognise(&keyed(1, 5, 1, 1)), Recognition::Repeat);
        assert_eq!(window.recognise(&keyed(2, 5, 1, 2)), Recognition::Conflict);
        assert_eq!(window.recognise(&keyed(3, 5, 1, 1)), Recognition::Repeat, "a conflict does not hide what it met");
        assert_eq!(window.recognise(&keyed(4, 5, 2, 1)), Recognition::First);
        assert_eq!(window.recognise(&IdempotencyEntry { part: 1, ..first.clone() }), Recognition::First);
        assert_eq!(window.recognise(&IdempotencyEntry { tenant: tenant("b"), ..first }), Recognition::First);
    }

    /// Else a writer that is to finish what this one began would know less than this one did.
    #[test]
    fn a_smaller_window_forgets_at_once() {
        let mut window = IdempotencyWindow::new(10, Vec::new());
        for offset in 0..5 {
            window.recognise(&keyed(offset, 0, offset.into(), 1));
        }
        window.set_max_entries(2);
        assert_eq!((window.oldest(), window.take_forgotten_early()), (Some(Offset(3)), 3));
        assert_eq!(window.recognise(&keyed(5, 0, 0, 1)), Recognition::First);
    }

    #[test]
    fn the_window_is_ten_minutes_from_the_last() {
        let mut window = IdempotencyWindow::new(10, Vec::new());
        window.recognise(&keyed(0, 0, 1, 1));
        assert_eq!(window.recognise(&keyed(1, WINDOW_MS, 1, 1)), Recognition::Repeat);
        assert_eq!(window.recognise(&keyed(2, 2 * WINDOW_MS, 1, 1)), Recognition::Repeat, "a repeat prolongs it");
        assert_eq!(window.recognise(&keyed(3, 3 * WINDOW_MS + 1, 1, 1)), Recognition::First);
        assert_eq!(window.len(), 1);
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_and_are_counted() {
        let mut window = IdempotencyWindow::new(3, Vec::new());
        for number in 0..5 {
            window.recognise(&keyed(number, 0, u128::from(number), 1));
        }
        assert_eq!((window.len(), window.take_forgotten_early(), window.take_forgotten_early()), (3, 2, 0));
        assert_eq!(window.recognise(&keyed(5, 0, 4, 1)), Recognition::Repeat);
        assert_eq!(window.recognise(&keyed(6, 0, 0, 1)), Recognition::First, "forgotten");
    }

    /// Made-up records: pauses, keys, parts, bodies, tenants.
    fn records() -> impl Strategy<Value = Vec<IdempotencyEntry>> {
        let one = (0..WINDOW_MS / 2, 0..6_u128, 0..2_u32, 0..2_u128, 0..2_usize);
        proptest::collection::vec(one, 1..80).prop_map(|steps| {
            let mut now = 0;
            let numbered = steps.into_iter().enumerate();
            numbered
                .map(|(number, (pause, key, part, body, of))| {
                    now += pause;
                    let tenant = tenant(if of == 0 { "a" } else { "b" });
                    IdempotencyEntry { tenant, key, part, body, append_time: now, offset: Offset(number as u64) }
                })
                .collect()
        })
    }

    proptest! {
        /// What the window says is what looking through all former records says.
        #[test]
        fn it_decides_as_a_full_search_does(records in records()) {
            let mut window = IdempotencyWindow::new(1000, Vec::new());
            for (at, record) in records.iter().enumerate() {
                let in_window = |known: &&IdempotencyEntry| record.append_time - known.append_time <= WINDOW_MS;
                let known: Vec<_> =
                    records[..at].iter().filter(|known| is_same_part(known, record)).filter(in_window).collect();
                let expected = if known.is_empty() {
                    Recognition::First
                } else if known.iter().any(|known| known.body == record.body) {
                    Recognition::Repeat
                } else {
                    Recognition::Conflict
                };
                prop_assert_eq!(window.recognise(record), expected);
                prop_assert_eq!(window.index.len(), window.len());
            }
        }

        /// A writer that begins with the oldest record that its predecessor remembered decides all that follows as the
        /// predecessor would have, also where there are more records than may be remembered.
        #[test]
        fn reading_again_from_the_oldest_decides_the_same(
            records in records(),
            begin in 0..80_usize,
            max_entries in 1..20_usize,
        ) {
            let begin = begin % records.len();
            let mut first = IdempotencyWindow::new(max_entries, Vec::new());
            records[..begin].iter().for_each(|record| { first.recognise(record); });
            let oldest = first.oldest_at(records[begin].append_time);
            let reread = records[..begin].iter().filter(|known| oldest.is_some_and(|oldest| known.offset >= oldest));
            let mut second = IdempotencyWindow::new(max_entries, reread.cloned().collect());
            for record in &records[begin..] {
                prop_assert_eq!(first.recognise(record), second.recognise(record));
            }
        }
    }
}
