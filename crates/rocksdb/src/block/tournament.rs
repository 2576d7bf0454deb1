//! Which of several ordered runs has the next sample.

use super::cursor::{RunCursor, SampleKey};

/// The runs of a merge as a binary heap, the one with the smallest key first.
pub(super) struct Tournament {
    heap: Vec<(SampleKey, usize)>,
}

impl Tournament {
    pub(super) fn new(cursors: &[RunCursor<'_>]) -> Self {
        let mut heap: Vec<_> = cursors.iter().enumerate().map(|(at, cursor)| (cursor.key(), at)).collect();
        // A sorted list is a heap.
        heap.sort_unstable();
        Self { heap }
    }

    /// The run with the smallest key; `None` where all have ended.
    pub(super) fn winner(&self) -> Option<usize> {
        self.heap.first().map(|(_, run)| *run)
    }

    /// The smallest key of the other runs.
    pub(super) fn runner_up(&self) -> SampleKey {
        let second = self.heap.get(1).map_or(SampleKey::END, |(key, _)| *key);
        second.min(self.heap.get(2).map_or(SampleKey::END, |(key, _)| *key))
    }

    /// Gives the winner its next key; [`SampleKey::END`] takes it out.
    pub(super) fn replace(&mut self, key: SampleKey) {
        if key == SampleKey::END {
            if self.heap.is_empty() {
                return;
            }
            self.heap.swap_remove(0);
        } else if let Some(first) = self.heap.first_mut() {
            first.0 = key;
        }
        let mut at = 0;
        loop {
            let left = 2 * at + 1;
            let smallest = match (self.heap.get(left), self.heap.get(left + 1)) {
                (Some(a), Some(b)) if b.0 < a.0 => left + 1,
                (Some(_), _) => left,
                _ => break,
            };
            if self.heap[at].0 <= self.heap[smallest].0 {
                break;
            }
            self.heap.swap(at, smallest);
            at = smallest;
        }
    }
}
