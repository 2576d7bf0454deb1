//! Whole pipelines, from a queue in memory to a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};
use luminate_queue::memory::{MemoryQueue, MemoryQueueConfig};
use luminate_queue::{DeadLetterFilter, DeadLetters as _, IdempotencyHeaders, Producer as _, Record, RecordKey};
use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig, StopReason};
use luminate_runtime::telemetry::{Metrics, Process};
use luminate_storage::memory::MemoryStore;
use luminate_storage::{Batch, Erased, NotedErasure, Resume, SampleSink, StorageError, Stored};

use crate::config::WriterConfig;
use crate::progress::Progress;
use crate::schema_registry::SchemaRegistry;
use crate::test_records::{columns, consumed, tenant};
use crate::writer::{Writer, WriterParts, build};

/// A store in memory that can be told to fail, and remembers the batches it was given.
pub(crate) struct TestSink {
    pub(crate) store: MemoryStore,
    batches: Mutex<Vec<(Offset, Offset)>>,
    /// So many writes fail before anything is stored.
    pub(crate) refuse: AtomicU32,
    /// So many writes store the batch and lose the answer.
    pub(crate) lose_answer: AtomicU32,
    pub(crate) damaged: AtomicU32,
    /// So many writes take an hour.
    slow: AtomicU32,
    /// Held for writing, nothing is removed.
    pub(crate) removing: tokio::sync::RwLock<()>,
}

impl TestSink {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(),
            batches: Mutex::default(),
            refuse: AtomicU32::new(0),
            lose_answer: AtomicU32::new(0),
            damaged: AtomicU32::new(0),
            slow: AtomicU32::new(0),
            removing: tokio::sync::RwLock::default(),
        })
    }

    /// The ranges of the batches that were stored.
    pub(crate) fn ranges(&self) -> Vec<(Offset, Offset)> {
        self.batches.lock().unwrap().clone()
    }

    /// The timestamps of a tenant's samples, sorted.
    pub(crate) fn timestamps(&self, name: &str) -> Vec<i64> {
        let mut timestamps: Vec<_> = self.store.samples(&tenant(name)).iter().map(|sample| sample.timestamp).collect();
        timestamps.sort_unstable();
        timestamps
    }
}

fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl SampleSink for TestSink {
    async fn resume(&self, source: &Source) -> Result<Resume, StorageError> {
        self.store.resume(source).await
    }

    async fn write(&self, batch: Batch) -> Result<Stored, StorageError> {
        if take(&self.damaged) {
            return Err(StorageError::Damaged("injected".to_owned()));
        }
        if take(&self.refuse) {
            return Err(StorageError::Unavailable("injected".to_owned()));
        }
        if take(&self.slow) {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        let range = (batch.first, batch.next);
        let stored = self.store.write(batch).await?;
        assert!(!stored.already, "the writer asks the store where to continue, and repeats nothing");
        self.batches.lock().unwrap().push(range);
        if take(&self.lose_answer) {
            return Err(StorageError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(stored)
    }

    async fn note_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        if take(&self.refuse) {
            return Err(StorageError::Unavailable("injected".to_owned()));
        }
        self.store.note_erasure(erasure).await
    }

    async fn remove_erased(&self, tenant: &TenantId) -> Result<Erased, StorageError> {
        let _may_remove = self.removing.read().await;
        self.store.remove_erased(tenant).await
    }

    async fn unfinished_erasures(&self) -> Result<Vec<NotedErasure>, StorageError> {
        self.store.unfinished_erasures().await
    }

    async fn finish_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        self.store.finish_erasure(erasure).await
    }

    fn writable(&self) -> Result<(), String> {
        self.store.writable()
    }
}

/// A running writer over a queue with one partition. Time is tokio's, paused: waiting costs nothing.
pub(crate) struct Running {
    pub(crate) queue: MemoryQueue,
    pub(crate) sink: Arc<TestSink>,
    pub(crate) writer: Writer,
    pub(crate) lifecycle: Lifecycle,
}

pub(crate) fn one_partition() -> MemoryQueue {
    MemoryQueue::new(MemoryQueueConfig { partitions: 1, ..MemoryQueueConfig::default() })
}

impl Running {
    pub(crate) fn start(queue: MemoryQueue, sink: Arc<TestSink>, config: WriterConfig) -> Self {
        Self::start_with(queue, sink, config, None)
    }

    pub(crate) fn start_with(
        queue: MemoryQueue,
        sink: Arc<TestSink>,
        config: WriterConfig,
        schema_registry: Option<Arc<dyn SchemaRegistry>>,
    ) -> Self {
        let metrics = Metrics::new(&[Process::Writer]).unwrap();
        let identity = Identity { service: "test", version: "0" };
        let lifecycle = Lifecycle::new(identity, LifecycleConfig::default(), metrics);
        let parts = WriterParts {
            consumer: Box::new(queue.consumer()),
            schema_registry,
            dead_letters: Arc::new(queue.clone()),
            queue: Arc::new(queue.clone()),
            own_ends: Arc::new(queue.clone()),
            watermarks: None,
            sink: sink.clone(),
            progress: Progress::default(),
            verifier: crate::admin::test_tokens::verifier(),
            clock: Arc::new(|| 1_700_000_000_000),
            lifecycle: lifecycle.clone(),
        };
        let writer = build(config, parts).unwrap();
        Self { queue, sink, writer, lifecycle }
    }

    fn begin() -> Self {
        Self::start(one_partition(), TestSink::new(), WriterConfig::default())
    }

    /// Waits until everything that was published is stored.
    pub(crate) async fn drained(&self) {
        let ends = luminate_queue::QueueAdmin::ends(&self.queue).await.unwrap();
        let reached = tokio::time::timeout(Duration::from_secs(600), self.writer.progress.reach(&ends)).await;
        reached.expect("the writer gets there").expect("no partition stops");
    }

    pub(crate) async fn stop(self) -> (MemoryQueue, Arc<TestSink>) {
        self.lifecycle.request_stop(StopReason::Requested("test".to_owned()));
        let report = self.lifecycle.run_until_stopped().await;
        assert_eq!(report.failures, Vec::<String>::new());
        (self.queue, self.sink)
    }
}

pub(crate) fn record(timestamps: &[i64]) -> Record {
    let value = luminate_schemas::encode(&columns(timestamps)).into();
    Record { key: RecordKey { tenant: tenant("acme"), shard: 0 }, headers: Vec::new(), value }
}

pub(crate) fn keyed(timestamps: &[i64], key: u128, body: u128) -> Record {
    let headers = IdempotencyHeaders { key, body, part: 0, parts: 1 }.to_headers();
    Record { headers, ..record(timestamps) }
}

pub(crate) async fn publish(queue: &MemoryQueue, records: Vec<Record>) {
    for result in queue.publish(records).await {
        result.unwrap();
    }
}

async fn codes(queue: &MemoryQueue) -> Vec<String> {
    let page = queue.list(&DeadLetterFilter::default(), None, 1000).await.unwrap();
    page.letters.into_iter().map(|letter| letter.code).collect()
}

#[tokio::test(start_paused = true)]
async fn records_are_stored_and_leave_the_queue() {
    let running = Running::begin();
    publish(&running.queue, vec![record(&[1, 2]), record(&[3])]).await;
    running.drained().await;
    publish(&running.queue, vec![record(&[4])]).await;
    running.drained().await;
    let (queue, sink) = running.stop().await;
    assert_eq!(sink.timestamps("acme"), [1, 2, 3, 4]);
    assert_eq!(sink.ranges(), [(Offset(0), Offset(2)), (Offset(2), Offset(3))]);
    assert_eq!((queue.committed(0).next, queue.bytes()), (Some(Offset(3)), 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_its_age_and_no_longer() {
    let running = Running::begin();
    publish(&running.queue, vec![record(&[1])]).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(running.sink.timestamps("acme"), [0_i64; 0]);
    publish(&running.queue, vec![record(&[2])]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2], "the age is the first record's");
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_waits_for_nothing() {
    let mut config = WriterConfig::default();
    config.batch.max_samples = 3;
    let running = Running::start(one_partition(), TestSink::new(), config);
    let started = tokio::time::Instant::now();
    publish(&running.queue, (0..9).map(|timestamp| record(&[timestamp])).collect()).await;
    running.drained().await;
    assert!(started.elapsed() < Duration::from_millis(500));
    assert_eq!(running.sink.ranges().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stop_stores_what_was_read() {
    let running = Running::begin();
    publish(&running.queue, vec![record(&[1])]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(running.sink.timestamps("acme"), [0_i64; 0]);
    let (queue, sink) = running.stop().await;
    assert_eq!(sink.timestamps("acme"), [1]);
    assert_eq!(queue.committed(0).next, Some(Offset(1)));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_is_stored_once_also_across_a_restart() {
    let running = Running::begin();
    publish(&running.queue, vec![keyed(&[1, 2], 7, 7), keyed(&[1, 2], 7, 7)]).await;
    running.drained().await;
    publish(&running.queue, vec![keyed(&[1, 2], 7, 7)]).await;
    running.drained().await;
    assert_eq!(running.lifecycle.metrics().samples_repeated.get(), 4);
    let (queue, sink) = running.stop().await;

    let running = Running::start(queue.reopen(), sink, WriterConfig::default());
    publish(&running.queue, vec![keyed(&[1, 2], 7, 7), keyed(&[9], 7, 8), keyed(&[3], 8, 8)]).await;
    running.drained().await;
    assert_eq!(running.lifecycle.metrics().samples_repeated.get(), 2);
    assert_eq!(codes(&running.queue).await, ["idempotency_conflict"]);

    // A repeat prolongs the ten minutes, also where the writer that saw it is another one.
    let window = crate::idempotency::WINDOW_MS;
    running.queue.set_time(1_700_000_000_000 + window);
    publish(&running.queue, vec![keyed(&[1, 2], 7, 7)]).await;
    running.drained().await;
    let (queue, sink) = running.stop().await;
    let running = Running::start(queue.reopen(), sink, WriterConfig::default());
    running.queue.set_time(1_700_000_000_000 + 2 * window);
    publish(&running.queue, vec![keyed(&[1, 2], 7, 7)]).await;
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2, 3]);

    running.queue.set_time(1_700_000_000_000 + 3 * window + 1);
    publish(&running.queue, vec![keyed(&[1, 2], 7, 7)]).await;
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 1, 2, 2, 3], "after ten minutes it is another request");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_kept_and_stops_nothing() {
    let running = Running::begin();
    running.queue.append_raw(0, consumed(0, "no key", "bytes")).unwrap();
    publish(&running.queue, vec![record(&[1])]).await;
    running.queue.append_raw(0, consumed(0, "acme/0", "bytes")).unwrap();
    publish(&running.queue, vec![record(&[2])]).await;
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2]);
    assert_eq!(codes(&running.queue).await, ["record_key_invalid", "record_malformed"]);
    let page = running.queue.list(&DeadLetterFilter::default(), None, 10).await.unwrap();
    let tenants: Vec<_> = page.letters.iter().map(|letter| letter.tenant.clone()).collect();
    assert_eq!(tenants, [None, Some(tenant("acme"))]);
    assert_eq!(page.letters[1].bytes.as_ref(), b"bytes");
    assert_eq!(running.lifecycle.metrics().dead_letters.with(["record_malformed"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_offset_is_passed_before_its_dead_letter_is_kept() {
    let running = Running::begin();
    running.queue.fail_dead_letters(3);
    running.queue.append_raw(0, consumed(0, "acme/0", "bytes")).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(running.sink.ranges(), [], "nothing is stored while the dead letter is not");
    assert_eq!(running.queue.committed(0).next, None);
    running.drained().await;
    assert_eq!(codes(&running.queue).await, ["record_malformed"]);
    assert_eq!(running.sink.ranges(), [(Offset(0), Offset(1))]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_tried_again_and_nothing_is_lost_or_doubled() {
    let running = Running::begin();
    running.sink.refuse.store(5, Ordering::Relaxed);
    publish(&running.queue, vec![keyed(&[1], 1, 1), record(&[2]), keyed(&[1], 1, 1)]).await;
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2], "a record is no repeat of itself");
    assert_eq!(running.lifecycle.metrics().storage_write_failures.get(), 5);
    assert_eq!(running.lifecycle.metrics().samples_repeated.get(), 1);

    running.sink.lose_answer.store(1, Ordering::Relaxed);
    publish(&running.queue, vec![keyed(&[3], 2, 2), record(&[4])]).await;
    running.drained().await;
    publish(&running.queue, vec![keyed(&[3], 2, 2), record(&[5])]).await;
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_is_tried_again() {
    let running = Running::begin();
    running.queue.fail_polls(3);
    running.queue.fail_commits(2);
    for timestamp in 0..4 {
        publish(&running.queue, vec![record(&[timestamp])]).await;
        running.drained().await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let (queue, sink) = running.stop().await;
    assert_eq!(sink.timestamps("acme"), [0, 1, 2, 3]);
    assert_eq!(queue.committed(0).next, Some(Offset(4)));
}

#[tokio::test(start_paused = true)]
async fn damage_stops_one_partition_loudly_and_no_other() {
    let queue = MemoryQueue::new(MemoryQueueConfig { partitions: 2, ..MemoryQueueConfig::default() });
    let sink = TestSink::new();
    sink.damaged.store(1, Ordering::Relaxed);
    let running = Running::start(queue, sink, WriterConfig::default());
    // Seven seconds before the time that the writer's clock shows.
    running.queue.set_time(1_699_999_993_000);
    running.queue.append_raw(0, consumed(0, "acme/0", luminate_schemas::encode(&columns(&[1])))).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    running.queue.append_raw(1, consumed(0, "acme/0", luminate_schemas::encode(&columns(&[2])))).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(running.sink.timestamps("acme"), [2]);
    let ends = luminate_queue::QueueAdmin::ends(&running.queue).await.unwrap();
    let stopped = running.writer.progress.reach(&ends).await.unwrap_err();
    assert_eq!(stopped.place, running.queue.source(0));
    assert!(!running.lifecycle.health().all_up());
    assert_eq!(running.lifecycle.metrics().partitions_stopped.get(), 1.0);
    assert_eq!(running.lifecycle.metrics().consumer_lag.with([&running.queue.source(0).to_string()]).get(), 1.0);
    assert_eq!(running.lifecycle.metrics().consumer_lag.with([&running.queue.source(1).to_string()]).get(), 0.0);
    assert_eq!(running.lifecycle.metrics().consumer_delay.with([&running.queue.source(0).to_string()]).get(), 7.0);
    assert_eq!(running.lifecycle.metrics().consumer_delay.with([&running.queue.source(1).to_string()]).get(), 0.0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_store_decides_where_to_continue() {
    let sink = TestSink::new();
    let running = Running::start(one_partition(), sink, WriterConfig::default());
    publish(&running.queue, vec![record(&[1])]).await;
    running.drained().await;
    let (queue, sink) = running.stop().await;
    // The commit was a hint that got lost.
    let same = one_partition();
    publish(&same, vec![record(&[1]), record(&[2])]).await;
    drop(queue);
    let running = Running::start(same, sink, WriterConfig::default());
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_lost_its_end_stops_the_partition() {
    let running = Running::begin();
    publish(&running.queue, vec![record(&[1]), record(&[2])]).await;
    running.drained().await;
    let (_, sink) = running.stop().await;
    let lost = one_partition();
    publish(&lost, vec![record(&[3])]).await;
    let running = Running::start(lost, sink, WriterConfig::default());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(running.sink.timestamps("acme"), [1, 2], "offsets that were used before are not believed");
    let [(_, reason)] = running.writer.progress.stopped_sources().try_into().unwrap();
    assert_eq!(reason, "queue_offset_out_of_range");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_drops_what_it_read_and_goes_on_when_it_is_given_again() {
    let running = Running::begin();
    publish(&running.queue, vec![record(&[1])]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.queue.revoke(0).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(running.sink.ranges(), [], "the loser stores nothing");
    running.queue.give(0);
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1]);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn revoked_partitions_do_not_wait_for_one_another() {
    let queue = MemoryQueue::new(MemoryQueueConfig { partitions: 2, ..MemoryQueueConfig::default() });
    let running = Running::start(queue, TestSink::new(), WriterConfig::default());
    running.sink.slow.store(1, Ordering::Relaxed);
    publish(&running.queue, vec![record(&[1])]).await;
    let slow = u32::from(luminate_queue::QueueAdmin::ends(&running.queue).await.unwrap()[1].1 > Offset(0));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let slow_one = tokio::spawn({
        let queue = running.queue.clone();
        async move { queue.revoke(slow).await }
    });
    // It is at work on the slow one's revocation by then.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let other = tokio::time::timeout(Duration::from_secs(10), running.queue.revoke(1 - slow)).await;
    assert!(other.is_ok() && !slow_one.is_finished());
    running.queue.give(slow);
    running.queue.give(1 - slow);
    slow_one.await.unwrap();
    running.drained().await;
    assert_eq!(running.sink.timestamps("acme"), [1]);
}
