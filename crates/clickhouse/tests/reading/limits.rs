//! Time, memory, samples and rows are bounded, and a query ends with who asked it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use luminate_clickhouse::source::ClickHouseSource;
use luminate_clickhouse::{ClickHouseConfig, Hosts};
use luminate_model::Sample;
use luminate_storage::conformance::NOW;
use luminate_storage::conformance::batches::sample;
use luminate_storage::conformance::collect::{Collecting, all_columns};
use luminate_storage::conformance::generate::tenant;
use luminate_storage::{
    AggregateFunction, AggregateRequest, CatalogueRequest, Earliest, QueryContext, QueryLimits, SampleSource,
    ScanRequest, StorageError,
};
use luminate_tests::wait::PATIENCE;

use crate::database::{Database, NoSources};

const AMPLE: QueryLimits =
    QueryLimits { timeout: Duration::from_secs(300), memory_bytes: 1 << 30, samples: u64::MAX >> 1, workers: 1 };

fn request() -> AggregateRequest {
    AggregateRequest::new(ScanRequest::new(tenant("acme"), "m", NOW), AggregateFunction::Avg)
}

/// A sample of acme's each tenth of a second, for four minutes: a query that takes as long as a test lets it.
fn slow() -> Database<'static> {
    let database = Database::new();
    let name = &database.name;
    let server = database.server;
    server.query(&format!("DROP TABLE {name}.samples SYNC"));
    server.query(&format!("CREATE TABLE {name}.blocks (number UInt64) ENGINE = Memory"));
    server.query(&format!(
        "INSERT INTO {name}.blocks SELECT number FROM numbers(2400) \
         SETTINGS max_block_size = 1, min_insert_block_size_rows = 1, min_insert_block_size_bytes = 1"
    ));
    server.query(&format!(
        "CREATE VIEW {name}.samples AS SELECT 'acme' AS tenant, 'm' AS metric, \
         fromUnixTimestamp64Milli(toInt64(number), 'UTC') AS ts, toFloat64(sleepEachRow(0.1)) AS value, \
         map('host', 'a') AS dimensions, toUInt16(0) AS retention_days FROM {name}.blocks"
    ));
    database
}

fn is_running(database: &Database<'_>) -> bool {
    let name = &database.name;
    let running = database.server.query(&format!(
        "SELECT count() FROM system.processes \
         WHERE position(query, '{name}.samples') > 0 AND position(query, 'system.processes') = 0"
    ));
    running.trim() != "0"
}

