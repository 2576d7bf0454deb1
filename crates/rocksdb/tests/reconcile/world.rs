//! A data folder as a stopped server leaves it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use luminate_model::{Offset, RetentionRules, SampleColumnsBuilder, Source, TenantId};
use luminate_queue::{Assignment, Consumer as _, Producer as _, QueueAdmin as _, Record, RecordKey};
use luminate_rocksdb::queue::{EmbeddedQueue, EmbeddedQueueConfig};
use luminate_rocksdb::{OpenError, RocksStore, RocksStoreConfig};
use luminate_runtime::config::ByteSize;
use luminate_storage::{
    Batch, BatchRecord, BlockProvenance as _, ChunkConsumer, QueryContext, QueryLimits, SampleSink as _,
    SampleSource as _, ScanChunk, ScanRequest, StorageError,
};
use luminate_writer::WriterConfig;
use luminate_writer::reconcile::{ComparedStore, ReconcileParts, ReconcileReport, ReconcileRequest, reconcile};
use luminate_writer::schema_registry::RegisteredSchemas;
use tempfile::TempDir;

/// 2025-01-01.
pub(crate) const NOW: i64 = 1_735_689_600_000;
pub(crate) const DAY: i64 = 86_400_000;
/// Records of one partition, which are stored as three batches; those of even offsets are one tenant's, the others another's.
pub(crate) const RECORDS: u64 = 12;
pub(crate) const BATCH: u64 = 4;
/// Samples of each record, half of them on the day before [`NOW`] and half on the day after.
pub(crate) const OF_RECORD: u64 = 10;
pub(crate) const ALL: u64 = RECORDS * OF_RECORD;

/// Time between two records.
const BETWEEN: i64 = 1000;

pub(crate) struct World {
    folder: TempDir,
    source: Source,
    records: u64,
    rules: RetentionRules,
    /// When it is compared.
    now: i64,
}

/// A store that is not of the world, for making blocks.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn store(&self) -> PathBuf {
        self.0.path().to_owned()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::at(rules(), NOW).await
    }

    /// With the rules and the time that comparing goes by; storing knows no retention.
    pub(crate) async fn at(rules: RetentionRules, now: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = publish(&folder.path().join("queue"), 0..RECORDS).await;
        let world = Self { folder, source, records: RECORDS, rules, now };
        let store = world.open_store();
        for first in (0..RECORDS).step_by(BATCH as usize) {
            store.write(world.batch(Offset(first), |_, _| false)).await.unwrap();
        }
        store.close().await;
        world.commit(RECORDS).await;
        world
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// The store's folder.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn queue(&self) -> PathBuf {
        self.folder.path().join("queue")
    }

    /// When a record was appended.
    pub(crate) fn appended(&self, offset: Offset) -> i64 {
        appended(offset.0)
    }

    /// The store as a server has it, but that nothing is merged before it is asked for.
    pub(crate) fn open_store(&self) -> RocksStore {
        RocksStore::open(&self.store(), &quiet(), rules(), Arc::new(|| NOW)).unwrap()
    }

    pub(crate) fn open_at_rest(&self) -> Result<RocksStore, OpenError> {
        open_at_rest(&self.store(), self.rules.clone(), self.now)
    }

    pub(crate) fn open_queue(&self) -> EmbeddedQueue {
        EmbeddedQueue::open_existing(&self.queue(), &one_partition()).unwrap()
    }

    async fn commit(&self, next: u64) {
        let queue = self.open_queue();
        let Assignment::Given(mut partition) = queue.consumer().assignment().await.unwrap() else { panic!("revoked") };
        partition.commit(Offset(next), "").await.unwrap();
        drop(partition);
        queue.close().await;
    }

    /// Has the queue give back what is committed.
    pub(crate) async fn forget_records(&self) {
        let queue = self.open_queue();
        queue.scrub().await.unwrap();
        queue.close().await;
    }

    /// Publishes one more batch and stores it, but for the samples that `left_out` names by offset and place in the record.
    pub(crate) async fn add_batch(&mut self, left_out: impl Fn(Offset, usize) -> bool) {
        let first = self.records;
        self.records += BATCH;
        publish(&self.queue(), first..self.records).await;
        let store = self.open_store();
        store.write(self.batch(Offset(first), left_out)).await.unwrap();
        store.close().await;
    }

    pub(crate) async fn merge_all(&self) {
        let store = self.open_store();
        store.merge_all().await.unwrap();
        store.close().await;
    }

    pub(crate) async fn erase(&self, tenant: &TenantId) {
        let store = self.open_store();
        store.erase(tenant, &[(self.source, Offset(self.records))]).await.unwrap();
        store.close().await;
    }

    /// The batch that begins at an offset.
    pub(crate) fn batch(&self, first: Offset, left_out: impl Fn(Offset, usize) -> bool) -> Batch {
        let records = (first.0..first.0 + BATCH).map(|offset| BatchRecord {
            tenant: tenant(offset),
            offset: Offset(offset),
            samples: samples(offset, |row| left_out(Offset(offset), row)),
        });
        self.batch_of(first, Offset(first.0 + BATCH), records.collect())
    }

    /// One sample that no record has.
    pub(crate) fn foreign_row(&self, offset: Offset) -> Batch {
        let mut builder = SampleColumnsBuilder::new();
        builder.push("metric", 0, NOW, -1.5, &[("host", "nobody")]);
        let record = BatchRecord { tenant: tenant(0), offset, samples: builder.finish() };
        self.batch_of(offset, offset.next(), vec![record])
    }

    fn batch_of(&self, first: Offset, next: Offset, records: Vec<BatchRecord>) -> Batch {
        Batch {
            source: self.source,
            first,
            next,
            records,
            idempotency: Vec::new(),
            forget_idempotency_before: i64::MIN,
        }
    }

    /// A store that holds one batch alone, as one block.
    pub(crate) async fn scratch(&self, batch: &Batch) -> Scratch {
        let folder = tempfile::tempdir().unwrap();
        let store = RocksStore::open(folder.path(), &quiet(), rules(), Arc::new(|| NOW)).unwrap();
        store.write(batch.clone()).await.unwrap();
        assert_eq!(store.blocks().await.unwrap().len(), 1);
        store.close().await;
        Scratch(folder)
    }

    /// The arrival block that holds a record.
    pub(crate) async fn block_of(&self, offset: Offset) -> u64 {
        let store = self.open_at_rest().unwrap();
        let blocks = store.blocks().await.unwrap();
        let holds = |first: Offset, next: Offset| first <= offset && offset < next;
        let mut found = blocks.iter().filter(|block| block.spans.iter().any(|span| holds(span.first, span.next)));
        let block = found.next().unwrap().id;
        assert!(found.next().is_none());
        block
    }

    /// Compares as the command does.
    pub(crate) async fn compare(&self, request: &ReconcileRequest) -> ReconcileReport {
        let now = self.now;
        let parts = ReconcileParts {
            history: Arc::new(self.open_queue()),
            store: ComparedStore::OfBlocks(Arc::new(self.open_at_rest().unwrap())),
            schemas: Arc::new(RegisteredSchemas::new(None)),
            clock: Arc::new(move || now),
            config: WriterConfig::default(),
        };
        reconcile(&parts, request).await.unwrap()
    }

    /// Rows, and distinct ones.
    pub(crate) async fn rows(&self) -> (u64, u64) {
        let store = self.open_store();
        let mut rows = Vec::new();
        for block in store.blocks().await.unwrap() {
            rows.extend(store.rows(block.id, NOW).await.unwrap().into_iter().map(|row| row.fingerprint));
        }
        let all = rows.len() as u64;
        assert_eq!(scanned(&store).await, all, "queries see the same");
        rows.sort_unstable();
        rows.dedup();
        store.close().await;
        (all, rows.len() as u64)
    }
}

