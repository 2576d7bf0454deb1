//! Loops that must turn: what makes a process live.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// All loops of a process that have promised to turn. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Heartbeats(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    loops: HashMap<u64, Loop>,
}

#[derive(Debug)]
struct Loop {
    name: &'static str,
    max_silence: Duration,
    last_beat: Instant,
}

/// One loop's promise to turn. Dropping it ends the promise.
#[derive(Debug)]
pub struct Heartbeat {
    id: u64,
    all: Heartbeats,
}

impl Heartbeats {
    /// Registers a loop that will beat at least every `max_silence`, from now on.
    #[must_use]
    pub fn register(&self, name: &'static str, max_silence: Duration) -> Heartbeat {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.loops.insert(id, Loop { name, max_silence, last_beat: Instant::now() });
        drop(state);
        Heartbeat { id, all: self.clone() }
    }

    /// The names of the loops that are silent for too long.
    #[must_use]
    pub fn silent(&self) -> Vec<&'static str> {
        let now = Instant::now();
        let is_silent = |this: &&Loop| now.duration_since(this.last_beat) > this.max_silence;
        let mut names: Vec<_> = self.lock().loops.values().filter(is_silent).map(|this| this.name).collect();
        names.sort_unstable();
        names
    }

    /// The names of all loops that have promised to turn.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.lock().loops.values().map(|this| this.name).collect();
        names.sort_unstable();
        names
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// Says that the loop has turned.
    pub fn beat(&self) {
        if let Some(this) = self.all.lock().loops.get_mut(&self.id) {
            this.last_beat = Instant::now();
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.all.lock().loops.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_falls_silent_is_named_until_it_beats_again() {
        let all = Heartbeats::default();
        let writer = all.register("writer", Duration::from_secs(10));
        let _merge = all.register("merge", Duration::from_secs(100));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(all.silent().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(all.silent(), ["writer"]);
        writer.beat();
        assert!(all.silent().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_has_ended_promises_nothing() {
        let all = Heartbeats::default();
        drop(all.register("writer", Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(all.silent().is_empty());
    }
}
