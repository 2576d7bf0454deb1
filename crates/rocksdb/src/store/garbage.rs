//! Blocks that were replaced: their pages are removed when nobody reads them any more.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Weak};

use luminate_storage::StorageError;
use rocksdb::WriteBatch;

use super::Shared;
use super::directory::Block;
use super::keys::{self, ARRIVALS, BLOCKS, META, MetaKey, page_key};
use super::pages::family_of;
use crate::block::BlockId;
use crate::database::Durability;
use crate::error::DatabaseError;

/// A block that no directory lists any more.
pub(crate) struct Retired {
    pub(crate) block: BlockId,
    pub(crate) family: &'static str,
    /// Bytes of its pages; 0 where they are not known any more.
    pub(crate) bytes: u64,
    /// Alive while a query reads the block.
    holders: Weak<Block>,
}

impl Retired {
    pub(crate) fn new(block: &Arc<Block>) -> Self {
        let bytes = block.summary.page_bytes;
        Self { block: block.id, family: family_of(block.place), bytes, holders: Arc::downgrade(block) }
    }

    /// A block that was retired before this process began.
    pub(crate) const fn found(block: BlockId, family: &'static str) -> Self {
        Self { block, family, bytes: 0, holders: Weak::new() }
    }

    fn is_read(&self) -> bool {
        self.holders.strong_count() > 0
    }
}

/// What is to be removed, and what was removed but still takes room.
#[derive(Default)]
pub(crate) struct Garbage {
    retired: Vec<Retired>,
    /// Blocks whose pages were removed from files that hold live pages too, and their bytes.
    buried: BTreeSet<BlockId>,
    buried_bytes: u64,
    /// Whether arrival blocks were removed since their family was last compacted.
    arrivals_removed: bool,
}

impl Garbage {
    pub(crate) fn add(&mut self, retired: impl IntoIterator<Item = Retired>) {
        self.retired.extend(retired);
    }

    /// How many blocks wait to be removed.
    pub(crate) fn waiting(&self) -> usize {
        self.retired.len()
    }

    /// The blocks that wait to be removed.
    pub(crate) fn blocks(&self) -> HashSet<BlockId> {
        self.retired.iter().map(|retired| retired.block).collect()
    }

    /// Whether one of these blocks waits to be removed.
    pub(crate) fn holds_any(&self, blocks: &HashSet<BlockId>) -> bool {
        self.retired.iter().any(|retired| blocks.contains(&retired.block))
    }

    /// Bytes of removed pages that share a file with live ones.
    pub(crate) const fn buried_bytes(&self) -> u64 {
        self.buried_bytes
    }
}

impl Shared {
    /// Removes the pages of replaced blocks that nobody reads. Only the merging thread calls this, between merges.
    pub(crate) fn remove_garbage(&self) -> Result<(), StorageError> {
        let mut garbage = self.garbage();
        let (kept, removable): (Vec<_>, Vec<_>) = garbage.retired.drain(..).partition(Retired::is_read);
        garbage.retired = kept;
        if removable.is_empty() {
            return Ok(());
        }
        let removed = self.remove_pages(&mut garbage, &removable);
        if removed.is_err() {
            garbage.retired.extend(removable);
        }
        Ok(removed?)
    }

    /// The directory without these blocks is durable already, so files may go at once. What is not in files of its own is
    /// removed by key, with the notes of what was to be removed in the same step.
    fn remove_pages(&self, garbage: &mut Garbage, removable: &[Retired]) -> Result<(), DatabaseError> {
        let mut write = WriteBatch::default();
        let meta = self.database.family(META)?;
        for retired in removable {
            write.delete_cf(meta, MetaKey::Garbage(retired.block).encode());
        }
        let of = |family| removable.iter().filter(move |retired| retired.family == family);
        for range in ranges(of(ARRIVALS).map(|retired| retired.block)) {
            write.delete_range_cf(self.database.family(ARRIVALS)?, page_key(range.0, 0), page_key(range.1, 0));
            garbage.arrivals_removed = true;
        }
        let merged: BTreeSet<BlockId> = of(BLOCKS).map(|retired| retired.block).collect();
        let left = self.delete_dead_files(&merged, garbage)?;
        for range in ranges(left.iter().copied()) {
            write.delete_range_cf(self.database.family(BLOCKS)?, page_key(range.0, 0), page_key(range.1, 0));
        }
        self.database.write(write, Durability::Logged)?;
        garbage.buried_bytes +=
            of(BLOCKS).filter(|retired| left.contains(&retired.block)).map(|r| r.bytes).sum::<u64>();
        garbage.buried.extend(left);
        Ok(())
    }

