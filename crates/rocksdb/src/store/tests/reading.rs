use luminate_storage::conformance::{Dice, generate};
use luminate_storage::memory::MemoryStore;
use luminate_storage::{CatalogueRequest, SampleSink};

use super::*;

/// Compares a store with the oracle on generated requests.
async fn compare(test: &TestStore, oracle: &MemoryStore, dice: &mut Dice, requests: usize) {
    for _ in 0..requests {
        let request = generate::scan_request(dice);
        assert_eq!(scan(&test.store, &request).await.unwrap(), scan(oracle, &request).await.unwrap(), "{request:?}");
        let request = generate::catalogue_request(dice);
        let context = context();
        let metrics = test.store.metrics(&request, &context).await.unwrap();
        assert_eq!(metrics, oracle.metrics(&request, &context).await.unwrap(), "{request:?}");
        let keys = test.store.dimension_keys(&request, &context).await.unwrap();
        assert_eq!(keys, oracle.dimension_keys(&request, &context).await.unwrap(), "{request:?}");
        for key in ["customer", "rare", "nowhere"] {
            let values = test.store.dimension_values(key, &request, &context).await.unwrap();
            assert_eq!(values, oracle.dimension_values(key, &request, &context).await.unwrap(), "{key} {request:?}");
        }
    }
}

#[tokio::test]
async fn answers_as_the_oracle_does_before_and_after_merges_and_a_restart() {
    for seed in 0..4 {
        let mut dice = Dice::new(seed);
        let (batches, occurrences) = generate::history(&mut dice, Incarnation([1; 16]), 1500);
        assert!(occurrences.ties > 0 && occurrences.duplicates > 0 && occurrences.series_over_batches > 0);
        assert!(occurrences.missing_dimensions > 0 && occurrences.expired > 0 && occurrences.before_1970 > 0);
        let test = TestStore::with(RocksStoreConfig { block_samples: 1024, ..quiet() }, RetentionRules::default());
        let oracle = MemoryStore::new();
        let half = batches.len() / 2;
        for (at, batch) in batches.into_iter().enumerate() {
            assert_eq!(test.store.write(batch.clone()).await.unwrap(), oracle.write(batch).await.unwrap());
            if at == half {
                test.store.merge_all().await.unwrap();
            }
        }
        compare(&test, &oracle, &mut dice, 40).await;
        test.store.merge_all().await.unwrap();
        compare(&test, &oracle, &mut dice, 40).await;
        let test = test.reopen().await;
        compare(&test, &oracle, &mut dice, 10).await;
    }
}

#[tokio::test]
async fn a_query_that_reads_too_much_ends_with_its_limit() {
    let test = TestStore::new();
    test.store.write(batch(0, 0, "acme", &rows(2000, "a"))).await.unwrap();
    let limits = QueryLimits { timeout: Duration::from_secs(60), memory_bytes: 1 << 30, samples: 1999, workers: 2 };
    let request = ScanRequest::new(tenant("acme"), "cpu", NOW);
    let outcome =
        test.store.scan(&request, &QueryContext::new(limits), Arc::new(Collector::default())).await.unwrap_err();
    assert_eq!(outcome.code(), "query_samples_limit");
}

/// Says when it is first called, and goes on when it is told to.
struct Gate {
    entered: std::sync::mpsc::Sender<()>,
    open: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl ChunkConsumer for Gate {
    fn consume(&self, _worker: usize, _chunk: ScanChunk) -> Result<(), StorageError> {
        self.entered.send(()).unwrap();
        // Ends when the other side was dropped as well.
        let _ = self.open.lock().unwrap().recv();
        Ok(())
    }
}

#[tokio::test]
async fn dropping_a_query_cancels_it() {
    let test = TestStore::new();
    for at in 0..20 {
        test.store.write(batch(0, at, "acme", &rows(100, "a"))).await.unwrap();
    }
    let (entered, wait_entered) = std::sync::mpsc::channel();
    let (open, wait_open) = std::sync::mpsc::channel();
    let gate = Arc::new(Gate { entered, open: Mutex::new(wait_open) });
    let weak = Arc::downgrade(&gate);
    let context = context();
    let request = ScanRequest::new(tenant("acme"), "cpu", NOW);
    {
        let mut query = Box::pin(test.store.scan(&request, &context, gate));
        let first = std::future::poll_fn(|task| std::task::Poll::Ready(query.as_mut().poll(task).is_pending())).await;
        assert!(first);
        wait_entered.recv().unwrap();
    }
    assert_eq!(context.check().unwrap_err().code(), "query_cancelled");
    drop(open);
    // The threads let go of the consumer without having read everything: each was let through once or twice.
    tokio::task::spawn_blocking(move || while wait_entered.recv().is_ok() {}).await.unwrap();
    assert!(weak.upgrade().is_none());
    assert!(context.counters().blocks_read.load(Ordering::Relaxed) < 20);
}

#[tokio::test]
async fn the_catalogue_counts_without_reading_where_summaries_tell() {
    let test = TestStore::new();
    test.store.write(batch(0, 0, "acme", &rows(300, "a"))).await.unwrap();
    let context = context();
    let request = CatalogueRequest::new(tenant("acme"), 10, NOW);
    let page = test.store.metrics(&request, &context).await.unwrap();
    assert_eq!((page.entries[0].name.as_str(), page.entries[0].samples), ("cpu", 300));
    assert_eq!(context.counters().pages_read.load(Ordering::Relaxed), 0);
    let mut part = request.clone();
    part.time.start = NOW - 60_000 * 10;
    assert_eq!(test.store.metrics(&part, &context).await.unwrap().entries[0].samples, 10);
    assert!(context.counters().pages_read.load(Ordering::Relaxed) > 0);
}
