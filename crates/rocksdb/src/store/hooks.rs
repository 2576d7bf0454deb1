//! Moments at which tests look at the database as a crash would leave it. Outside tests nothing is there.

use super::Shared;

/// A moment in the life of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The pages of a merge are in the database, its inputs still count.
    BeforeFlip,
    /// The outputs of a merge count, the pages of its inputs are still there.
    AfterFlip,
    /// An erasure stands in the ledger, nothing is removed yet.
    ErasureNoted,
}

/// What a test does at a moment, given the folder of the database.
#[cfg(test)]
pub(crate) type Hook = Box<dyn Fn(Moment, &std::path::Path) + Send + Sync>;

impl Shared {
    /// Says that a moment has come.
    #[cfg(test)]
    pub(crate) fn at(&self, moment: Moment) {
        if let Some(hook) = &*self.hook.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            hook(moment, self.database.folder());
        }
    }

    /// Says that a moment has come.
    #[cfg(not(test))]
    #[allow(clippy::unused_self)]
    pub(crate) const fn at(&self, _moment: Moment) {}
}
