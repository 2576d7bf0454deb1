//! Comparing a real Kafka with a real ClickHouse after each of the faults that the comparison is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::Duration;

use luminate_clickhouse::{ClickHouseConfig, ClickHouseSink, migrate};
use luminate_kafka::{KafkaCluster, KafkaConfig, KafkaConsumer, KafkaHistory, KafkaProducer, TopicAdmin};
use luminate_model::{Offset, SampleColumnsBuilder, Source, TenantId};
use luminate_queue::{Assignment, Consumer as _, Producer as _, Record, RecordHistory as _, RecordKey};
use luminate_storage::{Batch, BatchRecord, IntentSink as _, NotedErasure, Permit, SampleSink as _};
use luminate_tests::engines::{ClickHouse, Kafka, unique_name};
use luminate_writer::WriterConfig;
use luminate_writer::reconcile::{ComparedStore, ReconcileParts, ReconcileReport, ReconcileRequest, reconcile};
use luminate_writer::schema_registry::RegisteredSchemas;

/// 2025-01-01.
const NOW: i64 = 1_735_689_600_000;
const DAY: i64 = 86_400_000;
/// Twelve records, which are stored as three batches.
const RECORDS: u64 = 12;
const BATCH: u64 = 4;
/// Samples of each record on each of two days.
const SAMPLES: u64 = 5;

/// A topic of one partition whose records are all stored and committed.
struct World {
    engine: &'static ClickHouse,
    clickhouse: ClickHouseConfig,
    cluster: KafkaCluster,
    sink: Arc<ClickHouseSink>,
    source: Source,
}

impl World {
    async fn new() -> Self {
        Self::with_erasure(None).await
    }

    /// With an erasure of the odd records' tenant, noted before anything was stored.
    async fn with_erasure(erased_before: Option<u64>) -> Self {
        let (engine, brokers) =
            tokio::task::spawn_blocking(|| (ClickHouse::shared(), Kafka::shared().brokers())).await.unwrap();
        let clickhouse: ClickHouseConfig = serde_json::from_value(engine.settings(&unique_name("reconcile"))).unwrap();
        migrate(&clickhouse, "test", false).await.unwrap();
        let cluster = cluster(&brokers).await;
        let published = KafkaProducer::new(&cluster).unwrap().publish((0..RECORDS).map(record).collect()).await;
        let source = published.into_iter().map(|placed| placed.unwrap().source).next_back().unwrap();
        let sink = Arc::new(ClickHouseSink::new(clickhouse.clone(), Arc::new(|| NOW)).unwrap());
        if let Some(end) = erased_before {
            let erasure = NotedErasure { tenant: tenant_of(1), up_to: vec![(source, Offset(end))] };
            sink.note_erasure(&erasure).await.unwrap();
            sink.finish_erasure(&erasure).await.unwrap();
        }
        let world = Self { engine, clickhouse, cluster, sink, source };
        for first in (0..RECORDS).step_by(BATCH as usize) {
            world.store(first).await;
        }
        world.commit().await;
        world
    }

    async fn store(&self, first: u64) {
        let records = (first..first + BATCH)
            .map(|at| BatchRecord { tenant: tenant_of(at), offset: Offset(at), samples: samples(at) })
            .collect();
        let batch = Batch {
            source: self.source,
            first: Offset(first),
            next: Offset(first + BATCH),
            records,
            idempotency: Vec::new(),
            forget_idempotency_before: i64::MIN,
        };
        let target = self.sink.target(&self.source).await.unwrap();
        self.sink.insert(&batch, &target, Permit::unlimited()).await.unwrap();
    }

    /// Commits as a writer does that has stored everything.
    async fn commit(&self) {
        let mut consumer = KafkaConsumer::start(&self.cluster).unwrap();
        let Assignment::Given(mut partition) = consumer.assignment().await.unwrap() else { panic!("no partition") };
        partition.commit(Offset(RECORDS), "").await.unwrap();
    }

