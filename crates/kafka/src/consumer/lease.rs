//! The right to commit for a partition.
//!
//! A commit carries the group's generation at the time when it is sent, not when it was asked for, and brokers do not check that
//! the member owns the partition. So no commit may still be on its way when a partition is let go: after the next joining it would
//! pass for one of the new generation. A lease is ended before that, and its end waits for the commits that use it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Open from the assignment of a partition to its end.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ended: bool,
    /// Commits on their way.
    uses: usize,
}

/// A commit on its way.
#[derive(Debug)]
pub(crate) struct LeaseUse<'a> {
    lease: &'a Lease,
}

impl Lease {
    /// Begins a use; `None` after the end.
    pub(crate) fn enter(&self) -> Option<LeaseUse<'_>> {
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        state.uses += 1;
        Some(LeaseUse { lease: self })
    }

    /// Whether it has ended.
    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// Lets no use begin any more.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Waits until no use is left; after the end there will be none. Blocks, as long as a commit takes at most.
    pub(crate) fn wait_until_unused(&self) {
        let waiting = self.changed.wait_while(self.lock(), |state| state.uses > 0);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits for the end, but not longer than `patience`. Blocks.
    pub(crate) fn wait_for_end(&self, patience: Duration) {
        let waiting = self.changed.wait_timeout_while(self.lock(), patience, |state| !state.ended);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LeaseUse<'_> {
    fn drop(&mut self) {
        self.lease.lock().uses -= 1;
        self.lease.changed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn its_end_waits_for_uses_and_lets_none_begin() {
        let lease = Lease::default();
        std::thread::scope(|scope| {
            let used = lease.enter().unwrap();
            lease.end();
            assert!(lease.enter().is_none());
            let ending = scope.spawn(|| lease.wait_until_unused());
            assert!(!ending.is_finished());
            drop(used);
            ending.join().unwrap();
        });
        assert!(lease.is_ended());
    }
}
