//! Dropping what retention no longer keeps. Merges leave out expired samples anyway; this finds the blocks that no merge
//! would touch.

use std::sync::Arc;

use luminate_model::time::DAY_MS;
use luminate_storage::StorageError;

use super::directory::{Block, Directory, Run};
use super::entry::Place;
use super::planner::{Plan, take_while_it_fits};
use super::rules::Rules;
use super::{RocksStoreConfig, Shared};
use crate::block::Section;

/// A block is rewritten when this fraction of it has expired.
const SHARE: f64 = 0.25;

impl Shared {
    /// Drops expired samples from merged blocks; returns how many. Afterwards the disk is smaller.
    pub(crate) fn expire(&self) -> Result<u64, StorageError> {
        let rules = Rules::new(&self.rules, (self.clock)());
        let directory = self.directory();
        let dead: Vec<Arc<Block>> = directory.blocks().filter(|block| rules.expires_whole(block)).cloned().collect();
        let mut expired = dead.iter().map(|block| block.samples()).sum();
        if !dead.is_empty() {
            self.drop_blocks(&dead)?;
            self.merged.note_expired(expired);
        }
        drop(dead);
        let rewrites = rewrites(&self.directory(), &rules);
        drop(directory);
        for plan in rewrites {
            for runs in batches_of(plan, &self.config) {
                let report = self.merge(&runs, &rules)?;
                self.merged.note_expired(report.expired);
                expired += report.expired;
            }
        }
        if expired > 0 {
            tracing::info!(samples = expired, "dropped samples whose retention has passed");
            self.remove_garbage()?;
            self.reclaim()?;
        }
        Ok(expired)
    }
}

/// A plan cut into merges that memory suffices for.
fn batches_of(plan: Plan, config: &RocksStoreConfig) -> Vec<Plan> {
    let mut left = plan.runs;
    let mut plans = Vec::new();
    while !left.is_empty() {
        let runs = take_while_it_fits(left.iter(), config);
        left.drain(..runs.len());
        plans.push(Plan { runs, width: plan.width });
    }
    plans
}

/// The blocks to be rewritten without what has expired, for each width of windows.
fn rewrites(directory: &Directory, rules: &Rules) -> Vec<Plan> {
    let mut plans: Vec<Plan> = Vec::new();
    for run in directory.merged_runs() {
        let blocks: Vec<Arc<Block>> =
            run.blocks.iter().filter(|block| is_worth_rewriting(block, rules)).cloned().collect();
        let Some(Place::Merged { window, .. }) = blocks.first().map(|block| block.place) else { continue };
        let run = Run { blocks };
        match plans.iter_mut().find(|plan| plan.width == window.width) {
            Some(plan) => plan.runs.push(run),
            None => plans.push(Plan { runs: vec![run], width: window.width }),
        }
    }
    plans
}

/// Whether a fair share of a block has expired, or something has for more than a day.
fn is_worth_rewriting(block: &Block, rules: &Rules) -> bool {
    let sections = &block.summary.sections;
    let expired: f64 = sections.iter().map(|section| expired_samples(section, rules.floor(section))).sum();
    let long_ago = |section: &Section| section.first_timestamp + DAY_MS < rules.floor(section);
    expired >= SHARE * f64::from(block.summary.samples) || sections.iter().any(long_ago)
}

/// How many samples of a section have expired, about: as if they were spread evenly over its time.
fn expired_samples(section: &Section, floor: i64) -> f64 {
    if floor <= section.first_timestamp {
        return 0.0;
    }
    let width = section.last_timestamp.saturating_sub(section.first_timestamp) as f64 + 1.0;
    let share = (floor - section.first_timestamp) as f64 / width;
    share.min(1.0) * f64::from(section.samples)
}
