//! Memory that reading a block takes, accounted for in the query's context.

use luminate_storage::{QueryContext, StorageError};

use super::index::Layout;
use super::summary::KeySummary;

/// Memory of a query, given back when this is dropped.
pub(super) struct ReservedMemory<'c> {
    context: &'c QueryContext,
    bytes: u64,
}

impl<'c> ReservedMemory<'c> {
    pub(super) fn new(context: &'c QueryContext) -> Self {
        Self { context, bytes: 0 }
    }

    pub(super) fn context(&self) -> &'c QueryContext {
        self.context
    }

    /// Accounts for more memory, before it is taken.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), StorageError> {
        self.context.reserve_memory(bytes as u64)?;
        self.bytes += bytes as u64;
        Ok(())
    }

    /// Accounts for the dictionary of a key and a page of its references.
    pub(super) fn reserve_key(&mut self, key: Option<&KeySummary>) -> Result<(), StorageError> {
        let dictionary = key.map_or(0, |key| key.text_bytes as usize + key.values as usize * 2 * size_of::<u32>());
        self.reserve(dictionary + Layout::STANDARD.series_per_page as usize * size_of::<u32>())
    }
}

impl Drop for ReservedMemory<'_> {
    fn drop(&mut self) {
        self.context.release_memory(self.bytes);
    }
}

/// Memory of one strip: its columns as they are read, and as a chunk holds them.
pub(super) const STRIP_BYTES: usize = Layout::STANDARD.strip_samples as usize * 48;
