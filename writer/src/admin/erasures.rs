//! The erasures of this process: what runs, and what became of those before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use luminate_model::TenantId;
use serde::Serialize;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, watch};
use utoipa::ToSchema;

/// The most erasures that run, and that are remembered.
const MAX_ERASURES: usize = 100;

/// Where an erasure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ErasureStatus {
    /// It runs.
    Running,
    /// All is erased.
    Done,
    /// Something went wrong; beginning it again finishes it.
    Failed,
}

/// An erasure, for those who ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Erasure {
    /// What to ask for.
    pub(crate) id: String,
    /// Whose data it erases.
    pub(crate) tenant: String,
    /// Where it stands.
    pub(crate) status: ErasureStatus,
    /// What it does now, or what went wrong.
    pub(crate) detail: String,
    /// Samples that were removed from the store.
    pub(crate) samples: u64,
    /// Dead letters that were removed.
    pub(crate) dead_letters: u64,
}

/// The erasures of this process. Those that ended are forgotten when there are too many.
#[derive(Default)]
pub(crate) struct Erasures {
    known: Mutex<VecDeque<Erasure>>,
    begun: Mutex<u64>,
    /// Told whenever one has changed.
    changed: watch::Sender<()>,
    /// Held for reading while a dead letter is replayed.
    replays: Arc<RwLock<()>>,
}

/// While this lives, no dead letter is replayed.
pub(crate) struct HeldReplays {
    _replays: Option<OwnedRwLockWriteGuard<()>>,
}

impl Erasures {
    /// Keeps dead letters from being replayed. For the beginning, when nobody replays one yet.
    pub(crate) fn hold_replays(&self) -> HeldReplays {
        HeldReplays { _replays: Arc::clone(&self.replays).try_write_owned().ok() }
    }

    /// Notes a new erasure; `None` where too many run. From here on no dead letter of the tenant is replayed.
    pub(crate) async fn begin(&self, tenant: &TenantId, now: i64) -> Option<Erasure> {
        let erasure = self.note(tenant, now)?;
        // Replays that were permitted before have ended when this is given.
        drop(self.replays.write().await);
        Some(erasure)
    }

    /// As [`Erasures::begin`], while replays are held.
    pub(crate) fn go_on(&self, _held: &HeldReplays, tenant: &TenantId, now: i64) -> Option<Erasure> {
        self.note(tenant, now)
    }

    fn note(&self, tenant: &TenantId, now: i64) -> Option<Erasure> {
        let mut known = self.lock();
        if known.len() >= MAX_ERASURES {
            let ended = known.iter().position(|erasure| erasure.status != ErasureStatus::Running)?;
            known.remove(ended);
        }
        let erasure = Erasure {
            id: self.next_id(now),
            tenant: tenant.to_string(),
            status: ErasureStatus::Running,
            detail: "begun".to_owned(),
            samples: 0,
            dead_letters: 0,
        };
        known.push_back(erasure.clone());
        Some(erasure)
    }

    /// Waits until those of the same tenant have ended that began before this one.
    pub(crate) async fn turn(&self, id: &str) {
        let mut changed = self.changed.subscribe();
        while self.has_earlier(id) {
            // The sender lives in `self`.
            let _ = changed.changed().await;
        }
    }

    fn has_earlier(&self, id: &str) -> bool {
        let known = self.lock();
        let Some(at) = known.iter().position(|erasure| erasure.id == id) else { return false };
        let mut earlier = known.iter().take(at).filter(|erasure| erasure.status == ErasureStatus::Running);
        earlier.any(|erasure| known.get(at).is_some_and(|this| erasure.tenant == this.tenant))
    }

    /// Permits a replay until what this returns is dropped; `None` where the tenant's data is being erased. A dead letter
    /// of no known tenant may be anybody's, so it waits for all.
    pub(crate) async fn permit_replay(&self, tenant: Option<&TenantId>) -> Option<RwLockReadGuard<'_, ()>> {
        let permit = self.replays.read().await;
        let is_erased = |erasure: &Erasure| {
            let is_meant = tenant.is_none_or(|tenant| erasure.tenant == tenant.as_str());
            erasure.status == ErasureStatus::Running && is_meant
        };
        (!self.lock().iter().any(is_erased)).then_some(permit)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Erasure> {
        self.lock().iter().find(|erasure| erasure.id == id).cloned()
    }

    pub(crate) fn update(&self, id: &str, update: impl FnOnce(&mut Erasure)) {
        if let Some(erasure) = self.lock().iter_mut().find(|erasure| erasure.id == id) {
            update(erasure);
        }
        self.changed.send_replace(());
    }

    /// Forgets an erasure that did not begin after all.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().retain(|erasure| erasure.id != id);
        self.changed.send_replace(());
    }

    /// An id that no erasure before a restart had.
    fn next_id(&self, now: i64) -> String {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        *begun += 1;
        format!("{now}-{begun}")
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Erasure>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
