//! Admit: so many queries run at once, of all tenants together and of each. Others wait their turn, but not for ever.
//!
//! A query takes its tenant's slot first and one of all second, so that a tenant's waiting queries hold nothing that
//! others could use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use luminate_model::TenantId;
use luminate_runtime::http::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::problems;

/// The slots of running queries. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    all: Arc<Semaphore>,
    tenants: Arc<Mutex<HashMap<TenantId, Arc<Semaphore>>>>,
    per_tenant: usize,
    patience: Duration,
}

/// A query may run while this is held.
pub struct Admitted {
    // Given back in this order: whoever waits for a slot of all has its tenant's already.
    _of_all: OwnedSemaphorePermit,
    _of_tenant: TenantSlot,
}

struct TenantSlot {
    tenant: TenantId,
    permit: Option<OwnedSemaphorePermit>,
    slots: Option<Arc<Semaphore>>,
    admission: Admission,
}

impl Admission {
    /// `all` queries at once, `per_tenant` of one tenant; others wait for as long as `patience`.
    #[must_use]
    pub fn new(all: usize, per_tenant: usize, patience: Duration) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), tenants: Arc::default(), per_tenant, patience }
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// [`Problem`] `tenant_queries_busy` (429) or `queries_busy` (503), with `Retry-After`.
    pub async fn admit(&self, tenant: &TenantId) -> Result<Admitted, Problem> {
        let deadline = Instant::now() + self.patience;
        let mut of_tenant = self.slot_of(tenant);
        let waiting = timeout_at(deadline, of_tenant.take());
        if !waiting.await.unwrap_or(false) {
            return Err(problems::busy(&problems::TENANT_QUERIES_BUSY, self.patience));
        }
        let of_all = timeout_at(deadline, Arc::clone(&self.all).acquire_owned()).await;
        match of_all {
            Ok(Ok(permit)) => Ok(Admitted { _of_all: permit, _of_tenant: of_tenant }),
            _ => Err(problems::busy(&problems::QUERIES_BUSY, self.patience)),
        }
    }

    fn slot_of(&self, tenant: &TenantId) -> TenantSlot {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = tenants.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.per_tenant)));
        let slots = Some(Arc::clone(slots));
        TenantSlot { tenant: tenant.clone(), permit: None, slots, admission: self.clone() }
    }

    #[cfg(test)]
    fn known_tenants(&self) -> usize {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl TenantSlot {
    /// Waits for the tenant's slot; false where there will never be one.
    async fn take(&mut self) -> bool {
        let Some(slots) = &self.slots else { return false };
        self.permit = Arc::clone(slots).acquire_owned().await.ok();
        self.permit.is_some()
    }
}

impl Drop for TenantSlot {
    fn drop(&mut self) {
        let mut tenants = self.admission.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // First the permit and our own handle, then the look whether anybody else has one: the map's is the only one left
        // when nobody runs or waits, and nobody can come while the map is locked.
        self.permit = None;
        self.slots = None;
        if tenants.get(&self.tenant).is_some_and(|slots| Arc::strong_count(slots) == 1) {
            tenants.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use luminate_storage::conformance::generate::tenant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_tenant_and_all_together_have_their_slots() {
        let admission = Admission::new(3, 2, Duration::from_secs(5));
        let (acme, beta, gamma) = (tenant("acme"), tenant("beta"), tenant("gamma"));
        let code = |result: Result<Admitted, Problem>| result.err().map(|problem| problem.code());
        let first = admission.admit(&acme).await.unwrap();
        let second = admission.admit(&acme).await.unwrap();
        assert_eq!(code(admission.admit(&acme).await), Some("tenant_queries_busy"));
        let third = admission.admit(&beta).await.unwrap();
        assert_eq!(code(admission.admit(&gamma).await), Some("queries_busy"));
        drop(first);
        let fourth = admission.admit(&gamma).await.unwrap();
        assert_eq!(admission.known_tenants(), 3);
        drop((second, third, fourth));
        assert_eq!(admission.known_tenants(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_admitted_when_another_ends() {
        let admission = Admission::new(1, 1, Duration::from_secs(5));
        let acme = tenant("acme");
        let running = admission.admit(&acme).await.unwrap();
        let waiting = admission.admit(&acme);
        let ending = async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            drop(running);
        };
        let (admitted, ()) = tokio::join!(waiting, ending);
        assert!(admitted.is_ok());
    }
}
