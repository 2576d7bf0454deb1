//! Erasing a tenant: first a line in the ledger, which keeps replays out, then its blocks, then their bytes in every file.
//! An erasure that was noted is marked unfinished until whoever noted it says that nothing is left to do.
//!
//! Blocks know the range of offsets that their samples came from, not the offset of each sample. A block that was stored
//! before the erasure was noted, and whose range begins before the erasure's offsets, loses all that it has of the tenant.
//! Blocks made afterwards hold nothing erased, and keep what they have: writes leave out covered records one by one, and
//! merges leave out what older blocks have; one that had begun before is done anew.

use std::collections::HashSet;
use std::sync::Arc;

use luminate_model::TenantId;
use luminate_model::time::DAY_MS;
use luminate_storage::{Erased, NotedErasure, StorageError};
use rocksdb::{WaitForCompactOptions, WriteBatch};

use super::Shared;
use super::directory::{Block, Directory, Run};
use super::entry::Place;
use super::hooks::Moment;
use super::keys::{self, ARRIVALS, DIRECTORY, META, MetaKey};
use super::open::entries;
use super::planner::{Plan, take_while_it_fits};
use super::rules::Rules;
use super::state::Ledger;
use crate::block::BlockId;
use crate::database::Durability;
use crate::error::DatabaseError;

impl Shared {
    /// Writes an erasure into the ledger: from now on nothing that it covers is stored, and the tenant's idempotency entries
    /// of what it covers are gone. Sources that it does not name are covered as far as they are stored.
    pub(crate) fn note_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        let NotedErasure { tenant, up_to } = erasure;
        // Room for what follows, should the disk be full.
        self.ballast.release();
        let mut state = self.state();
        let mut ends = state.next.clone();
        ends.extend(up_to.iter().copied());
        let mut write = WriteBatch::default();
        let meta = self.database.family(META)?;
        write.put_cf(meta, MetaKey::Erasure(tenant).encode(), keys::erasure_value(up_to));
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
        // What an earlier erasure covers and has not removed yet is in its count.
        let before = covered_samples(&state.ledger, &self.directory(), tenant);
        for (source, end) in ends {
            state.ledger.add(tenant, source, end, first_clean_block);
        }
        let samples = covered_samples(&state.ledger, &self.directory(), tenant).saturating_sub(before);
        *state.noted_samples.entry(tenant.clone()).or_default() += samples;
        drop(state);
        self.at(Moment::ErasureNoted);
        Ok(())
    }

    /// The erasures that were noted and not finished.
    pub(crate) fn unfinished_erasures(&self) -> Result<Vec<NotedErasure>, StorageError> {
        let damaged = || DatabaseError::Damaged("an unfinished erasure".to_owned());
        let mut erasures = Vec::new();
        for (tenant, up_to) in entries(&self.database, META, keys::ERASURE_PREFIX)? {
            let tenant = keys::read_tenant(&tenant).ok_or_else(damaged)?;
            erasures.push(NotedErasure { tenant, up_to: keys::read_erasure(&up_to).ok_or_else(damaged)? });
        }
        Ok(erasures)
    }

    /// Takes the mark from an erasure, unless a later one of the tenant has left its own.
    pub(crate) fn finish_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        // No other erasure is noted meanwhile.
        let _state = self.state();
        let key = MetaKey::Erasure(&erasure.tenant).encode();
        let marked = self.database.get(META, &key)?;
        if marked.is_some_and(|up_to| *up_to == *keys::erasure_value(&erasure.up_to)) {
            let mut write = WriteBatch::default();
            write.delete_cf(self.database.family(META)?, key);
            self.database.write(write, Durability::Synced)?;
        }
        Ok(())
    }

    /// Removes what the ledger covers of a tenant, from the directory and then from every file. Returns when no query reads it
    /// any more.
    pub(crate) fn remove_erased(&self, tenant: &TenantId) -> Result<Erased, StorageError> {
        let samples = {
            let mut state = self.state();
            // Merges may have taken some of it already; only before a restart was it not counted.
            let noted = state.noted_samples.remove(tenant);
            noted.unwrap_or_else(|| covered_samples(&state.ledger, &self.directory(), tenant))
        };
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
        tracing::info!(%tenant, samples, "erased a tenant");
        Ok(Erased { samples })
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

/// How many samples of a tenant the ledger covers.
fn covered_samples(ledger: &Ledger, directory: &Directory, tenant: &TenantId) -> u64 {
    let covered = directory.blocks().filter(|block| block.is_covered(ledger, tenant));
    let sections = covered.flat_map(|block| block.summary.sections_of_tenant(tenant));
    sections.map(|section| u64::from(section.samples)).sum()
}

/// The live blocks that have samples of a tenant which the ledger covers.
fn covered_blocks(ledger: &Ledger, directory: &Directory, tenant: &TenantId) -> Vec<Arc<Block>> {
    directory.blocks().filter(|block| block.is_covered(ledger, tenant)).cloned().collect()
}
