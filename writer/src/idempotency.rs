//! Recognising repeated write requests: the keyed records of a partition's last ten minutes.
//!
//! The window is a function of the partition's records alone: time is append time, so a replay decides as the first run did.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use luminate_storage::IdempotencyEntry;

/// How long a repeat is recognised, in ms between the append times.
pub const WINDOW_MS: i64 = 10 * 60 * 1000;

/// What a keyed record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognition {
    /// The first with its key, now remembered.
    First,
    /// A repeat of a record that is stored, or will be in this batch.
    Repeat,
    /// The key was used with another body.
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
    /// A window with what the store kept of it, in the order of the offsets.
    #[must_use]
    pub fn new(max_entries: usize, kept: Vec<IdempotencyEntry>) -> Self {
        let mut window = Self {
            entries: VecDeque::new(),
            first: 0,
            index: HashTable::new(),
            hasher: RandomState::default(),
            max_entries: max_entries.max(1),
            forgotten_early: 0,
        };
        for entry in kept {
            window.recognise(&entry);
        }
        window
    }

    /// Judges a keyed record, and remembers it where it is the first with its key. Append times must not decrease from
    /// call to call.
    pub fn recognise(&mut self, record: &IdempotencyEntry) -> Recognition {
        self.forget_before(oldest_in_window(record.append_time));
        let hash = self.hash(record);
        let (entries, first) = (&self.entries, self.first);
        let is_same = |number: &u64| entry(entries, first, *number).is_some_and(|known| is_same_part(known, record));
        if let Some(number) = self.index.find(hash, is_same) {
            let same_body = entry(entries, first, *number).is_some_and(|known| known.body == record.body);
            return if same_body { Recognition::Repeat } else { Recognition::Conflict };
        }
        if self.entries.len() >= self.max_entries {
            self.forget_oldest();
            self.forgotten_early += 1;
        }
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(record.clone());
        let (entries, first, hasher) = (&self.entries, self.first, &self.hasher);
        self.index.insert_unique(hash, number, |number| {
            entry(entries, first, *number).map(|known| hash_of(hasher, known)).unwrap_or_default()
        });
        Recognition::First
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
    use luminate_model::Offset;
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
        assert_eq!(window.recognise(&keyed(3, 5, 1, 1)), Recognition::Repeat, "a conflict changes nothing");
        assert_eq!(window.recognise(&keyed(4, 5, 2, 1)), Recognition::First);
        assert_eq!(window.recognise(&IdempotencyEntry { part: 1, ..first.clone() }), Recognition::First);
        assert_eq!(window.recognise(&IdempotencyEntry { tenant: tenant("b"), ..first }), Recognition::First);
    }

    #[test]
    fn the_window_is_ten_minutes_from_the_first() {
        let mut window = IdempotencyWindow::new(10, Vec::new());
        window.recognise(&keyed(0, 0, 1, 1));
        assert_eq!(window.recognise(&keyed(1, WINDOW_MS, 1, 1)), Recognition::Repeat);
        assert_eq!(
            window.recognise(&keyed(2, WINDOW_MS + 1, 1, 1)),
            Recognition::First,
            "a repeat does not prolong it"
        );
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

    proptest! {
        /// What the window says is what looking through all former records says.
        #[test]
        fn it_decides_as_a_full_search_does(
            steps in proptest::collection::vec((0..WINDOW_MS / 2, 0..6_u128, 0..2_u32, 0..2_u128, 0..2_usize), 1..80),
            restart in 0..80_usize,
        ) {
            let mut window = IdempotencyWindow::new(1000, Vec::new());
            let mut firsts: Vec<IdempotencyEntry> = Vec::new();
            let mut now = 0;
            for (number, (pause, key, part, body, of)) in steps.into_iter().enumerate() {
                if number == restart {
                    window = IdempotencyWindow::new(1000, firsts.clone());
                }
                now += pause;
                let tenant = tenant(if of == 0 { "a" } else { "b" });
                let record = IdempotencyEntry { tenant, key, part, body, append_time: now, offset: Offset(number as u64) };
                let known = firsts
                    .iter()
                    .rev()
                    .find(|known| is_same_part(known, &record) && now - known.append_time <= WINDOW_MS);
                let expected = match known {
                    None => Recognition::First,
                    Some(known) if known.body == body => Recognition::Repeat,
                    Some(_) => Recognition::Conflict,
                };
                prop_assert_eq!(window.recognise(&record), expected);
                if expected == Recognition::First {
                    firsts.push(record);
                }
                prop_assert!(window.entries.iter().all(|entry| now - entry.append_time <= WINDOW_MS));
                prop_assert_eq!(window.index.len(), window.len());
            }
        }
    }
}
