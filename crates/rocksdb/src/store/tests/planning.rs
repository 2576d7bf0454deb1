use std::collections::HashSet;
use std::time::Instant;

use luminate_model::time::DAY_MS;
use luminate_storage::conformance::Dice;

use super::*;
use crate::block::{BlockId, BlockKind, BlockSummary, Section};
use crate::store::directory::{Block, Directory, Run};
use crate::store::entry::{Entry, Place, Provenance, Window};
use crate::store::inbox::Inbox;
use crate::store::planner::{Pace, next_merge};

/// A directory in which nothing is stored, and merges do nothing but count.
struct Model {
    directory: Directory,
    next: u64,
    /// Samples that merges have written, and the merges.
    written: u64,
    merges: u64,
}

impl Model {
    fn new() -> Self {
        Self { directory: Directory::default(), next: 0, written: 0, merges: 0 }
    }

    fn block(&mut self, place: Place, name: &str, samples: u64, day: i64) -> Arc<Block> {
        let id = BlockId(self.next);
        self.next += 1;
        let (samples, first) = (samples as u32, day * DAY_MS);
        let section = Section {
            tenant: tenant(name),
            metric: "m".into(),
            retention_days: 0,
            samples,
            series: samples,
            first_timestamp: first,
            last_timestamp: first + 1,
        };
        let summary = BlockSummary {
            kind: BlockKind::Merged,
            samples,
            series: samples,
            pages: 1,
            page_bytes: 4 * u64::from(samples),
            first_timestamp: first,
            last_timestamp: first + 1,
            sections: vec![section],
            keys: Vec::new(),
        };
        Block::new(id, Entry { place, provenance: Provenance::default(), summary }, Arc::new(Inbox::default()))
    }

    fn arrive(&mut self, name: &str, samples: u64, day: i64) {
        let block = self.block(Place::Arrival { run: self.next }, name, samples, day);
        self.directory = self.directory.with_arrival(Run { blocks: vec![block] }, Instant::now());
    }

    /// Does what the planner says until it says nothing more.
    fn merge(&mut self, config: &RocksStoreConfig, pace: Pace) {
        while let Some(plan) = next_merge(&self.directory, config, pace, Instant::now()) {
            let blocks: Vec<Arc<Block>> = plan.runs.iter().flat_map(|run| run.blocks.clone()).collect();
            let mut outputs = std::collections::BTreeMap::new();
            for section in blocks.iter().flat_map(|block| &block.summary.sections) {
                let window = Window::of(section.first_timestamp, plan.width);
                *outputs.entry((section.tenant.clone(), window)).or_insert(0) += u64::from(section.samples);
            }
            let mut added = Vec::new();
            for ((owner, window), samples) in outputs {
                let place = Place::Merged { run: self.next, window };
                added.push(self.block(place, owner.as_str(), samples, window.start.div_euclid(DAY_MS)));
            }
            let removed: HashSet<BlockId> = blocks.iter().map(|block| block.id).collect();
            self.written += blocks.iter().map(|block| block.samples()).sum::<u64>();
            self.merges += 1;
            assert!(self.merges < 100_000, "merging does not end");
            self.directory = self.directory.with_change(&removed, added);
        }
    }

    fn samples(&self) -> u64 {
        self.directory.blocks().map(|block| block.samples()).sum()
    }

    fn runs(&self) -> usize {
        self.directory.merged_runs().count()
    }
}

fn config() -> RocksStoreConfig {
    RocksStoreConfig { merge_batches: 8, block_samples: 262_144, ..quiet() }
}

#[test]
fn a_sample_is_rewritten_a_few_times_however_much_comes() {
    let mut model = Model::new();
    for _ in 0..4096 {
        model.arrive("acme", 500_000, 0);
        model.merge(&config(), Pace::Busy);
    }
    model.merge(&config(), Pace::Everything);
    assert_eq!((model.samples(), model.runs()), (4096 * 500_000, 1));
    // Once as a batch, then once a power of eight: 512 merges of batches become one run in three steps.
    let times = model.written as f64 / model.samples() as f64;
    assert!((4.0..6.0).contains(&times), "each sample was written {times} times");
}

#[test]
fn a_busy_store_has_few_runs() {
    let mut model = Model::new();
    for at in 0..2000 {
        model.arrive(["acme", "beta"][at % 2], 1000, 0);
        model.merge(&config(), Pace::Busy);
        assert!(model.runs() <= 2 * 8 * 3, "{} runs", model.runs());
        assert!(model.directory.arrivals.len() < 8);
    }
}

#[test]
fn an_idle_store_does_not_rewrite_much_for_little() {
    let mut model = Model::new();
    model.arrive("acme", 1_000_000, 0);
    model.merge(&config(), Pace::Idle);
    let before = model.written;
    for _ in 0..100 {
        model.arrive("acme", 1000, 0);
        model.merge(&config(), Pace::Idle);
    }
    let each = (model.written - before) / 100;
    assert!(each < 40_000, "{each} samples were written for each batch of 1000");
    assert!(model.runs() <= 4, "{} runs", model.runs());
}

#[test]
fn little_data_of_many_days_ends_in_wide_windows_and_much_stays_in_days() {
    let mut model = Model::new();
    for day in 0..64 {
        model.arrive("small", 100, day);
        model.arrive("large", 300_000, day);
    }
    model.merge(&config(), Pace::Everything);
    let runs = |name: &str| model.directory.tenants[&tenant(name)].values().map(Vec::len).sum::<usize>();
    assert_eq!((runs("small"), runs("large")), (2, 64));
    assert_eq!(model.samples(), 64 * 300_100);
}

#[test]
fn merges_end_and_keep_every_sample_whatever_arrives() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let mut model = Model::new();
        let mut arrived = 0;
        for _ in 0..200 {
            let size = 3 * dice.below(6);
            let samples = 1 + dice.below(1 << size) as u64;
            model.arrive(dice.choose(&["a", "b", "c"]), samples, dice.below(100) as i64 - 50);
            arrived += samples;
            let pace = [Pace::Busy, Pace::Busy, Pace::Idle, Pace::Everything][dice.below(4)];
            model.merge(&config(), pace);
            assert_eq!(model.samples(), arrived);
        }
        model.merge(&config(), Pace::Everything);
        for windows in model.directory.tenants.values() {
            assert!(windows.values().all(|runs| runs.len() == 1), "one run a window");
        }
    }
}