async fn until_running(database: &Database<'_>, running: bool) {
    let started = Instant::now();
    while is_running(database) != running {
        assert!(started.elapsed() < PATIENCE, "the server's query is running: {}", !running);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_query_ends_in_the_server() {
    let database = slow();
    for scans in [false, true] {
        let source = database.source();
        let query = tokio::spawn(async move {
            let context = QueryContext::new(AMPLE);
            if scans {
                let mut scan = request().scan;
                scan.columns = all_columns();
                let consumer = Arc::new(Collecting::new(&scan, 1));
                source.scan(&scan, &context, consumer).await.map(|()| None)
            } else {
                source.aggregate(&request(), &context).await
            }
        });
        until_running(&database, true).await;
        query.abort();
        assert!(query.await.unwrap_err().is_cancelled());
        until_running(&database, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_query_ends_at_once() {
    let database = slow();
    let (source, context) = (database.source(), QueryContext::new(AMPLE));
    let asked = {
        let context = context.clone();
        tokio::spawn(async move { source.aggregate(&request(), &context).await })
    };
    until_running(&database, true).await;
    context.cancel();
    assert!(matches!(asked.await.unwrap(), Err(StorageError::Cancelled)));
    until_running(&database, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_when_its_time_is_over() {
    let database = slow();
    let started = Instant::now();
    let context = QueryContext::new(QueryLimits { timeout: Duration::from_millis(700), ..AMPLE });
    let ended = database.source().aggregate(&request(), &context).await;
    assert!(matches!(ended, Err(StorageError::Timeout { limit_ms: 700 })), "{ended:?}");
    assert!(started.elapsed() < PATIENCE);
    until_running(&database, false).await;
}

fn many(count: usize) -> Vec<Sample> {
    let numbered = (0..count).map(|at| (at, at.to_string()));
    numbered.map(|(at, host)| sample("m", NOW - at as i64, at as f64, &[("host", &host)])).collect()
}

#[tokio::test]
async fn memory_is_bounded_and_given_back() {
    let database = Database::new();
    database.insert(&tenant("acme"), &many(50_000));
    let source = database.source();
    let mut request = request();
    request.function = AggregateFunction::Percentile(50.0);
    request.group_by = vec!["host".to_owned()];
    let context = QueryContext::new(QueryLimits { memory_bytes: 1 << 20, ..AMPLE });
    let ended = source.aggregate(&request, &context).await;
    assert!(matches!(ended, Err(StorageError::MemoryLimit { limit_bytes: 0x10_0000 })), "{ended:?}");

    let context = QueryContext::new(AMPLE);
    let answer = source.aggregate(&request, &context).await.unwrap().unwrap();
    assert_eq!(answer.groups.len(), 50_000);
    assert!(context.memory_peak() > 0 && context.reserve_memory(1 << 30).is_ok(), "memory was not given back");
}

#[tokio::test]
async fn samples_are_bounded() {
    let database = Database::new();
    database.insert(&tenant("acme"), &many(1000));
    let source = database.source();
    let limited = |samples: u64| QueryContext::new(QueryLimits { samples, ..AMPLE });
    let is_refused = |error: Option<StorageError>| matches!(error, Some(StorageError::SamplesLimit { limit: 999 }));
    assert!(source.aggregate(&request(), &limited(1000)).await.is_ok());
    assert!(is_refused(source.aggregate(&request(), &limited(999)).await.err()));
    let page = CatalogueRequest::new(tenant("acme"), 10, NOW);
    assert!(is_refused(source.metrics(&page, &limited(999)).await.err()));
    assert!(is_refused(source.dimension_keys(&page, &limited(999)).await.err()));
    assert!(is_refused(source.dimension_values("host", &page, &limited(999)).await.err()));
    let mut scan = request().scan;
    scan.columns = all_columns();
    assert!(is_refused(source.scan(&scan, &limited(999), Arc::new(Collecting::new(&scan, 1))).await.err()));
    // What is bounded reads what it needs, and is judged by that.
    scan.earliest = Some(Earliest { samples: 5, after: None });
    let context = limited(u64::MAX >> 1);
    source.scan(&scan, &context, Arc::new(Collecting::new(&scan, 1))).await.unwrap();
    let read = context.counters().samples_read.load(Ordering::Relaxed);
    assert!(read >= 5, "{read}");
    assert!(matches!(
        source.scan(&scan, &limited(read - 1), Arc::new(Collecting::new(&scan, 1))).await,
        Err(StorageError::SamplesLimit { .. })
    ));
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let database = Database::new();
    let mut config = database.config();
    config.addresses = vec![format!("127.0.0.1:{}", free_port())];
    let hosts = Hosts::new(&config).unwrap();
    let source = ClickHouseSource::new(hosts, &config, Arc::new(NoSources)).unwrap();
    assert_eq!(source.readable(), Ok(()), "nothing is known yet");
    let ended = source.aggregate(&request(), &QueryContext::new(AMPLE)).await;
    assert!(matches!(ended, Err(StorageError::Unavailable(_))), "{ended:?}");
    assert!(source.readable().is_err());

    config = ClickHouseConfig { database: "nowhere".to_owned(), ..database.config() };
    let source = ClickHouseSource::new(Hosts::new(&config).unwrap(), &config, Arc::new(NoSources)).unwrap();
    let ended = source.aggregate(&request(), &QueryContext::new(AMPLE)).await;
    assert!(matches!(&ended, Err(StorageError::Unavailable(why)) if why.contains("luminate migrate")), "{ended:?}");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
