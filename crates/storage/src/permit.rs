//! The permission to send something to a store until a moment in time.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::error::StorageError;

/// May be used until it expires. A writer gets it with an acknowledged commit, which the group's coordinator checked; it ends
/// one session time-out after that commit was sent, because from then on the partition may be another writer's. Time is
/// counted through suspend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Time since boot.
    expires: Duration,
}

impl Permit {
    /// Permission from `granted` ([`Permit::now`]) on for `validity`.
    #[must_use]
    pub fn from(granted: Duration, validity: Duration) -> Self {
        Self { expires: granted.saturating_add(validity) }
    }

    /// For a queue that nobody else can own: permission for ever.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self { expires: Duration::MAX }
    }

    /// Time since boot, suspend included.
    #[must_use]
    pub fn now() -> Duration {
        let now = clock_gettime(ClockId::Boottime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
    }

    /// What is left of it; a store's own limit on the time of an insert lies within.
    ///
    /// # Errors
    /// [`StorageError::PermitExpired`]
    pub fn remaining(&self) -> Result<Duration, StorageError> {
        self.remaining_at(Self::now())
    }

    /// What is left of it at `now`.
    ///
    /// # Errors
    /// [`StorageError::PermitExpired`]
    pub fn remaining_at(&self, now: Duration) -> Result<Duration, StorageError> {
        match self.expires.checked_sub(now) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(StorageError::PermitExpired),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ends_after_its_validity() {
        let hour = Duration::from_secs(3600);
        let left = Permit::from(Permit::now(), hour).remaining().unwrap();
        assert!(left <= hour && left > hour / 2);
        assert!(Permit::unlimited().remaining().unwrap() > hour);
        let over = Permit::from(Permit::now(), Duration::ZERO);
        assert!(matches!(over.remaining(), Err(StorageError::PermitExpired)));
    }
}
