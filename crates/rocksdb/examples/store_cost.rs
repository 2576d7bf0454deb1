//! What the store costs, on the load of `luminate bench` made in memory: CPU time of the whole process (its merging thread
//! and RocksDB's threads with it) for storing and merging, bytes on disk, time to open, queries. Arguments: samples
//! (10000000), tenants (1), metrics (1), folder (a temporary one).
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "prints a table for people")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use luminate_model::{Incarnation, Offset, RetentionRules, SampleColumnsBuilder, Source, TenantId};
use luminate_rocksdb::{RocksStore, RocksStoreConfig};
use luminate_storage::context::QueryLimits;
use luminate_storage::{
    Batch, BatchRecord, ChunkConsumer, DimensionFilter, DimensionTest, QueryContext, SampleSink, SampleSource,
    ScanChunk, ScanRequest, StorageError,
};

const SERIES: u64 = 1_000_000;
const RECORD_SAMPLES: u64 = 2_000;
const BATCH_SAMPLES: u64 = 500_000;
const START: i64 = 1_767_225_600_000;
const REGIONS: [&str; 5] = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1"];
const STATUS: [&str; 5] = ["200", "201", "400", "404", "500"];

/// CPU time of this process, all threads.
fn cpu_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let of = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(of).sum())
}

/// The largest resident set so far, as Linux tells it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim().to_owned()
}

