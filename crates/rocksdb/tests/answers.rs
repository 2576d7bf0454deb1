//! The same queries have the same answers over RocksDB as over the in-memory oracle, whether blocks are as they arrived,
//! partly merged, merged, or opened again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use luminate_model::RetentionRules;
use luminate_query::conformance::{Compared, compare};
use luminate_rocksdb::{RocksStore, RocksStoreConfig};
use luminate_runtime::config::ByteSize;
use luminate_storage::SampleSink as _;
use luminate_storage::conformance::generate::history;
use luminate_storage::conformance::{Dice, INCARNATION, NOW};
use luminate_storage::memory::MemoryStore;

/// Compared queries of each kind in each state of the store.
const QUERIES: usize = 100;

fn open(folder: &Path) -> RocksStore {
    let never = Duration::from_secs(1 << 30).into();
    let config = RocksStoreConfig {
        cache: ByteSize::mib(8),
        write_buffer: ByteSize::mib(8),
        log: ByteSize::mib(8),
        // So small that series lie in many blocks, and that blocks have many pages.
        block_samples: 1024,
        merge_batches: u32::MAX,
        merge_samples: u64::MAX,
        merge_after: never,
        idle_after: never,
        expire_every: never,
        ballast: ByteSize::bytes(0),
        disk_reserve: ByteSize::mib(1),
        ..RocksStoreConfig::default()
    };
    let store = RocksStore::open(folder, &config, RetentionRules::default(), Arc::new(|| NOW)).unwrap();
    store.set_incarnation(INCARNATION);
    store
}

fn assert_interesting(compared: &Compared) {
    let c = compared;
    let happened = [c.without_groups, c.missing_dimensions, c.truncated, c.equal_values, c.gaps, c.catalogue_entries];
    assert!(happened.iter().all(|count| *count >= 3) && c.pages > c.aggregates, "{compared:?}");
}

async fn assert_same_answers(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let oracle = MemoryStore::of_incarnation(INCARNATION);
    let (batches, occurrences) = history(&mut Dice::new(seed), INCARNATION, 6000);
    assert!(occurrences.series_over_batches > 50 && occurrences.ties > 50 && occurrences.duplicates > 50);
    let half = batches.len() / 2;
    for (at, batch) in batches.into_iter().enumerate() {
        if at == half {
            store.merge_all().await.unwrap();
        }
        store.write(batch.clone()).await.unwrap();
        oracle.write(batch).await.unwrap();
    }
    let stats = store.stats();
    assert!(stats.arrival_blocks > 5 && stats.blocks > stats.arrival_blocks + 2, "{stats:?}");
    assert_interesting(&compare(&store, &oracle, seed, QUERIES).await);

    store.merge_all().await.unwrap();
    assert_eq!(store.stats().arrival_blocks, 0);
    assert_interesting(&compare(&store, &oracle, seed + 1000, QUERIES).await);

    store.close().await;
    let store = open(folder.path());
    assert_interesting(&compare(&store, &oracle, seed + 2000, QUERIES).await);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_queries_have_the_same_answers() {
    for seed in 0..3 {
        assert_same_answers(seed).await;
    }
}
