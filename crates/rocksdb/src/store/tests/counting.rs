//! What a query says that it read, against what RocksDB says.

use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};
use tokio::runtime::{Builder, Runtime};

use luminate_storage::{DimensionFilter, DimensionTest, SampleSink};

use super::*;

const CUSTOMERS: usize = 40_000;

/// What RocksDB counted on the one thread that reads.
#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    /// Bytes of the values that were got.
    value_bytes: u64,
    /// Blocks of files that were looked into, of data or of an index, whether they were in the cache or not.
    file_blocks: u64,
    /// Bytes of those that were read from files.
    file_bytes: u64,
}

/// RocksDB counts by thread, so all reading shall happen on one.
fn one_reading_thread() -> Runtime {
    Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap()
}

async fn begin_counting() {
    let begun = tokio::task::spawn_blocking(|| {
        set_perf_stats(PerfStatsLevel::EnableCount);
        PerfContext::default().reset();
    });
    begun.await.unwrap();
}

async fn end_counting() -> Counted {
    let ended = tokio::task::spawn_blocking(|| {
        let context = PerfContext::default();
        let of = |metric| context.metric(metric);
        let counted = Counted {
            value_bytes: of(PerfMetric::GetReadBytes),
            file_blocks: of(PerfMetric::BlockReadCount) + of(PerfMetric::BlockCacheHitCount),
            file_bytes: of(PerfMetric::BlockReadByte),
        };
        set_perf_stats(PerfStatsLevel::Disable);
        counted
    });
    ended.await.unwrap()
}

fn of_customer(customer: Option<&str>) -> ScanRequest {
    let mut request = ScanRequest::new(tenant("acme"), "cpu", NOW);
    let filter = |name: &str| DimensionFilter { key: "host".to_owned(), test: DimensionTest::Equal(name.to_owned()) };
    request.filters = customer.map(filter).into_iter().collect();
    request.columns.timestamps = true;
    request.columns.values = true;
    request
}

/// A store of some merged blocks, of which nothing is in the cache.
async fn cold_store() -> TestStore {
    let test = TestStore::with(RocksStoreConfig { block_samples: 8192, ..quiet() }, RetentionRules::default());
    let row = |n: usize| ("cpu", NOW - 1 - (n as i64 * 7919) % 3_600_000, n as f64, format!("customer-{n:06}"));
    let rows: Vec<Row> = (0..CUSTOMERS).map(row).collect();
    test.store.write(batch(0, 0, "acme", &rows)).await.unwrap();
    test.store.merge_all().await.unwrap();
    test.reopen().await
}

#[test]
fn what_a_query_admits_to_have_read_is_what_rocksdb_has_read() {
    one_reading_thread().block_on(async {
        let mut needles_read_at_most = 0;
        for customer in [Some("customer-000000"), Some("customer-023456"), Some("nobody"), None] {
            // A store of its own for each: what one has read would be in the cache of the next.
            let test = cold_store().await;
            let blocks = test.store.shared.directory().blocks().count() as u64;
            assert!(blocks >= 4, "{blocks} blocks");
            let context = context();
            let collector = Arc::new(Collector::default());
            begin_counting().await;
            test.store.scan(&of_customer(customer), &context, collector.clone()).await.unwrap();
            let counted = end_counting().await;
            let found = match customer {
                Some("nobody") => 0,
                Some(_) => 1,
                None => CUSTOMERS,
            };
            assert_eq!(collector.samples.lock().unwrap().len(), found);

            let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            let counters = context.counters();
            let (pages, bytes) = (of(&counters.pages_read), of(&counters.bytes_read));
            assert_eq!(bytes, counted.value_bytes, "{customer:?}");
            // A page is a value: it is found by the index of its file, and stands in one block of it.
            assert!((pages..=2 * pages).contains(&counted.file_blocks), "{pages} pages, {counted:?}");
            assert!(counted.file_bytes > 0, "nothing was in the cache");
            assert_eq!(of(&counters.blocks_read) + of(&counters.blocks_skipped), blocks);
            match customer {
                Some(_) => {
                    assert!(of(&counters.blocks_read) <= 1 && pages <= blocks + 12, "{pages} pages of {blocks} blocks");
                    needles_read_at_most = needles_read_at_most.max(counted.file_bytes);
                }
                None => assert!(counted.file_bytes > 2 * needles_read_at_most, "{counted:?}, {needles_read_at_most}"),
            }
        }
    });
}