pub(crate) fn open_at_rest(store: &Path, rules: RetentionRules, now: i64) -> Result<RocksStore, OpenError> {
    RocksStore::open_at_rest(store, &quiet(), rules, Arc::new(move || now))
}

pub(crate) fn rules() -> RetentionRules {
    RetentionRules::default()
}

pub(crate) fn tenant(offset: u64) -> TenantId {
    TenantId::parse(if offset.is_multiple_of(2) { "even" } else { "odd" }).unwrap()
}

fn appended(offset: u64) -> i64 {
    NOW + offset as i64 * BETWEEN
}

/// Merges nothing unless it is asked to.
fn quiet() -> RocksStoreConfig {
    let never = Duration::from_secs(1 << 30).into();
    RocksStoreConfig {
        cache: ByteSize::mib(8),
        write_buffer: ByteSize::mib(8),
        log: ByteSize::mib(8),
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

fn one_partition() -> EmbeddedQueueConfig {
    EmbeddedQueueConfig { partitions: Some(1), ..EmbeddedQueueConfig::default() }
}

/// Appends records, a second after one another.
async fn publish(folder: &Path, offsets: std::ops::Range<u64>) -> Source {
    let now = Arc::new(AtomicI64::new(0));
    let clock = Arc::clone(&now);
    let clock = Arc::new(move || clock.load(Ordering::Relaxed));
    let queue = EmbeddedQueue::open_with_clock(folder, &one_partition(), clock).unwrap();
    let mut source = None;
    for offset in offsets {
        now.store(appended(offset), Ordering::Relaxed);
        let key = RecordKey { tenant: tenant(offset), shard: 0 };
        let value = luminate_schemas::encode(&samples(offset, |_| false)).into();
        let placed = queue.publish(vec![Record { key, headers: Vec::new(), value }]).await.remove(0).unwrap();
        assert_eq!(placed.offset, Offset(offset));
        source = Some(placed.source);
    }
    queue.close().await;
    source.unwrap()
}

/// Samples of two days, some without dimensions, but for those that are left out.
fn samples(offset: u64, left_out: impl Fn(usize) -> bool) -> luminate_model::SampleColumns {
    let mut builder = SampleColumnsBuilder::new();
    for row in (0..OF_RECORD as usize).filter(|row| !left_out(*row)) {
        let day = if row % 2 == 0 { NOW - DAY } else { NOW + DAY };
        let host = format!("höst:{row}/'\n");
        let dimensions = [("a", "1:x"), ("host", host.as_str())];
        let dimensions = &dimensions[..row.min(2)];
        builder.push(
            "metric",
            0,
            day + row as i64 * 1000 + offset as i64,
            -0.1 * offset as f64 + row as f64,
            dimensions,
        );
    }
    builder.finish()
}

/// How many samples queries see.
async fn scanned(store: &RocksStore) -> u64 {
    let limits = QueryLimits { timeout: Duration::from_secs(60), memory_bytes: 1 << 30, samples: u64::MAX, workers: 1 };
    let counter = Arc::new(Counter::default());
    for of in [tenant(0), tenant(1)] {
        let request = ScanRequest::new(of, "metric", NOW);
        store.scan(&request, &QueryContext::new(limits), Arc::clone(&counter) as _).await.unwrap();
    }
    counter.0.load(Ordering::Relaxed) as u64
}

#[derive(Default)]
struct Counter(AtomicI64);

impl ChunkConsumer for Counter {
    fn consume(&self, _worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        self.0.fetch_add(chunk.samples() as i64, Ordering::Relaxed);
        Ok(())
    }
}
