//! Reading the pages of blocks.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use luminate_storage::{QueryContext, StorageError};
use rocksdb::ReadOptions;

use super::directory::Block;
use super::entry::Place;
use super::keys::{ARRIVALS, BLOCKS, page_key};
use crate::block::{BlockId, PageReader};
use crate::database::Database;
use crate::error::DatabaseError;

/// The column family that holds the pages of blocks of this place.
pub(crate) const fn family_of(place: Place) -> &'static str {
    match place {
        Place::Arrival { .. } => ARRIVALS,
        Place::Merged { .. } => BLOCKS,
    }
}

/// Reads the pages of some blocks, for a query or for a merge.
pub(crate) struct StoredPages<'a> {
    database: &'a Database,
    arrivals: HashSet<BlockId>,
    context: Option<&'a QueryContext>,
}

impl<'a> StoredPages<'a> {
    /// Reads for a query, which pays for it.
    pub(crate) fn for_query(database: &'a Database, block: &Block, context: &'a QueryContext) -> Self {
        Self { context: Some(context), ..Self::for_merge(database, [block]) }
    }

    /// Reads for a merge of these blocks.
    pub(crate) fn for_merge<'b>(database: &'a Database, blocks: impl IntoIterator<Item = &'b Block>) -> Self {
        let arrivals = blocks.into_iter().filter(|block| matches!(block.place, Place::Arrival { .. }));
        Self { database, arrivals: arrivals.map(|block| block.id).collect(), context: None }
    }
}

impl PageReader for StoredPages<'_> {
    fn page(&self, block: BlockId, page: u32) -> Result<Bytes, StorageError> {
        let family = if self.arrivals.contains(&block) { ARRIVALS } else { BLOCKS };
        let mut options = ReadOptions::default();
        // Every page carries a checksum of its own, which whoever decodes it compares.
        options.set_verify_checksums(false);
        // What a merge reads is about to be removed.
        options.fill_cache(self.context.is_some());
        let family = self.database.family(family)?;
        let found = self.database.rocks().get_pinned_cf_opt(family, page_key(block, page), &options);
        let found = self.database.judge(found)?;
        let missing = || DatabaseError::Damaged(format!("page {page} of block {block} is missing"));
        let bytes = Bytes::copy_from_slice(&found.ok_or_else(missing)?);
        if let Some(context) = self.context {
            context.counters().pages_read.fetch_add(1, Ordering::Relaxed);
            context.counters().bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        Ok(bytes)
    }
}