    async fn compare(&self, mend: bool) -> ReconcileReport {
        let parts = ReconcileParts {
            history: Arc::new(KafkaHistory::new(&self.cluster)),
            store: ComparedStore::OfBatches {
                provenance: Arc::clone(&self.sink) as _,
                sink: Arc::clone(&self.sink) as _,
            },
            schemas: Arc::new(RegisteredSchemas::new(None)),
            clock: Arc::new(|| NOW),
            config: WriterConfig::default(),
        };
        let report = reconcile(&parts, &ReconcileRequest { mend, ..ReconcileRequest::default() }).await.unwrap();
        assert_eq!(report.sources.iter().map(|source| source.records).sum::<u64>(), RECORDS);
        report
    }

    /// Runs a statement in which `{samples}` stands for the table.
    fn query(&self, sql: &str) -> String {
        let table = format!("{}.samples", self.clickhouse.database);
        self.engine.query(&sql.replace("{samples}", &table)).trim_end().to_owned()
    }

    /// Rows, and distinct ones.
    fn rows(&self) -> (u64, u64) {
        let count = |what: &str| self.query(&format!("SELECT {what} FROM {{samples}}")).parse().unwrap();
        (count("count()"), count("uniqExact(tenant, metric, ts, value, dimensions)"))
    }
}

