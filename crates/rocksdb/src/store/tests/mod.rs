//! Tests of the store as a whole. What a process killed with -9 would leave is had by copying the folder of a database that is
//! open: what was written is there, whether or not it was synced, and nothing was closed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conformance;
mod counting;
mod crash;
mod erasing;
mod merging;
mod opening;
mod owning;
mod planning;
mod reading;
mod retention;
mod room;
mod writing;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use luminate_model::{Incarnation, Offset, RetentionRules, SampleColumnsBuilder, Source, TenantId};
use luminate_runtime::clock::Clock;
use luminate_runtime::config::ByteSize;
use luminate_storage::conformance::generate::{NOW, tenant};
use luminate_storage::context::QueryLimits;
use luminate_storage::{
    Batch, BatchRecord, ChunkConsumer, QueryContext, SampleSource, ScanChunk, ScanRequest, StorageError,
};
use tempfile::TempDir;

use super::{RocksStore, RocksStoreConfig};

/// A store in a folder of its own, at a time that tests set.
struct TestStore {
    store: RocksStore,
    folder: TempDir,
    now: Arc<AtomicI64>,
    config: RocksStoreConfig,
    rules: RetentionRules,
}

/// Merges nothing unless it is asked to; small in everything.
fn quiet() -> RocksStoreConfig {
    let never = Duration::from_secs(1 << 30).into();
    RocksStoreConfig {
        cache: ByteSize::mib(8),
        write_buffer: ByteSize::mib(8),
        log: ByteSize::mib(8),
        block_samples: 4096,
        merge_batches: u32::MAX,
        merge_samples: u64::MAX,
        merge_after: never,
        idle_after: never,
        expire_every: never,
        ballast: ByteSize::bytes(0),
        disk_reserve: ByteSize::mib(1),
        ..RocksStoreConfig::default()
    }
}

impl TestStore {
    fn new() -> Self {
        Self::with(quiet(), RetentionRules::default())
    }

    fn with(config: RocksStoreConfig, rules: RetentionRules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI64::new(NOW));
        let store = RocksStore::open(folder.path(), &config, rules.clone(), clock(&now)).unwrap();
        Self { store, folder, now, config, rules }
    }

    /// Closes the store and opens it again.
    async fn reopen(self) -> Self {
        let Self { store, folder, now, config, rules } = self;
        store.close().await;
        let store = RocksStore::open(folder.path(), &config, rules.clone(), clock(&now)).unwrap();
        Self { store, folder, now, config, rules }
    }

    /// A store on a copy of this one's files as they are now, as after a crash.
    fn crashed(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), folder.path());
        Self::on(folder, self.config.clone(), self.rules.clone())
    }

    fn on(folder: TempDir, config: RocksStoreConfig, rules: RetentionRules) -> Self {
        let now = Arc::new(AtomicI64::new(NOW));
        let store = RocksStore::open(folder.path(), &config, rules.clone(), clock(&now)).unwrap();
        Self { store, folder, now, config, rules }
    }
}

fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = Arc::clone(now);
    Arc::new(move || now.load(Ordering::Relaxed))
}

/// Copies a database as it stands, but for its lock. A crash leaves one state of the folder: where files came, went or grew
/// while they were copied, the copy is made again.
fn copy_folder(from: &Path, to: &Path) {
    for _ in 0..1000 {
        let before = files_and_sizes(from);
        if try_copy_folder(from, to).is_ok() && files_and_sizes(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
    }
    panic!("{} is never at rest", from.display());
}

fn try_copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            try_copy_folder(&entry.path(), &target)?;
        } else if entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Every file below a folder with its size, RocksDB's own log for people aside: it grows without meaning anything.
fn files_and_sizes(folder: &Path) -> std::collections::BTreeMap<std::path::PathBuf, u64> {
    let mut files = std::collections::BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            files.extend(files_and_sizes(&entry.path()));
        } else if entry.file_name() != "LOG" {
            files.insert(entry.path(), metadata.len());
        }
    }
    files
}

