use luminate_model::time::DAY_MS;
use luminate_storage::SampleSink;

use super::*;
use crate::store::keys::{ARRIVALS, BLOCKS};

#[tokio::test]
async fn batches_become_one_run_a_tenant_and_day() {
    let test = TestStore::new();
    for at in 0..12 {
        let rows: Vec<Row> = rows(2000, "a");
        let other: Vec<Row> = rows.iter().map(|(m, t, v, h)| (*m, t - 3 * DAY_MS, *v, h.clone())).collect();
        test.store.write(batch_of(0, 2 * at, &[("acme", 0, &rows), ("beta", 0, &other)])).await.unwrap();
    }
    assert_eq!(test.store.stats().arrival_blocks, 12);
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let before = (all(&test.store, &acme, "cpu").await, all(&test.store, &beta, "cpu").await);
    test.store.merge_all().await.unwrap();
    let stats = test.store.stats();
    assert_eq!((stats.arrival_blocks, stats.runs, stats.tenants), (0, 2, 2));
    assert_eq!(stats.samples, 48_000);
    assert_eq!(stats.retired_blocks, 0);
    // 24,000 samples of each in blocks of about 4,096.
    assert!((8..=14).contains(&stats.blocks), "{stats:?}");
    let after = (all(&test.store, &acme, "cpu").await, all(&test.store, &beta, "cpu").await);
    assert!(before == after);
}

#[tokio::test]
async fn the_thread_merges_by_itself() {
    let config = RocksStoreConfig { merge_batches: 4, merge_runs: 2, ..quiet() };
    let test = TestStore::with(config, RetentionRules::default());
    for at in 0..16 {
        test.store.write(batch(0, at, "acme", &rows(100, "a"))).await.unwrap();
    }
    // No condition to wait for is part of the interface, so this looks until it is there.
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while test.store.stats().arrival_blocks >= 4 || test.store.stats().runs > 1 {
        assert!(std::time::Instant::now() < deadline, "{:?}", test.store.stats());
        tokio::task::yield_now().await;
    }
    assert_eq!(count(&test.store, "acme", "cpu").await, 1600);
}

#[tokio::test]
async fn a_query_reads_the_state_in_which_it_began_while_merges_replace_it() {
    let test = TestStore::new();
    for at in 0..6 {
        test.store.write(batch(0, at, "acme", &rows(500, "a"))).await.unwrap();
    }
    let held = test.store.shared.directory();
    test.store.merge_all().await.unwrap();
    test.store.write(batch(0, 6, "acme", &rows(500, "b"))).await.unwrap();
    assert_eq!(test.store.stats().retired_blocks, 6, "a reader keeps the pages of replaced blocks");
    let collector = Arc::new(Collector::default());
    let mut request = ScanRequest::new(tenant("acme"), "cpu", NOW);
    request.columns.timestamps = true;
    request.columns.values = true;
    let consumer = Arc::clone(&collector) as Arc<dyn ChunkConsumer>;
    crate::store::scan::scan(&test.store.shared, held, &request, &context(), consumer).await.unwrap();
    assert_eq!(collector.samples.lock().unwrap().len(), 3000);
    test.store.merge_all().await.unwrap();
    assert_eq!(test.store.stats().retired_blocks, 0);
    assert_eq!(count(&test.store, "acme", "cpu").await, 3500);
}

#[tokio::test]
async fn a_tenant_with_little_data_has_one_block_for_many_days() {
    let test = TestStore::new();
    for day in 0..20 {
        let rows: Vec<Row> =
            rows(50, "a").into_iter().map(|(m, t, v, h)| (m, t - 40 * DAY_MS + day * DAY_MS, v, h)).collect();
        test.store.write(batch(0, day as u64, "acme", &rows)).await.unwrap();
    }
    test.store.merge_all().await.unwrap();
    assert!(test.store.stats().blocks <= 2, "{:?}", test.store.stats());
    assert_eq!(count(&test.store, "acme", "cpu").await, 1000);
    let test = test.reopen().await;
    assert_eq!(count(&test.store, "acme", "cpu").await, 1000);
}

#[tokio::test]
async fn what_was_replaced_gives_its_room_back() {
    let test = TestStore::new();
    for at in 0..30 {
        test.store.write(batch(0, at, "acme", &rows(5000, "a"))).await.unwrap();
        if at % 10 == 9 {
            test.store.merge_all().await.unwrap();
        }
    }
    let pages = test.store.stats().page_bytes;
    assert_eq!(family_bytes(&test, ARRIVALS), 0);
    let files = family_bytes(&test, BLOCKS);
    assert!(files >= pages && files < pages * 11 / 10 + 4096, "{files} bytes of files for {pages} of pages");
}
