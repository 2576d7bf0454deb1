//! Carrying out a merge: read runs, write their successors as files, and replace the ones by the others in one step.
//!
//! Whatever moment a crash chooses: until the directory is changed the inputs count, and what was written so far is found
//! by [`MetaKey::Pending`] and removed at the next start; afterwards the outputs count, and the inputs are found by
//! [`MetaKey::Garbage`].

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use luminate_storage::StorageError;
use rocksdb::WriteBatch;

use super::Shared;
use super::directory::Block;
use super::entry::{Entry, Place, Provenance, Window};
use super::garbage::Retired;
use super::hooks::Moment;
use super::keys::{self, DIRECTORY, META, MetaKey};
use super::open::page_file_options;
use super::page_files::PageFiles;
use super::pages::StoredPages;
use super::planner::Plan;
use super::rules::{MergingRules, Rules};
use super::state::Ledger;
use crate::block::{BlockId, BlockSummary, MergeInput, MergeOptions, MergeReport, merge};
use crate::database::Durability;

impl Shared {
    /// Merges the runs of a plan into one run a tenant and window, leaving out what retention or the ledger say. Only the
    /// merging thread calls this: there is one merge at a time. An erasure may be noted at any moment; where it covers
    /// something of the inputs, the merge is done anew.
    pub(crate) fn merge(&self, plan: &Plan, rules: &Rules) -> Result<MergeReport, StorageError> {
        let inputs: Vec<&Arc<Block>> = plan.runs.iter().flat_map(|run| &run.blocks).collect();
        loop {
            let rules = MergingRules::new(rules, &self.state().ledger, &inputs);
            self.begin_merge()?;
            let written = self.write_successors(plan, &inputs, &rules).and_then(|(report, successors)| {
                self.at(Moment::BeforeFlip);
                let counts = self.flip(&inputs, successors, |ledger| rules.hold_for(ledger, &inputs))?;
                Ok(counts.then_some(report))
            });
            match written {
                Ok(Some(report)) => {
                    self.at(Moment::AfterFlip);
                    return Ok(report);
                }
                Ok(None) => self.abandon_merge(),
                Err(error) => {
                    self.abandon_merge();
                    return Err(error);
                }
            }
        }
    }

    /// Removes blocks that need no successors from the directory.
    pub(crate) fn drop_blocks(&self, blocks: &[Arc<Block>]) -> Result<(), StorageError> {
        self.flip(&blocks.iter().collect::<Vec<_>>(), Vec::new(), |_| true).map(drop)
    }

    /// Removes the pages of a merge that does not get to count. Should this fail, the next start does it.
    fn abandon_merge(&self) {
        if let Err(error) = super::open::remove_unfinished_merge(&self.database) {
            tracing::warn!(%error, "pages of a merge that does not count are removed at the next start");
        }
    }

    /// Notes, durably, from which number on pages belong to nobody should this process end now.
    fn begin_merge(&self) -> Result<(), StorageError> {
        let first = self.state().next_block;
        let mut write = WriteBatch::default();
        write.put_cf(self.database.family(META)?, MetaKey::Pending.encode(), first.to_be_bytes());
        Ok(self.database.write(write, Durability::Synced)?)
    }

    /// Writes the blocks that the runs of a plan become. They do not count yet.
    fn write_successors(
        &self,
        plan: &Plan,
        inputs: &[&Arc<Block>],
        rules: &MergingRules<'_>,
    ) -> Result<(MergeReport, Vec<Successor>), StorageError> {
        let pages = StoredPages::for_merge(&self.database, inputs.iter().map(|block| &***block));
        let input = |block: &Arc<Block>| MergeInput { id: block.id, summary: Arc::clone(&block.summary) };
        let runs: Vec<Vec<MergeInput>> = plan.runs.iter().map(|run| run.blocks.iter().map(input).collect()).collect();
        let options = MergeOptions { block_samples: self.config.block_samples, window_ms: plan.width };
        let file_options = page_file_options();
        let mut files = PageFiles::new(&self.database, &file_options)?;
        let mut successors = Vec::new();
        let report = merge(&runs, &pages, rules, &options, &mut |block| {
            if self.inbox.is_closing() {
                return Err(StorageError::Cancelled);
            }
            let id = self.next_block();
            files.add(id, &block.pages)?;
            let window = Window::of(block.summary.first_timestamp, plan.width);
            successors.push(Successor { id, window, summary: block.summary });
            Ok(())
        })?;
        files.take_up()?;
        Ok((report, successors))
    }

    fn next_block(&self) -> BlockId {
        let mut state = self.state();
        let id = BlockId(state.next_block);
        state.next_block += 1;
        id
    }

    /// Replaces blocks by others, in one synced step; does nothing and answers false where the ledger has changed so that the
    /// others may not count.
    fn flip(
        &self,
        inputs: &[&Arc<Block>],
        outputs: Vec<Successor>,
        may_count: impl FnOnce(&Ledger) -> bool,
    ) -> Result<bool, StorageError> {
        let added = entries_of(inputs, outputs);

        let mut state = self.state();
        if !may_count(&state.ledger) {
            return Ok(false);
        }
        let directory = self.directory();
        let live: HashSet<BlockId> = directory.blocks().map(|block| block.id).collect();
        if let Some(gone) = inputs.iter().find(|block| !live.contains(&block.id)) {
            return Err(StorageError::Damaged(format!("block {} was removed while it was merged", gone.id)));
        }
        let mut write = WriteBatch::default();
        let (family, meta) = (self.database.family(DIRECTORY)?, self.database.family(META)?);
        for block in inputs {
            write.delete_cf(family, keys::block_key(block.id));
            write.put_cf(meta, MetaKey::Garbage(block.id).encode(), keys::garbage_value(block.place));
        }
        for (id, entry) in &added {
            write.put_cf(family, keys::block_key(*id), entry.encode());
        }
        write.delete_cf(meta, MetaKey::Pending.encode());
        write.put_cf(meta, MetaKey::NextBlock.encode(), state.next_block.to_be_bytes());
        self.database.write(write, Durability::Synced)?;

        let removed = inputs.iter().map(|block| block.id).collect();
        let added = added.into_iter().map(|(id, entry)| Block::new(id, entry, Arc::clone(&self.inbox))).collect();
        self.replace_directory(&mut state, |directory| directory.with_change(&removed, added));
        self.garbage().add(inputs.iter().map(|block| Retired::new(block)));
        Ok(true)
    }
}

/// A block that a merge made.
struct Successor {
    id: BlockId,
    window: Window,
    summary: BlockSummary,
}

/// The directory's entries of a merge's output. A run is named by its first block.
fn entries_of(inputs: &[&Arc<Block>], outputs: Vec<Successor>) -> Vec<(BlockId, Entry)> {
    let mut provenance = Provenance::default();
    inputs.iter().for_each(|block| provenance.join(&block.provenance));
    let mut runs = BTreeMap::new();
    let entry = |Successor { id, window, summary }| {
        let tenant = summary.sections.first().map(|section| section.tenant.clone());
        let run = *runs.entry((tenant, window)).or_insert(id.0);
        (id, Entry { place: Place::Merged { run, window }, provenance: provenance.clone(), summary })
    };
    outputs.into_iter().map(entry).collect()
}
