//! Pages: the pieces of a block that are read one by one.

use bytes::Bytes;
use luminate_storage::StorageError;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bytes::Fault;
use super::error::BlockError;
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

const CHECKSUM_BYTES: usize = 8;

/// Ends a page with its checksum. The page's number is part of the sum, so that one page cannot stand for another.
pub(super) fn seal(mut payload: Vec<u8>, number: u32) -> Vec<u8> {
    let sum = xxh3_64_with_seed(&payload, u64::from(number));
    payload.extend_from_slice(&sum.to_le_bytes());
    payload
}

/// The payload of a page whose checksum holds.
pub(super) fn unseal(page: &[u8], number: u32) -> Result<&[u8], Fault> {
    let (payload, sum) = page.split_last_chunk::<CHECKSUM_BYTES>().ok_or("it is shorter than a checksum")?;
    if xxh3_64_with_seed(payload, u64::from(number)) == u64::from_le_bytes(*sum) {
        Ok(payload)
    } else {
        Err("its checksum does not hold")
    }
}

/// The pages of one block.
#[derive(Clone, Copy)]
pub(super) struct BlockPages<'a> {
    pub(super) id: BlockId,
    pub(super) reader: &'a dyn PageReader,
}

impl BlockPages<'_> {
    /// Reads a page and what `decode` makes of its payload.
    pub(super) fn read<T>(&self, page: u32, decode: impl FnOnce(&[u8]) -> Result<T, Fault>) -> Result<T, StorageError> {
        let bytes = self.reader.page(self.id, page)?;
        self.decode(page, &bytes, decode)
    }

    /// What `decode` makes of the payload of a page that was read.
    pub(super) fn decode<T>(
        &self,
        page: u32,
        bytes: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<T, StorageError> {
        unseal(bytes, page).and_then(decode).map_err(|fault| self.damaged(page, fault))
    }

    /// The error that names a page.
    pub(super) fn damaged(&self, page: u32, fault: Fault) -> StorageError {
        BlockError::Page { block: self.id, page, fault }.into()
    }
}
