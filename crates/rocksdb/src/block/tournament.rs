//! Which of several ordered runs has the next sample.

use super::cursor::{RunCursor, SampleKey};

/// The runs of a merge as a binary heap, the one with the smallest key first.
pub(super) struct Tournament {
    heap: Vec<Entry>,
    /// For each run the key of its next sample.
    keys: Vec<SampleKey>,
}

/// A run, with as much of its key as decides most comparisons.
#[derive(Debug, Clone, Copy)]
struct Entry {
    first_bits: u128,
    run: u32,
}

impl Tournament {
    pub(super) fn new(cursors: &[RunCursor<'_>]) -> Self {
        let keys: Vec<SampleKey> = cursors.iter().map(RunCursor::key).collect();
        let entry = |(run, key): (usize, &SampleKey)| Entry { first_bits: key.first_bits(), run: run as u32 };
        let mut heap: Vec<Entry> = keys.iter().enumerate().map(entry).collect();
        // A sorted list is a heap.
        heap.sort_unstable_by_key(|entry| keys[entry.run as usize]);
        Self { heap, keys }
    }

    /// The run with the smallest key, and that key; `None` where all runs have ended.
    pub(super) fn winner(&self) -> Option<(usize, SampleKey)> {
        let run = self.heap.first()?.run as usize;
        Some((run, self.keys[run]))
    }

    /// The smallest key of the other runs; `None` where there is no other.
    pub(super) fn runner_up(&self) -> Option<SampleKey> {
        let others = self.heap.get(1..self.heap.len().min(3)).unwrap_or_default();
        others.iter().map(|entry| self.keys[entry.run as usize]).min()
    }

    /// Gives the winner its next key; without one it has ended.
    pub(super) fn replace(&mut self, key: Option<SampleKey>) {
        let Some(first) = self.heap.first_mut() else { return };
        match key {
            Some(key) => {
                first.first_bits = key.first_bits();
                self.keys[first.run as usize] = key;
            }
            None => drop(self.heap.swap_remove(0)),
        }
        let mut at = 0;
        loop {
            let left = 2 * at + 1;
            let smallest = match (self.heap.get(left), self.heap.get(left + 1)) {
                (Some(a), Some(b)) if self.is_before(b, a) => left + 1,
                (Some(_), _) => left,
                _ => break,
            };
            if !self.is_before(&self.heap[smallest], &self.heap[at]) {
                break;
            }
            self.heap.swap(at, smallest);
            at = smallest;
        }
    }

    fn is_before(&self, a: &Entry, b: &Entry) -> bool {
        if a.first_bits == b.first_bits {
            self.keys[a.run as usize] < self.keys[b.run as usize]
        } else {
            a.first_bits < b.first_bits
        }
    }
}
