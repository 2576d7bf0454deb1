//! The directory in memory: which blocks are live. Never changed, only replaced, so that a query that holds one sees one
//! consistent state for as long as it likes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use luminate_model::{TenantId, TimeRange};

use super::entry::{Entry, Place, Provenance, Window};
use super::inbox::Inbox;
use super::state::Ledger;
use crate::block::{BlockId, BlockSummary};

/// A live block, or one that was replaced and is still being read.
pub(crate) struct Block {
    pub(crate) id: BlockId,
    pub(crate) summary: Arc<BlockSummary>,
    pub(crate) place: Place,
    pub(crate) provenance: Provenance,
    /// Told when the last holder lets go, so that the pages of a replaced block can be removed.
    released: Arc<Inbox>,
}

impl Block {
    pub(crate) fn new(id: BlockId, entry: Entry, released: Arc<Inbox>) -> Arc<Self> {
        let Entry { place, provenance, summary } = entry;
        Arc::new(Self { id, summary: Arc::new(summary), place, provenance, released })
    }

    pub(crate) fn samples(&self) -> u64 {
        u64::from(self.summary.samples)
    }

    /// Whether it holds samples of a tenant that the ledger covers.
    pub(crate) fn is_covered(&self, ledger: &Ledger, tenant: &TenantId) -> bool {
        ledger.covers_block(tenant, self.id, &self.provenance) && !self.summary.sections_of_tenant(tenant).is_empty()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.released.wake();
    }
}

/// Blocks whose ranges ascend and do not overlap, ascending.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) blocks: Vec<Arc<Block>>,
}

impl Run {
    pub(crate) fn samples(&self) -> u64 {
        self.blocks.iter().map(|block| block.samples()).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.summary.page_bytes).sum()
    }
}

/// The run of one batch.
#[derive(Clone)]
pub(crate) struct ArrivalRun {
    pub(crate) run: Run,
    /// When this process stored or found it.
    pub(crate) since: Instant,
}

/// The merged runs of one tenant, by window; in a window the oldest first.
pub(crate) type TenantRuns = BTreeMap<Window, Vec<Run>>;

/// Which blocks are live.
#[derive(Clone, Default)]
pub(crate) struct Directory {
    /// What batches stored and no merge has taken up yet, the oldest first.
    pub(crate) arrivals: Vec<ArrivalRun>,
    /// Merged blocks.
    pub(crate) tenants: BTreeMap<TenantId, Arc<TenantRuns>>,
}

impl Directory {
    /// The directory of these blocks, in any order.
    pub(crate) fn of_blocks(mut blocks: Vec<Arc<Block>>, now: Instant) -> Self {
        blocks.sort_by_key(|block| block.id);
        let mut arrivals = BTreeMap::<u64, Run>::new();
        let mut merged = BTreeMap::<(TenantId, Window), BTreeMap<u64, Run>>::new();
        for block in blocks {
            let run = match block.place {
                Place::Arrival { run } => arrivals.entry(run).or_insert_with(Run::empty),
                Place::Merged { run, window } => {
                    // A merged block holds one tenant; without samples it would not have been stored.
                    let Some(section) = block.summary.sections.first() else { continue };
                    let runs = merged.entry((section.tenant.clone(), window)).or_default();
                    runs.entry(run).or_insert_with(Run::empty)
                }
            };
            run.blocks.push(block);
        }
        let arrivals = arrivals.into_values().map(|run| ArrivalRun { run, since: now }).collect();
        let mut tenants = BTreeMap::<TenantId, TenantRuns>::new();
        for ((tenant, window), runs) in merged {
            tenants.entry(tenant).or_default().insert(window, runs.into_values().collect());
        }
        Self { arrivals, tenants: tenants.into_iter().map(|(tenant, runs)| (tenant, Arc::new(runs))).collect() }
    }

    /// This directory and one more batch.
    pub(crate) fn with_arrival(&self, run: Run, now: Instant) -> Self {
        let mut next = self.clone();
        if !run.blocks.is_empty() {
            next.arrivals.push(ArrivalRun { run, since: now });
        }
        next
    }

    /// This directory without some blocks, and with others in their place. Runs that lose blocks keep the rest.
    pub(crate) fn with_change(&self, removed: &HashSet<BlockId>, added: Vec<Arc<Block>>) -> Self {
        let mut next = Self { arrivals: Vec::new(), tenants: self.tenants.clone() };
        for arrival in &self.arrivals {
            if let Some(run) = arrival.run.without(removed) {
                next.arrivals.push(ArrivalRun { run, since: arrival.since });
            }
        }
        for (tenant, windows) in &self.tenants {
            let touched = windows.values().flatten().any(|run| run.blocks.iter().any(|b| removed.contains(&b.id)));
            if touched {
                let left = windows.iter().filter_map(|(window, runs)| {
                    let runs: Vec<Run> = runs.iter().filter_map(|run| run.without(removed)).collect();
                    (!runs.is_empty()).then_some((*window, runs))
                });
                let left: TenantRuns = left.collect();
                if left.is_empty() {
                    next.tenants.remove(tenant);
                } else {
                    next.tenants.insert(tenant.clone(), Arc::new(left));
                }
            }
        }
        let added = Self::of_blocks(added, Instant::now());
        next.arrivals.extend(added.arrivals);
        for (tenant, windows) in added.tenants {
            let known = Arc::make_mut(next.tenants.entry(tenant).or_default());
            for (window, runs) in windows.iter() {
                known.entry(*window).or_default().extend(runs.iter().cloned());
            }
        }
        next
    }

    /// Every live block.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Arc<Block>> {
        let arrivals = self.arrivals.iter().map(|arrival| &arrival.run);
        arrivals.chain(self.merged_runs()).flat_map(|run| &run.blocks)
    }

    /// Every merged run.
    pub(crate) fn merged_runs(&self) -> impl Iterator<Item = &Run> {
        self.tenants.values().flat_map(|windows| windows.values().flatten())
    }

    /// The live blocks in which a tenant may have samples of this time.
    pub(crate) fn blocks_of<'a>(
        &'a self,
        tenant: &'a TenantId,
        time: TimeRange,
    ) -> impl Iterator<Item = &'a Arc<Block>> + 'a {
        let arrivals = self.arrivals.iter().map(|arrival| &arrival.run);
        let merged = self.tenants.get(tenant).into_iter().flat_map(|windows| windows.values().flatten());
        let blocks = arrivals.chain(merged).flat_map(|run| &run.blocks);
        blocks.filter(move |block| time.overlaps(block.summary.first_timestamp, block.summary.last_timestamp))
    }
}

impl Run {
    fn empty() -> Self {
        Self { blocks: Vec::new() }
    }

    /// The run without some blocks; `None` where nothing is left.
    fn without(&self, removed: &HashSet<BlockId>) -> Option<Self> {
        let blocks: Vec<_> = self.blocks.iter().filter(|block| !removed.contains(&block.id)).cloned().collect();
        (!blocks.is_empty()).then_some(Self { blocks })
    }
}
