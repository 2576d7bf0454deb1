//! Pages: the pieces of a block that are read one by one.

use bytes::Bytes;
use luminate_storage::StorageError;

use super::summary::BlockId;

/// Where the pages of blocks are read. The implementation counts pages and bytes for the query it reads for.
pub trait PageReader: Send + Sync {
    /// The bytes of a page, as the encoder made them.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where there is no such page; what the store fails with.
    fn page(&self, block: BlockId, page: u32) -> Result<Bytes, StorageError>;

    /// The bytes of several pages of a block, in the order asked for.
    ///
    /// # Errors
    /// As [`PageReader::page`].
    fn pages(&self, block: BlockId, pages: &[u32]) -> Result<Vec<Bytes>, StorageError> {
        pages.iter().map(|page| self.page(block, *page)).collect()
    }
}
