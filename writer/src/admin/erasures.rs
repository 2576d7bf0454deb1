//! The erasures of this process: what runs, and what became of those before.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use luminate_model::TenantId;
use serde::Serialize;
use tokio::sync::{RwLock, RwLockReadGuard};
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
    /// Held for reading while a dead letter is replayed.
    replays: RwLock<()>,
}

/// What became of asking for an erasure.
pub(crate) enum Begun {
    /// It shall be run now.
    New(Erasure),
    /// It runs already.
    Running(Erasure),
    /// Too many run.
    TooMany,
}

impl Erasures {
    /// Notes a new erasure, unless one of the tenant is running. From here on no dead letter of the tenant is replayed.
    pub(crate) async fn begin(&self, tenant: &TenantId, now: i64) -> Begun {
        let erasure = {
            let mut known = self.lock();
            let running = |erasure: &&Erasure| erasure.status == ErasureStatus::Running;
            if let Some(same) = known.iter().filter(running).find(|erasure| erasure.tenant == tenant.as_str()) {
                return Begun::Running(same.clone());
            }
            if known.len() >= MAX_ERASURES {
                let Some(ended) = known.iter().position(|erasure| erasure.status != ErasureStatus::Running) else {
                    return Begun::TooMany;
                };
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
            erasure
        };
        // Replays that were permitted before have ended when this is given.
        drop(self.replays.write().await);
        Begun::New(erasure)
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
    }

    /// Forgets an erasure that did not begin after all.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().retain(|erasure| erasure.id != id);
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
