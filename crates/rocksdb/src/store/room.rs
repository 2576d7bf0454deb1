//! Whether the disk has room.

use luminate_storage::StorageError;

use super::Shared;
use super::directory::Run;
use crate::database::free_bytes;

impl Shared {
    /// Whether the disk has room for so many bytes more. Running into a full disk would fail the store until a restart. Room that
    /// the ballast should keep and does not counts as taken, and so does what a flush will write.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<(), StorageError> {
        let reserve = self.config.disk_reserve.get() + self.missing_ballast() + self.database.unflushed_bytes();
        // Where the system does not say, the write itself finds out.
        let free = free_bytes(self.database.folder()).unwrap_or(u64::MAX);
        if free < reserve.saturating_add(bytes) {
            let reason = format!("{free} bytes are free, and {reserve} are kept in reserve");
            return Err(StorageError::DiskFull(reason));
        }
        Ok(())
    }

    /// Makes the ballast as large as it should be, where the disk has room for it.
    pub(crate) fn fit_ballast(&self) {
        let (kept, wanted) = (self.ballast.kept(), self.wanted_ballast());
        // Small changes are not worth it.
        if kept.abs_diff(wanted) <= wanted / 4 {
            return;
        }
        let free = free_bytes(self.database.folder()).unwrap_or_default();
        if free + kept >= wanted + self.config.disk_reserve.get() {
            self.ballast.keep(wanted);
        }
    }

    fn missing_ballast(&self) -> u64 {
        self.wanted_ballast().saturating_sub(self.ballast.kept())
    }

    fn wanted_ballast(&self) -> u64 {
        self.ballast.wanted(self.directory().merged_runs().map(Run::bytes).sum())
    }
}