/// Numbers that look random and are the same every time.
fn mix(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[allow(clippy::disallowed_methods, reason = "a bench names its tenants")]
fn tenant(n: u64) -> TenantId {
    TenantId::parse(&format!("tenant-{n}")).unwrap()
}

/// The samples `from..to` of the load: all series in turn, again and again, 10,000 a second.
fn batch(from: u64, to: u64, tenants: u64, metrics: u64) -> Batch {
    let mut records = Vec::new();
    let mut builder = SampleColumnsBuilder::new();
    for start in (from..to).step_by(RECORD_SAMPLES as usize) {
        let number = start / RECORD_SAMPLES;
        for n in start..(start + RECORD_SAMPLES).min(to) {
            let series = n % SERIES;
            let customer = format!("cust_{series:07}");
            let (endpoint, host) =
                (format!("/api/v1/resource_{}", series % 20), format!("host-{:03}", series / 7 % 100));
            let dimensions = [
                ("customer_id", customer.as_str()),
                ("endpoint", &endpoint),
                ("host", &host),
                ("region", REGIONS[(series % 5) as usize]),
                ("status", STATUS[(mix(series) % 5) as usize]),
            ];
            let metric =
                if metrics == 1 { "api_latency".to_owned() } else { format!("metric_{:02}", series % metrics) };
            let value = (mix(n) % 10_000) as f64 / 10.0;
            builder.push(&metric, 0, START + n as i64 / 10, value, &dimensions);
        }
        let samples = builder.finish();
        records.push(BatchRecord { tenant: tenant(number % tenants), offset: Offset(number), samples });
    }
    Batch {
        source: Source { incarnation: Incarnation([1; 16]), partition: 0 },
        first: Offset(from / RECORD_SAMPLES),
        next: Offset(to.div_ceil(RECORD_SAMPLES)),
        records,
        idempotency: Vec::new(),
        forget_idempotency_before: i64::MIN,
    }
}

/// Adds up values by the first dimension asked for.
#[derive(Default)]
struct Sums {
    samples: AtomicU64,
    groups: std::sync::Mutex<Vec<(f64, u64)>>,
}

impl ChunkConsumer for Sums {
    fn consume(&self, _worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        let Some(column) = chunk.dimensions.first() else { return Ok(()) };
        let mut groups = vec![(0.0, 0_u64); column.dictionary.len() + 1];
        let mut values = chunk.values.iter();
        for (index, run) in column.indexes.iter().zip(&chunk.runs) {
            let group = &mut groups[*index as usize];
            group.0 += values.by_ref().take(*run as usize).sum::<f64>();
            group.1 += u64::from(*run);
        }
        self.samples.fetch_add(chunk.samples() as u64, Ordering::Relaxed);
        self.groups.lock().unwrap().extend(groups);
        Ok(())
    }
}

async fn query(store: &RocksStore, what: &str, request: &ScanRequest) {
    for pass in ["first", "again"] {
        let timeout = Duration::from_secs(600);
        let context = QueryContext::new(QueryLimits { timeout, memory_bytes: 1 << 40, samples: u64::MAX, workers: 2 });
        let (cpu, wall) = (cpu_time(), Instant::now());
        let sums = Arc::new(Sums::default());
        store.scan(request, &context, Arc::clone(&sums) as Arc<dyn ChunkConsumer>).await.unwrap();
        let (cpu, wall) = ((cpu_time() - cpu).as_secs_f64() * 1e3, wall.elapsed().as_secs_f64() * 1e3);
        let counters = context.counters();
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        println!(
            "{what:<24} {pass:<6} {cpu:>9.2} CPU-ms {wall:>9.2} ms {:>9} found {:>9} read {:>5} pages {:>10} bytes {:>4} blocks",
            of(&sums.samples),
            of(&counters.samples_read),
            of(&counters.pages_read),
            of(&counters.bytes_read),
            of(&counters.blocks_read)
        );
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(default, |text| text.parse::<u64>().expect("a number"));
    let (samples, tenants, metrics) = (number(10_000_000), number(1), number(1));
    let folder = tempfile::tempdir().unwrap();
    let path = arguments.next().map_or_else(|| folder.path().to_owned(), std::path::PathBuf::from);
    println!("{samples} samples, {SERIES} series, {tenants} tenants, {metrics} metrics, in {}", path.display());
    let open = || {
        let clock = Arc::new(|| START + 86_400_000);
        RocksStore::open(&path, &RocksStoreConfig::default(), RetentionRules::default(), clock).unwrap()
    };
    let store = open();
    let (mut making, began, before) = (Duration::ZERO, Instant::now(), cpu_time());
    let mut slowest = Duration::ZERO;
    for start in (0..samples).step_by(BATCH_SAMPLES as usize) {
        let own = std::fs::read_to_string("/proc/thread-self/schedstat");
        let batch = batch(start, (start + BATCH_SAMPLES).min(samples), tenants, metrics);
        let nanos = |stat: std::io::Result<String>| stat.unwrap().split(' ').next().unwrap().parse::<u64>().unwrap();
        making += Duration::from_nanos(nanos(std::fs::read_to_string("/proc/thread-self/schedstat")) - nanos(own));
        let wall = Instant::now();
        store.write(batch).await.unwrap();
        slowest = slowest.max(wall.elapsed());
    }
    let stored = (cpu_time() - before).saturating_sub(making);
    store.merge_all().await.unwrap();
    let merged = (cpu_time() - before).saturating_sub(making);
    let us = |cpu: Duration| cpu.as_secs_f64() * 1e6 / samples as f64;
    println!("stored {:.3} us/sample, merged as well {:.3} us/sample CPU", us(stored), us(merged));
    println!(
        "wall {:.1} s with {:.1} s of making the load; slowest write {slowest:?}",
        began.elapsed().as_secs_f64(),
        making.as_secs_f64()
    );
    let stats = store.stats();
    println!("{stats:#?}");
    println!("peak memory {}", peak_memory());
    store.close().await;
    let opening = Instant::now();
    let store = open();
    println!("opened in {:?}", opening.elapsed());
    let stats = store.stats();
    let bytes = stats.disk_bytes as f64 / samples as f64;
    println!(
        "{} samples counted, {bytes:.2} bytes a sample on disk, ballast {} besides",
        stats.samples, stats.ballast_bytes
    );

    let metric = if metrics == 1 { "api_latency" } else { "metric_07" };
    let mut by_endpoint = ScanRequest::new(tenant(0), metric, START + 86_400_000);
    by_endpoint.columns.dimensions = vec!["endpoint".to_owned()];
    by_endpoint.columns.values = true;
    query(&store, "average by endpoint", &by_endpoint).await;
    let mut needle = by_endpoint.clone();
    needle.columns.timestamps = true;
    for customer in ["cust_0000000", "cust_0123457", "cust_9999999"] {
        let test = DimensionTest::Equal(customer.to_owned());
        needle.filters = vec![DimensionFilter { key: "customer_id".to_owned(), test }];
        query(&store, customer, &needle).await;
    }
    let mut hour = by_endpoint.clone();
    hour.time.start = START + 500_000;
    hour.time.end = START + 600_000;
    query(&store, "a tenth of the time", &hour).await;
    store.close().await;
}
