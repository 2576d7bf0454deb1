//! Erasing a tenant: first a line in the ledger, which keeps replays out, then its blocks, then their bytes in every file.
//!
//! Blocks know the range of offsets that their samples came from, not the offset of each sample. A block that was stored
//! before the erasure was noted, and whose range begins before the erasure's offsets, loses all that it has of the tenant.
//! Blocks made afterwards hold nothing erased, and keep what they have: writes leave out covered records one by one, and
//! merges leave out what older blocks have; one that had begun before is done anew.

use std::collections::HashSet;
use std::sync::Arc;

use luminate_model::time::DAY_MS;
use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{Erased, StorageError};
use rocksdb::{WaitForCompactOptions, WriteBatch};

use super::Shared;
use super::directory::{Block, Directory, Run};
use super::entry::Place;
use super::hooks::Moment;
use super::keys::{self, ARRIVALS, DIRECTORY, META, MetaKey};
use super::planner::{Plan, take_while_it_fits};
use super::rules::Rules;
use super::state::Ledger;
use crate::block::BlockId;
use crate::database::Durability;

impl Shared {
    /// Writes an erasure into the ledger: from now on nothing that it covers is stored, and the tenant's idempotency entries
    /// of what it covers are gone. Sources that `up_to` does not name are covered as far as they are stored. Returns what is to
    /// be removed.
    pub(crate) fn note_erasure(&self, tenant: &TenantId, up_to: &[(Source, Offset)]) -> Result<Erased, StorageError> {
        // Room for what follows, should the disk be full.
        self.ballast.release();
        let mut state = self.state();
        let mut ends = state.next.clone();
        ends.extend(up_to.iter().copied());
        let mut write = WriteBatch::default();
        let meta = self.database.family(META)?;
        let first_clean_block = state.next_block;
        for (source, end) in &ends {
            let end = state.ledger.end(tenant, *source).unwrap_or_default().max(*end);
            write.put_cf(meta, MetaKey::Ledger(*source, tenant).encode(), keys::ledger_value(end, first_clean_block));
            let kept = state.idempotency.get(source).copied().unwrap_or_default();
            self.for_each_idempotency(*source, kept.first, |entry| {
                if entry.tenant == *tenant && entry.offset < end {
                    write.delete_cf(meta, MetaKey::Idempotency(*source, &entry).encode());
                }
                entry.offset < end
            })?;
        }
        self.database.write(write, Durability::Synced)?;
        for (source, end) in ends {
            state.ledger.add(tenant, source, end, first_clean_block);
        }
        let covered = covered_blocks(&state.ledger, &self.directory(), tenant);
        let sections = covered.iter().flat_map(|block| block.summary.sections_of_tenant(tenant));
        let samples = sections.map(|section| u64::from(section.samples)).sum();
        drop(state);
        self.at(Moment::ErasureNoted);
        Ok(Erased { samples })
    }

    /// Removes what the ledger covers of a tenant, from the directory and then from every file. Returns when no query reads it
    /// any more.
    pub(crate) fn erase(&self, tenant: &TenantId) -> Result<(), StorageError> {
        loop {
            let covered = covered_blocks(&self.state().ledger, &self.directory(), tenant);
            if covered.is_empty() {
                break;
            }
            self.erase_blocks(covered)?;
        }
        // With those that a merge has replaced in the meantime.
        let replaced = self.garbage().blocks();
        loop {
            self.remove_garbage()?;
            if !self.garbage().holds_any(&replaced) {
                break;
            }
            if self.inbox.is_closing() {
                return Err(StorageError::Unavailable("the store is closing".to_owned()));
            }
            self.inbox.wait_for_wake();
        }
        self.scrub()?;
        self.fit_ballast();
        Ok(())
    }

    /// Removes what is covered from some blocks: those of one tenant by dropping them, those of many by a merge. A merge takes
    /// up as many batches as it may; the rest comes with the next call.
    fn erase_blocks(&self, blocks: Vec<Arc<Block>>) -> Result<(), StorageError> {
        let (arrivals, merged): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| matches!(block.place, Place::Arrival { .. }));
        if !merged.is_empty() {
            self.drop_blocks(&merged)?;
        }
        if !arrivals.is_empty() {
            let ids: HashSet<BlockId> = arrivals.iter().map(|block| block.id).collect();
            let directory = self.directory();
            let touched = |run: &&Run| run.blocks.iter().any(|block| ids.contains(&block.id));
            let runs = directory.arrivals.iter().map(|arrival| &arrival.run).filter(touched);
            let plan = Plan { runs: take_while_it_fits(runs, &self.config), width: DAY_MS };
            self.merge(&plan, &Rules::new(&self.rules, (self.clock)()))?;
        }
        Ok(())
    }

    /// Rewrites everything that may still hold removed bytes, and lets go of the log.
    fn scrub(&self) -> Result<(), StorageError> {
        self.flush_all()?;
        for family in [ARRIVALS, DIRECTORY, META] {
            self.compact(family, None)?;
        }
        self.reclaim()?;
        // Files are deleted by background work.
        let mut options = WaitForCompactOptions::default();
        options.set_flush(true);
        Ok(self.database.judge(self.database.rocks().wait_for_compact(&options))?)
    }
}

/// The live blocks that have samples of a tenant which the ledger covers.
fn covered_blocks(ledger: &Ledger, directory: &Directory, tenant: &TenantId) -> Vec<Arc<Block>> {
    directory.blocks().filter(|block| block.is_covered(ledger, tenant)).cloned().collect()
}