fn source(partition: u32) -> Source {
    Source { incarnation: Incarnation([5; 16]), partition }
}

fn context() -> QueryContext {
    let timeout = Duration::from_secs(60);
    QueryContext::new(QueryLimits { timeout, memory_bytes: 1 << 30, samples: u64::MAX, workers: 2 })
}

/// A sample of a test: metric, timestamp, value, the value of the dimension `host`.
type Row = (&'static str, i64, f64, String);

/// A batch of one record of one tenant.
fn batch(partition: u32, first: u64, tenant_name: &str, rows: &[Row]) -> Batch {
    batch_of(partition, first, &[(tenant_name, 0, rows)])
}

/// A batch of records: tenant, retention in days, samples.
fn batch_of(partition: u32, first: u64, records: &[(&str, u16, &[Row])]) -> Batch {
    let records: Vec<BatchRecord> = (first..)
        .zip(records)
        .map(|(offset, (name, days, rows))| {
            let mut builder = SampleColumnsBuilder::new();
            for (metric, timestamp, value, host) in *rows {
                builder.push(metric, *days, *timestamp, *value, &[("host", host.as_str())]);
            }
            BatchRecord { tenant: tenant(name), offset: Offset(offset), samples: builder.finish() }
        })
        .collect();
    Batch {
        source: source(partition),
        first: Offset(first),
        next: Offset(first + records.len() as u64),
        records,
        idempotency: Vec::new(),
        forget_idempotency_before: i64::MIN,
    }
}

/// `count` samples of one metric on the day before [`NOW`], over ten hosts.
fn rows(count: usize, host: &str) -> Vec<Row> {
    let row = |at: usize| ("cpu", NOW - 60_000 * (at as i64 % 600 + 1), at as f64, format!("{host}-{}", at % 10));
    (0..count).map(row).collect()
}

/// Bytes of the table files of a column family.
fn family_bytes(test: &TestStore, family: &str) -> u64 {
    let files = test.store.shared.database.rocks().live_files().unwrap();
    files.iter().filter(|file| file.column_family_name == family).map(|file| file.size as u64).sum()
}

/// A sample as it was read: dimensions, timestamp, the value's bits.
type Read = (Vec<(String, String)>, i64, u64);

/// Collects samples from chunks.
#[derive(Default)]
struct Collector {
    samples: Mutex<Vec<Read>>,
}

impl ChunkConsumer for Collector {
    fn consume(&self, _worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        let mut samples = self.samples.lock().unwrap();
        let mut at = 0;
        for (series, run) in chunk.runs.iter().enumerate() {
            let value = |column: &luminate_storage::DictionaryColumn| {
                Some((column.key.to_string(), column.value(series)?.to_owned()))
            };
            let dimensions: Vec<_> = chunk.dimensions.iter().filter_map(value).collect();
            for _ in 0..*run {
                samples.push((dimensions.clone(), chunk.timestamps[at], chunk.values[at].to_bits()));
                at += 1;
            }
        }
        Ok(())
    }
}

/// Everything that a request yields, sorted.
async fn scan(store: &dyn SampleSource, request: &ScanRequest) -> Result<Vec<Read>, StorageError> {
    let mut request = request.clone();
    request.columns.all_dimensions = true;
    request.columns.timestamps = true;
    request.columns.values = true;
    let collector = Arc::new(Collector::default());
    store.scan(&request, &context(), Arc::clone(&collector) as Arc<dyn ChunkConsumer>).await?;
    let mut samples = std::mem::take(&mut *collector.samples.lock().unwrap());
    samples.sort();
    Ok(samples)
}

/// How many samples of a tenant's metric the store shows.
async fn count(store: &RocksStore, name: &str, metric: &str) -> usize {
    scan(store, &ScanRequest::new(tenant(name), metric, NOW)).await.unwrap().len()
}

/// All samples of a tenant's metric.
async fn all(store: &dyn SampleSource, of: &TenantId, metric: &str) -> Vec<Read> {
    scan(store, &ScanRequest::new(of.clone(), metric, NOW)).await.unwrap()
}
