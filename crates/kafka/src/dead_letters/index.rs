//! Which dead letters there are, in the order of their ids, in bounded memory.
//!
//! The topic is in the order of writing, and may hold several messages of a key. So it is read as a whole, and a window of the
//! smallest ids that were asked for is kept. Where it overflows, the largest ids are dropped, and what lies beyond the smallest one
//! that was dropped is unknown: the next reading begins there.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};

use luminate_queue::DeadLetterId;

/// Where a letter's last message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) partition: u32,
    pub(super) offset: u64,
    /// Bytes of its value.
    pub(super) size: usize,
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its letter, where there is one that the filter means.
    pub(super) letter: Option<Place>,
    pub(super) replayed_at: Option<i64>,
}

/// A letter that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Indexed {
    pub(super) id: DeadLetterId,
    pub(super) place: Place,
    pub(super) replayed_at: Option<i64>,
}

/// A window of ids.
#[derive(Debug)]
pub(super) struct Window {
    begin: Bound<DeadLetterId>,
    capacity: usize,
    entries: BTreeMap<DeadLetterId, Entry>,
    /// The smallest id that was dropped.
    beyond: Option<DeadLetterId>,
}

impl Window {
    /// The smallest `capacity` ids from `begin` on.
    pub(super) fn new(begin: Bound<DeadLetterId>, capacity: usize) -> Self {
        Self { begin, capacity: capacity.max(1), entries: BTreeMap::new(), beyond: None }
    }

    /// Notes a letter, or that there is none (that the filter means).
    pub(super) fn letter(&mut self, id: DeadLetterId, place: Option<Place>) {
        self.note(id, |entry| entry.letter = place);
    }

    /// Notes a replay, or that there was none.
    pub(super) fn replay(&mut self, id: DeadLetterId, at: Option<i64>) {
        self.note(id, |entry| entry.replayed_at = at);
    }

    fn note(&mut self, id: DeadLetterId, change: impl FnOnce(&mut Entry)) {
        let is_beyond = self.beyond.is_some_and(|beyond| id >= beyond);
        if is_beyond || !(self.begin, Bound::Unbounded).contains(&id) {
            return;
        }
        let entry = self.entries.entry(id).or_default();
        change(entry);
        if *entry == Entry::default() {
            self.entries.remove(&id);
        }
        if self.entries.len() > self.capacity {
            self.beyond = self.entries.pop_last().map(|(id, _)| id);
        }
    }

    /// The letters that there are, and the id from which on nothing is known, where that is somewhere.
    pub(super) fn finish(self) -> (Vec<Indexed>, Option<DeadLetterId>) {
        let known = self.entries.into_iter();
        let letters = known
            .filter_map(|(id, Entry { letter, replayed_at })| letter.map(|place| Indexed { id, place, replayed_at }));
        (letters.collect(), self.beyond)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use luminate_model::{Incarnation, Offset, Source};

    use super::*;

    fn id(offset: u64) -> DeadLetterId {
        let source = Source { incarnation: Incarnation([0; 16]), partition: 0 };
        DeadLetterId { source, offset: Offset(offset), index: None }
    }

    fn place(offset: u64) -> Option<Place> {
        Some(Place { partition: 0, offset, size: 0 })
    }

    #[test]
    fn the_last_message_of_a_key_counts() {
        let mut window = Window::new(Bound::Excluded(id(1)), 10);
        for (at, offset) in [(0, 1), (1, 2), (2, 3), (3, 2)] {
            window.letter(id(offset), place(at));
        }
        window.letter(id(3), None);
        window.replay(id(2), Some(77));
        let found = Indexed { id: id(2), place: place(3).unwrap(), replayed_at: Some(77) };
        assert_eq!(window.finish(), (vec![found], None));
    }

    /// Whatever the capacity, readings one after the other find what one with room for all finds.
    #[test]
    fn what_overflows_is_found_by_the_next_reading() {
        let mut dice = 7_u64;
        let messages: Vec<(u64, bool)> = (0..500)
            .map(|_| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((dice >> 33) % 60, (dice >> 20).is_multiple_of(3))
            })
            .collect();
        let read = |begin, capacity| {
            let mut window = Window::new(begin, capacity);
            for (at, (offset, removed)) in (0..).zip(&messages) {
                window.letter(id(*offset), if *removed { None } else { place(at) });
            }
            window.finish()
        };
        let (all, beyond) = read(Bound::Unbounded, 1000);
        assert_eq!(beyond, None);
        for capacity in [1, 2, 7, 59] {
            let (mut found, mut begin) = (Vec::new(), Bound::Unbounded);
            loop {
                let (some, beyond) = read(begin, capacity);
                found.extend(some);
                match beyond {
                    Some(beyond) => begin = Bound::Included(beyond),
                    None => break,
                }
            }
            assert_eq!(found, all, "capacity {capacity}");
        }
    }
}
