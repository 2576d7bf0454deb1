//! What the merging thread waits for.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use luminate_model::TenantId;
use luminate_storage::{Erased, StorageError};
use tokio::sync::oneshot;

/// Something that the merging thread is asked to do, and where it answers.
pub(crate) enum Job {
    /// Merge until every tenant has one run a window, and remove what was replaced.
    MergeAll { done: oneshot::Sender<Result<(), StorageError>> },
    /// Drop what retention no longer keeps.
    Expire { done: oneshot::Sender<Result<u64, StorageError>> },
    /// Remove what the ledger covers of a tenant.
    Erase { tenant: TenantId, done: oneshot::Sender<Result<Erased, StorageError>> },
}

/// Why a wait ended.
pub(crate) enum Call {
    /// There is a job.
    Job(Job),
    /// Something changed, or the time is over: look around.
    Look,
    /// The store is closing.
    Close,
}

/// Jobs and wake-ups, from any thread to one.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    woken: bool,
    closing: bool,
}

impl Inbox {
    /// Asks for a job. Once the store is closing it is dropped, and with it the sender of its answer.
    pub(crate) fn ask(&self, job: Job) {
        let mut state = self.state();
        if !state.closing {
            state.jobs.push_back(job);
            self.changed.notify_all();
        }
    }

    /// Says that there may be something to do.
    pub(crate) fn wake(&self) {
        self.state().woken = true;
        self.changed.notify_all();
    }

    /// Says that the store is closing.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        state.jobs.clear();
        self.changed.notify_all();
    }

    /// Whether the store is closing: long work ends early.
    pub(crate) fn is_closing(&self) -> bool {
        self.state().closing
    }

    /// Whether something waits that should not wait for merges in the background.
    pub(crate) fn has_job(&self) -> bool {
        let state = self.state();
        state.closing || !state.jobs.is_empty()
    }

    /// Waits for a job, a wake-up or a point in time.
    pub(crate) fn wait(&self, until: Instant) -> Call {
        let mut state = self.state();
        loop {
            if state.closing {
                return Call::Close;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Call::Job(job);
            }
            let left = until.saturating_duration_since(Instant::now());
            if std::mem::take(&mut state.woken) || left.is_zero() {
                return Call::Look;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a wake-up in the middle of a job; returns at once when the store is closing.
    pub(crate) fn wait_for_wake(&self) {
        let mut state = self.state();
        while !std::mem::take(&mut state.woken) && !state.closing {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