    /// Deletes the files that hold pages of dead blocks only; returns the blocks that also stand in others.
    fn delete_dead_files(
        &self,
        dead: &BTreeSet<BlockId>,
        garbage: &Garbage,
    ) -> Result<BTreeSet<BlockId>, DatabaseError> {
        if dead.is_empty() {
            return Ok(BTreeSet::new());
        }
        let directory = self.directory();
        let live = directory.merged_runs().flat_map(|run| &run.blocks).map(|block| block.id);
        let read = garbage.retired.iter().filter(|retired| retired.family == BLOCKS).map(|retired| retired.block);
        let present: BTreeSet<BlockId> = live.chain(read).collect();
        let family = self.database.family(BLOCKS)?;
        let mut cleared_to = None;
        for block in dead {
            if cleared_to.is_some_and(|end| *block < end) {
                continue;
            }
            // Everything between two blocks that must stay is dead.
            let from = present.range(..*block).next_back().map_or(BlockId(0), |before| BlockId(before.0 + 1));
            let to = present.range(*block..).next().copied().unwrap_or(BlockId(u64::MAX));
            // RocksDB counts the end as inside, so it must lie before the first page of the block that stays.
            let last = page_key(BlockId(to.0.saturating_sub(1)), u32::MAX);
            let deleted = self.database.rocks().delete_file_in_range_cf(family, page_key(from, 0), last);
            self.database.judge(deleted)?;
            cleared_to = Some(to);
        }
        let files = self.database.judge(self.database.rocks().live_files())?;
        let spans: Vec<(Vec<u8>, Vec<u8>)> = files
            .into_iter()
            .filter(|file| file.column_family_name == BLOCKS)
            .filter_map(|file| Some((file.start_key?, file.end_key?)))
            .collect();
        let stands = |block: &&BlockId| {
            let (first, end) = (page_key(**block, 0), page_key(BlockId(block.0 + 1), 0));
            spans.iter().any(|(start, last)| start.as_slice() < &end[..] && last.as_slice() >= &first[..])
        };
        Ok(dead.iter().filter(stands).copied().collect())
    }

    /// Gives back the room that removed pages still take: those in the log and in write buffers, and those in files that hold
    /// live pages too.
    pub(crate) fn reclaim(&self) -> Result<(), StorageError> {
        let (buried, arrivals) = {
            let mut garbage = self.garbage();
            garbage.buried_bytes = 0;
            (std::mem::take(&mut garbage.buried), std::mem::take(&mut garbage.arrivals_removed))
        };
        if arrivals {
            self.flush_all()?;
            self.compact(ARRIVALS, None)?;
        }
        if let (Some(first), Some(last)) = (buried.first(), buried.last()) {
            self.compact(BLOCKS, Some((*first, BlockId(last.0 + 1))))?;
        }
        Ok(())
    }

    /// Writes everything into table files, so that the log up to now is deleted.
    pub(crate) fn flush_all(&self) -> Result<(), DatabaseError> {
        let families = keys::FAMILIES.iter().map(|name| self.database.family(name));
        let families: Vec<_> = families.collect::<Result<_, _>>()?;
        let mut options = rocksdb::FlushOptions::default();
        options.set_wait(true);
        self.database.judge(self.database.rocks().flush_cfs_opt(&families, &options))
    }

    /// Rewrites the files of a family, or those that hold pages of some blocks, without what was removed.
    pub(crate) fn compact(&self, family: &str, blocks: Option<(BlockId, BlockId)>) -> Result<(), DatabaseError> {
        let mut options = rocksdb::CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        options.set_bottommost_level_compaction(rocksdb::BottommostLevelCompaction::ForceOptimized);
        let (from, to) = blocks.map(|(first, end)| (page_key(first, 0), page_key(end, 0))).unzip();
        self.database.rocks().compact_range_cf_opt(self.database.family(family)?, from, to, &options);
        // The call itself reports nothing.
        self.database.check()
    }
}

/// Ranges `[first, end)` of neighbouring numbers.
fn ranges(blocks: impl IntoIterator<Item = BlockId>) -> Vec<(BlockId, BlockId)> {
    let mut sorted: Vec<u64> = blocks.into_iter().map(|block| block.0).collect();
    sorted.sort_unstable();
    let neighbours = sorted.chunk_by(|a, b| b - a <= 1);
    let range = |numbers: &[u64]| Some((BlockId(*numbers.first()?), BlockId(numbers.last()? + 1)));
    neighbours.filter_map(range).collect()
}
