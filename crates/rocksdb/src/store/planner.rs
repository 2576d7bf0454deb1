//! What to merge next. Decided from the directory alone, so that it can be tested without a disk.
//!
//! Batches are merged into runs of one tenant and one UTC day each. The runs of a tenant and day are merged by size: as
//! soon as there are `merge_runs` of about one size they become one, so that a sample is rewritten once for each power of
//! `merge_runs` that its day grows by. A tenant with little data would end up with a tiny block a day for ever; so where all
//! that it has in a wide window fits one block, that window takes the place of its days.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use luminate_model::time::DAY_MS;

use super::config::RocksStoreConfig;
use super::directory::{ArrivalRun, Directory, Run, TenantRuns};
use super::entry::Window;

/// Width of the windows of tenants with little data.
pub(crate) const WIDE: i64 = 32 * DAY_MS;

/// Runs are of about one size when their sizes have the same power of this.
const TIER_FACTOR: u64 = 8;

/// Runs smaller than this, in samples, are all of one size.
const SMALLEST_TIER: u64 = 4096;

/// Most samples of runs of different groups that one merge takes up; bounds how long a merge holds back the next.
const MERGE_SAMPLES: u64 = 32 << 20;

/// Runs to be merged into one a window.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) runs: Vec<Run>,
    /// Width of the windows of the output.
    pub(crate) width: i64,
}

/// How eager to merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Batches keep coming: merge what has become many.
    Busy,
    /// Nothing comes: merge where the gain is worth the rewriting.
    Idle,
    /// Merge until every tenant has one run a window.
    Everything,
}

/// The next merge, if any.
pub(crate) fn next_merge(directory: &Directory, config: &RocksStoreConfig, pace: Pace, now: Instant) -> Option<Plan> {
    merge_of_arrivals(&directory.arrivals, config, pace, now).or_else(|| merge_of_runs(directory, config, pace))
}

/// When the oldest batch will be old enough to be merged.
pub(crate) fn next_due(directory: &Directory, config: &RocksStoreConfig) -> Option<Instant> {
    directory.arrivals.first().map(|oldest| oldest.since + config.merge_after.get())
}

fn merge_of_arrivals(arrivals: &[ArrivalRun], config: &RocksStoreConfig, pace: Pace, now: Instant) -> Option<Plan> {
    let oldest = arrivals.first()?;
    let samples: u64 = arrivals.iter().map(|arrival| arrival.run.samples()).sum();
    let age: Duration = now.saturating_duration_since(oldest.since);
    let due = pace != Pace::Busy
        || arrivals.len() >= config.merge_batches as usize
        || samples >= config.merge_samples
        || age >= config.merge_after.get();
    let runs = || take_while_it_fits(arrivals.iter().map(|arrival| &arrival.run), config);
    due.then(|| Plan { runs: runs(), width: DAY_MS })
}

/// As many runs as one merge may take up; one at least.
pub(crate) fn take_while_it_fits<'a>(runs: impl Iterator<Item = &'a Run>, config: &RocksStoreConfig) -> Vec<Run> {
    let mut taken: Vec<Run> = Vec::new();
    let (mut memory, mut samples) = (0, 0);
    for run in runs {
        memory += merge_bytes(run);
        samples += run.samples();
        if !taken.is_empty() && (memory > config.merge_memory.as_usize() || samples > MERGE_SAMPLES) {
            break;
        }
        taken.push(run.clone());
    }
    taken
}

/// Memory that a run takes while it is merged.
fn merge_bytes(run: &Run) -> usize {
    run.blocks.iter().map(|block| block.summary.merge_bytes()).max().unwrap_or_default()
}

