//! Bytes that may be held in memory at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::Metrics;

/// A number of bytes that all requests share. Nobody waits for it: who gets nothing is refused, so that memory and the time
/// that a client waits are both bounded. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBudget(Arc<Account>);

#[derive(Debug)]
struct Account {
    limit: u64,
    used: AtomicU64,
}

/// Bytes taken from a budget. They go back when it is dropped.
#[derive(Debug)]
pub struct MemoryPermit {
    account: Arc<Account>,
    bytes: u64,
}

/// The budget has not enough left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{requested} bytes were asked for, and {left} of {limit} are left")]
pub struct BudgetExhausted {
    /// Bytes that were asked for.
    pub requested: u64,
    /// Bytes that were left.
    pub left: u64,
    /// Bytes that there are.
    pub limit: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Account { limit, used: AtomicU64::new(0) }))
    }

    /// Takes bytes from the budget.
    ///
    /// # Errors
    /// [`BudgetExhausted`] where fewer are left.
    pub fn take(&self, bytes: u64) -> Result<MemoryPermit, BudgetExhausted> {
        let mut permit = MemoryPermit { account: Arc::clone(&self.0), bytes: 0 };
        permit.grow(bytes)?;
        Ok(permit)
    }

    /// Bytes that are taken now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Bytes that there are.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Shows what is taken as `luminate_http_body_bytes_in_flight`. For the one budget of a process.
    pub fn show_in(&self, metrics: &Metrics) {
        let budget = self.clone();
        metrics.before_scrape(move |metrics| metrics.http_body_bytes_in_flight.set(budget.used() as f64));
    }
}

impl MemoryPermit {
    /// Takes more bytes.
    ///
    /// # Errors
    /// [`BudgetExhausted`] where fewer are left; the permit keeps what it had.
    pub fn grow(&mut self, more: u64) -> Result<(), BudgetExhausted> {
        let limit = self.account.limit;
        let fits = |used: u64| used.checked_add(more).filter(|total| *total <= limit);
        match self.account.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => {
                self.bytes += more;
                Ok(())
            }
            Err(used) => Err(BudgetExhausted { requested: more, left: limit - used, limit }),
        }
    }

    /// Gives back what is above `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.account.used.fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
    }

    /// Bytes that the permit holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.account.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::Process;

    #[test]
    fn a_permit_gives_back_what_it_took() {
        let budget = MemoryBudget::new(100);
        let mut first = budget.take(60).unwrap();
        assert_eq!(budget.take(41).unwrap_err(), BudgetExhausted { requested: 41, left: 40, limit: 100 });
        first.grow(40).unwrap();
        assert_eq!(first.grow(1).unwrap_err().left, 0);
        assert_eq!(first.bytes(), 100);
        first.shrink_to(10);
        assert_eq!(budget.used(), 10);
        first.shrink_to(50);
        assert_eq!(first.bytes(), 10, "shrinking never grows");
        drop(first);
        assert_eq!(budget.used(), 0);
        assert!(budget.take(u64::MAX).is_err());
    }

    #[test]
    fn what_is_taken_is_shown() {
        let metrics = Metrics::new(&[Process::Gateway]).unwrap();
        let budget = MemoryBudget::new(100);
        budget.show_in(&metrics);
        let _permit = budget.take(42).unwrap();
        assert!(metrics.render().unwrap().contains("luminate_http_body_bytes_in_flight 42\n"));
    }

    proptest! {
        #![proptest_config(crate::seeded_proptest())]

        #[test]
        fn the_limit_holds_and_nothing_leaks(steps in prop::collection::vec((0..3_u8, 0..50_u64), 0..60)) {
            let budget = MemoryBudget::new(100);
            let mut permits: Vec<MemoryPermit> = Vec::new();
            for (step, bytes) in steps {
                match (step, permits.last_mut()) {
                    (0, _) | (_, None) => permits.extend(budget.take(bytes).ok()),
                    (1, Some(permit)) => { let _ = permit.grow(bytes); }
                    (_, Some(permit)) => { permit.shrink_to(bytes); if bytes == 0 { permits.pop(); } }
                }
                prop_assert!(budget.used() <= 100);
                prop_assert_eq!(budget.used(), permits.iter().map(MemoryPermit::bytes).sum::<u64>());
            }
        }
    }
}