async fn cluster(brokers: &str) -> KafkaCluster {
    let name = unique_name("reconcile").replace('_', "-");
    let mut config = KafkaConfig { brokers: brokers.split(',').map(str::to_owned).collect(), ..KafkaConfig::default() };
    config.topics.samples = format!("{name}.samples");
    config.topics.tenant = format!("{name}.tenant.{{tenant}}.samples");
    config.topics.dead_letters = format!("{name}.deadletters");
    config.topics.partitions = 1;
    config.topics.replication = Some(1);
    config.topics.min_insync_replicas = Some(1);
    config.consumer.group = format!("{name}-group");
    let cluster = KafkaCluster::new(config).unwrap();
    TopicAdmin::new(&cluster).unwrap().apply(&[]).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while let Err(error) = cluster.ready().await {
        assert!(tokio::time::Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster
}

fn tenant_of(offset: u64) -> TenantId {
    TenantId::parse(if offset.is_multiple_of(2) { "even" } else { "odd" }).unwrap()
}

/// Samples of two days, some without dimensions, and with what a text of rows could trip over.
fn samples(offset: u64) -> luminate_model::SampleColumns {
    let mut builder = SampleColumnsBuilder::new();
    for day in 0..2 {
        for at in 0..SAMPLES as i64 {
            let value = -0.1 * (offset as f64) + at as f64;
            let host = format!("höst:{at}/'\n");
            let dimensions = [("a", "1:x"), ("host", host.as_str())];
            let dimensions = &dimensions[..(at as usize).min(2)];
            builder.push("metric", 0, NOW + day * DAY + at * 1000 + offset as i64, value, dimensions);
        }
    }
    builder.finish()
}

fn record(offset: u64) -> Record {
    let key = RecordKey { tenant: tenant_of(offset), shard: 0 };
    Record { key, headers: Vec::new(), value: luminate_schemas::encode(&samples(offset)).into() }
}

/// Missing, doubled, foreign, mended.
fn found(report: &ReconcileReport) -> (u64, u64, u64, u64) {
    (report.missing, report.doubled, report.foreign, report.mended)
}

const SLICE: u64 = BATCH * SAMPLES;
const ALL: u64 = RECORDS * SAMPLES * 2;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_once_is_clean() {
    let world = World::new().await;
    let report = world.compare(true).await;
    assert!(report.clean, "{report:?}");
    assert_eq!((found(&report), report.expected), ((0, 0, 0, 0), ALL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_slice_is_told_and_mended_exactly_once() {
    let world = World::new().await;
    let delete =
        "ALTER TABLE {samples} DELETE WHERE batch = 4 AND toDate(ts) = '2025-01-02' SETTINGS mutations_sync = 2";
    world.query(delete);
    let report = world.compare(false).await;
    assert_eq!(found(&report), (SLICE, 0, 0, 0), "{report:?}");
    let batches = &report.sources[0].batches;
    assert_eq!(batches.iter().map(|batch| (batch.first, batch.next)).collect::<Vec<_>>(), [(4, 8)]);
    assert_eq!(batches[0].slices.iter().map(|slice| (slice.day, slice.missing)).collect::<Vec<_>>(), [(20_090, SLICE)]);
    assert!(!report.clean);
    let mended = world.compare(true).await;
    assert_eq!((found(&mended), mended.clean), ((SLICE, 0, 0, SLICE), true), "{mended:?}");
    assert!(world.compare(true).await.sources[0].batches.is_empty());
    assert_eq!(world.rows(), (ALL, ALL));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_batches_are_mended_even_where_the_server_knows_their_tokens() {
    let world = World::new().await;
    world.query("ALTER TABLE {samples} DELETE WHERE batch IN (4, 8) SETTINGS mutations_sync = 2");
    let mended = world.compare(true).await;
    assert_eq!((found(&mended), mended.clean), ((4 * SLICE, 0, 0, 4 * SLICE), true), "{mended:?}");
    assert!(world.compare(false).await.sources[0].batches.is_empty());
    assert_eq!(world.rows(), (ALL, ALL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_slice_is_told_and_left_alone() {
    let world = World::new().await;
    world.query(
        "INSERT INTO {samples} SELECT * FROM {samples} WHERE batch = 4 AND toDate(ts) = '2025-01-01' \
         SETTINGS insert_deduplication_token = 'another'",
    );
    let report = world.compare(true).await;
    assert_eq!((found(&report), report.clean), ((0, SLICE, 0, 0), false), "{report:?}");
    let batches = &report.sources[0].batches;
    assert_eq!(batches.iter().map(|batch| (batch.first, batch.doubled)).collect::<Vec<_>>(), [(4, SLICE)]);
    assert_eq!(world.rows(), (ALL + SLICE, ALL));
}

/// The row of the samples whose batch is 4 that lies at the 0th second of a day: there is one.
const ONE_ROW: &str = "batch = 4 AND toUnixTimestamp64Milli(ts) = 1735689600004";

/// A slice that is there in part is what no writer leaves behind: something else has been at the table. Its rows cannot be put
/// back one by one, because the server takes a slice whole; so it is told, and an operator decides.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_lost_row_is_told_and_left_to_an_operator() {
    let world = World::new().await;
    world.query(&format!("ALTER TABLE {{samples}} DELETE WHERE {ONE_ROW} SETTINGS mutations_sync = 2"));
    assert_eq!(world.rows(), (ALL - 1, ALL - 1), "one row is lost");
    for mend in [false, true] {
        let report = world.compare(mend).await;
        assert_eq!((found(&report), report.clean), ((1, 0, 0, 0), false), "{report:?}");
        let batches = &report.sources[0].batches;
        assert_eq!(batches.iter().map(|batch| (batch.first, batch.missing)).collect::<Vec<_>>(), [(4, 1)]);
        let slices = batches[0].slices.iter().map(|slice| (slice.day, slice.missing));
        assert_eq!(slices.collect::<Vec<_>>(), [(20_089, 1)]);
        assert_eq!(world.rows(), (ALL - 1, ALL - 1), "nothing is made worse");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_doubled_row_is_told_and_left_alone() {
    let world = World::new().await;
    world.query(&format!(
        "INSERT INTO {{samples}} SELECT * FROM {{samples}} WHERE {ONE_ROW} SETTINGS insert_deduplication_token = 'another'"
    ));
    let report = world.compare(true).await;
    assert_eq!((found(&report), report.clean), ((0, 1, 0, 0), false), "{report:?}");
    let batches = &report.sources[0].batches;
    assert_eq!(batches.iter().map(|batch| (batch.first, batch.doubled)).collect::<Vec<_>>(), [(4, 1)]);
    assert_eq!(world.rows(), (ALL + 1, ALL));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_foreign_row_is_told_and_left_alone() {
    let world = World::new().await;
    world.query(&format!(
        "INSERT INTO {{samples}} SELECT tenant, metric, ts, value + 1000, dimensions, retention_days, source, batch \
         FROM {{samples}} WHERE {ONE_ROW} SETTINGS insert_deduplication_token = 'foreign'"
    ));
    let report = world.compare(true).await;
    assert_eq!((found(&report), report.clean), ((0, 0, 1, 0), false), "{report:?}");
    let batches = &report.sources[0].batches;
    assert_eq!(batches.iter().map(|batch| (batch.first, batch.foreign)).collect::<Vec<_>>(), [(4, 1)]);
    assert_eq!(world.rows(), (ALL + 1, ALL + 1));
}

/// A row under another value is one lost and one foreign, not nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_changed_is_a_lost_and_a_foreign_one() {
    let world = World::new().await;
    world.query(&format!(
        "ALTER TABLE {{samples}} UPDATE value = value + 1000 WHERE {ONE_ROW} SETTINGS mutations_sync = 2"
    ));
    let report = world.compare(true).await;
    assert_eq!((found(&report), report.clean), ((1, 0, 1, 0), false), "{report:?}");
    assert_eq!(world.rows(), (ALL, ALL));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_again_in_another_batch_is_doubled() {
    let world = World::new().await;
    // Before its own, as a later batch, within a later batch, beyond the topic's end.
    for (under, what) in [
        (0, "batch = 4 AND tenant = 'even'"),
        (8, "batch = 4 AND tenant = 'odd'"),
        (11, "batch = 0"),
        (999, "batch = 8"),
    ] {
        world.query(&format!(
            "INSERT INTO {{samples}} SELECT tenant, metric, ts, value, dimensions, retention_days, source, {under} \
             FROM {{samples}} WHERE {what} AND toDate(ts) = '2025-01-01' SETTINGS insert_deduplication_token = 'under-{under}'"
        ));
    }
    let rows = world.rows().0;
    let report = world.compare(true).await;
    assert!(rows > ALL + 2 * SLICE);
    assert_eq!((found(&report), report.clean), ((0, rows - ALL, 0, 0), false), "{report:?}");
    assert_eq!(world.rows(), (rows, ALL));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_record_has_are_told_and_left_alone() {
    let world = World::new().await;
    for batch in [4, 6, 999] {
        world.query(&format!(
            "INSERT INTO {{samples}} SELECT tenant, metric, ts, value + 1000, dimensions, retention_days, source, {batch} \
             FROM {{samples}} WHERE batch = 4 LIMIT 1 SETTINGS insert_deduplication_token = 'foreign-{batch}'"
        ));
    }
    let report = world.compare(true).await;
    assert_eq!((found(&report), report.clean), ((0, 0, 3, 0), false), "{report:?}");
    assert_eq!(report.sources[0].batches.last().map(|batch| (batch.first, batch.foreign)), Some((999, 1)));
    assert_eq!(world.rows().0, ALL + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_ends_within_a_batch_leaves_it_clean() {
    // The odd records 1, 3 and 5 are erased; 7 is in the same batch as 5.
    let world = World::with_erasure(Some(6)).await;
    let report = world.compare(true).await;
    assert!(report.clean, "{report:?}");
    assert_eq!((report.expected, report.sources[0].not_judged), (ALL - 3 * 2 * SAMPLES, 0));
    assert_eq!(world.rows().0, ALL - 3 * 2 * SAMPLES);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_told_for_times() {
    let world = World::new().await;
    let history = KafkaHistory::new(&world.cluster);
    let mut reader = history.read(world.source, Offset(0), Offset(RECORDS)).await.unwrap();
    let first = reader.next().await.unwrap().unwrap();
    assert_eq!(history.offset_at(world.source, first.append_time).await.unwrap(), Offset(0));
    assert_eq!(history.offset_at(world.source, i64::MAX / 2).await.unwrap(), Offset(RECORDS));
}