/// The runs of several tenants and windows that are due, together where they are small.
fn merge_of_runs(directory: &Directory, config: &RocksStoreConfig, pace: Pace) -> Option<Plan> {
    let mut plan: Option<Plan> = None;
    let (mut memory, mut samples) = (0, 0);
    for group in directory.tenants.values().flat_map(|runs| groups(runs, config)) {
        let Some(due) = due_runs(&group.runs, config, pace) else { continue };
        memory += due.iter().map(merge_bytes).sum::<usize>();
        samples += due.iter().map(Run::samples).sum::<u64>();
        match &mut plan {
            None => plan = Some(Plan { runs: due, width: group.width }),
            Some(plan) => {
                if plan.width == group.width && memory <= config.merge_memory.as_usize() && samples <= MERGE_SAMPLES {
                    plan.runs.extend(due);
                }
            }
        }
    }
    plan
}

/// Runs that may be merged with each other.
struct Group {
    width: i64,
    runs: Vec<Run>,
}

fn groups(windows: &TenantRuns, config: &RocksStoreConfig) -> Vec<Group> {
    let mut wide = BTreeMap::<i64, Vec<(Window, &Vec<Run>)>>::new();
    for (window, runs) in windows {
        wide.entry(Window::of(window.start, WIDE).start).or_default().push((*window, runs));
    }
    let mut groups = Vec::new();
    for windows in wide.into_values() {
        let samples: u64 = windows.iter().flat_map(|(_, runs)| runs.iter()).map(Run::samples).sum();
        if windows.len() > 1 && samples <= u64::from(config.block_samples) {
            let runs = windows.iter().flat_map(|(_, runs)| runs.iter().cloned()).collect();
            groups.push(Group { width: WIDE, runs });
        } else {
            groups.extend(windows.iter().map(|(window, runs)| Group { width: window.width, runs: (*runs).clone() }));
        }
    }
    groups
}

/// The runs of a group that should become one, if any; never more than a merge has memory for.
fn due_runs(runs: &[Run], config: &RocksStoreConfig, pace: Pace) -> Option<Vec<Run>> {
    let mut by_size: Vec<&Run> = runs.iter().collect();
    by_size.sort_by_key(|run| run.samples());
    let due = match pace {
        Pace::Busy => crowded_tier(&by_size, config.merge_runs as usize),
        Pace::Idle => worthwhile(&by_size),
        Pace::Everything => by_size,
    };
    // The smallest first: where not all fit, the rest follows in the next merge.
    let taken = take_while_memory_lasts(&due, config.merge_memory.as_usize());
    (taken.len() > 1).then_some(taken)
}

fn take_while_memory_lasts(runs: &[&Run], memory: usize) -> Vec<Run> {
    let mut used = 0;
    let fits = |run: &&&Run| {
        used += merge_bytes(run);
        used <= memory
    };
    let taken = runs.iter().take_while(fits).count().max(2);
    runs.iter().take(taken).map(|run| (*run).clone()).collect()
}

/// The runs of the smallest size of which there are many, and all that are smaller.
fn crowded_tier<'a>(by_size: &[&'a Run], many: usize) -> Vec<&'a Run> {
    let tiers = by_size.chunk_by(|a, b| tier(a.samples()) == tier(b.samples()));
    let mut end = 0;
    for runs in tiers {
        end += runs.len();
        if runs.len() >= many {
            return by_size.iter().take(end).copied().collect();
        }
    }
    Vec::new()
}

fn tier(samples: u64) -> u32 {
    (samples / SMALLEST_TIER).checked_ilog(TIER_FACTOR).map_or(0, |power| power + 1)
}

/// The runs that are not much larger than all smaller ones together: merging others would rewrite much for little.
fn worthwhile<'a>(by_size: &[&'a Run]) -> Vec<&'a Run> {
    let (mut end, mut samples) = (0, 0);
    for (at, run) in by_size.iter().enumerate() {
        if at > 0 && run.samples() <= (samples * TIER_FACTOR).max(SMALLEST_TIER) {
            end = at + 1;
        }
        samples += run.samples();
    }
    by_size.iter().take(end).copied().collect()
}
