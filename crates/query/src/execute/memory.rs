//! Memory that a query holds.

use luminate_storage::{QueryContext, StorageError};

/// Asked for at a time, so that small growth does not touch the query's shared account each time.
const SLAB_BYTES: u64 = 64 << 10;

/// Memory that is accounted to a query and given back when this is dropped.
pub(super) struct Reservation {
    context: QueryContext,
    reserved: u64,
    used: u64,
}

impl Reservation {
    pub(super) fn new(context: &QueryContext) -> Self {
        Self { context: context.clone(), reserved: 0, used: 0 }
    }

    /// An empty one of the same query.
    pub(super) fn of(other: &Self) -> Self {
        Self::new(&other.context)
    }

    /// Accounts for memory about to be taken.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), StorageError> {
        let used = self.used + bytes as u64;
        if used > self.reserved {
            let missing = used - self.reserved;
            // Near the limit a whole slab may not be there while what is needed is.
            let slab = missing.max(SLAB_BYTES);
            let taken = if self.context.reserve_memory(slab).is_ok() {
                slab
            } else {
                self.context.reserve_memory(missing)?;
                missing
            };
            self.reserved += taken;
        }
        self.used = used;
        Ok(())
    }

    /// Gives back memory that was accounted for.
    pub(super) fn shrink(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes as u64);
    }

    /// Makes room in a list for `more` elements. While the list moves, the old and the new place are both accounted for.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    pub(super) fn reserve<T>(&mut self, list: &mut Vec<T>, more: usize) -> Result<(), StorageError> {
        let needed = list.len() + more;
        let held = list.capacity();
        if needed <= held {
            return Ok(());
        }
        let capacity = needed.max(held * 2).max(8);
        self.grow(capacity * size_of::<T>())?;
        list.reserve_exact(capacity - list.len());
        self.shrink(held * size_of::<T>());
        Ok(())
    }

    /// Joins with what another reservation of the same query holds.
    pub(super) fn absorb(&mut self, mut other: Self) {
        self.reserved += std::mem::take(&mut other.reserved);
        self.used += std::mem::take(&mut other.used);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.context.release_memory(self.reserved);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use luminate_storage::QueryLimits;

    use super::*;

    #[test]
    fn accounts_for_both_places_while_a_list_moves_and_gives_all_back() {
        let limits = QueryLimits { timeout: Duration::MAX, memory_bytes: 300_000, samples: 1, workers: 1 };
        let context = QueryContext::new(limits);
        let mut reservation = Reservation::new(&context);
        let mut list = Vec::<u64>::new();
        reservation.reserve(&mut list, 12_500).unwrap();
        list.resize(12_500, 0);
        // 100 kB are held and 200 kB would be taken: just within the limit.
        reservation.reserve(&mut list, 1).unwrap();
        list.resize(25_000, 0);
        assert!(reservation.reserve(&mut list, 1).is_err());
        assert_eq!(context.memory_peak(), 300_000);
        drop(reservation);
        assert!(context.reserve_memory(300_000).is_ok());
    }
}
