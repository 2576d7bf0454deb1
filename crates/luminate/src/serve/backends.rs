//! Queue and store of each mode: opened, watched and closed at the end. The services know them by their traits alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use luminate_clickhouse::{ClickHouseSink, ClickHouseSource, Hosts, wait_until_migrated};
use luminate_kafka::{Commits, KafkaAdmin, KafkaCluster, KafkaConsumer, KafkaDeadLetters, KafkaProducer};
use luminate_model::RetentionRules;
use luminate_queue::{Consumer, DeadLetters, Producer, QueueAdmin};
use luminate_rocksdb::queue::EmbeddedQueue;
use luminate_rocksdb::{OwnedPartition, PartitionNames, RocksStore};
use luminate_runtime::clock::system_clock;
use luminate_runtime::lifecycle::Lifecycle;
use luminate_storage::{IntentSink, SampleSink, SampleSource};
use luminate_writer::schema_registry::{HttpSchemaRegistry, SchemaRegistry};
use luminate_writer::{OwnWatermarks, Progress};

use super::config::{ServeConfig, StorageBackend};
use super::modes::Mode;
use super::queue_config::QueueBackend;
use super::skip::{self, SkipTo};
use super::{gate, watch};

/// How long after a question was not answered it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Queue and store, as the services see them.
pub(crate) struct Backends {
    pub(super) producer: Arc<dyn Producer>,
    pub(super) consumer: Box<dyn Consumer>,
    pub(super) dead_letters: Arc<dyn DeadLetters>,
    pub(super) schema_registry: Option<Arc<dyn SchemaRegistry>>,
    /// Of the partitions that this process stores.
    pub(super) admin: Arc<dyn QueueAdmin>,
    /// The same, cheap to ask.
    pub(super) own_ends: Arc<dyn QueueAdmin>,
    pub(super) sink: Arc<dyn SampleSink>,
    pub(super) source: Arc<dyn SampleSource>,
    /// How far the writer is.
    pub(super) progress: Progress,
}

/// Opens queue and store of the mode that the configuration says.
///
/// # Errors
/// Where one cannot be opened; says which and what to do.
pub(super) async fn open(
    config: &ServeConfig,
    data_dir: &Path,
    retention: &RetentionRules,
    skips: Vec<SkipTo>,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Backends> {
    let mode = Mode::of(config);
    match (mode.queue, mode.store) {
        (QueueBackend::Embedded, StorageBackend::Rocksdb) => single_node(config, data_dir, retention, lifecycle),
        (QueueBackend::Embedded, StorageBackend::Clickhouse) => {
            in_front_of_clickhouse(config, data_dir, lifecycle).await
        }
        (QueueBackend::Kafka, StorageBackend::Rocksdb) => {
            edge_node(config, data_dir, retention, skips, lifecycle).await
        }
        (QueueBackend::Kafka, StorageBackend::Clickhouse) => bail!("{mode} is a cluster, and not one process"),
    }
}

/// The embedded queue and the RocksDB store: nothing but this machine's disk.
pub(super) fn single_node(
    config: &ServeConfig,
    data_dir: &Path,
    retention: &RetentionRules,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Backends> {
    let queue = open_queue(config, data_dir, lifecycle)?;
    let store = open_store(config, data_dir, retention, lifecycle)?;
    // The queue's incarnation tells receipts of this installation from others.
    store.set_incarnation(queue.incarnation());
    let (sink, source) = (store.clone(), store);
    Ok(embedded(&queue, Box::new(queue.consumer()), sink, source, Progress::default()))
}

/// The embedded queue, whose commits hold the writer's intents, in front of ClickHouse.
async fn in_front_of_clickhouse(
    config: &ServeConfig,
    data_dir: &Path,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Backends> {
    let queue = open_queue(config, data_dir, lifecycle)?;
    let progress = Progress::default();
    let clickhouse = config.storage.clickhouse.clone();
    let hosts = Hosts::new(&clickhouse)?;
    hosts.show_in(lifecycle);
    let sink = Arc::new(ClickHouseSink::new(clickhouse.clone(), system_clock())?);
    let watermarks = OwnWatermarks::new(progress.clone(), Arc::new(queue.clone()));
    let source = ClickHouseSource::new(hosts, &clickhouse, Arc::new(watermarks))?;
    let (checked_sink, checked_queue) = (Arc::clone(&sink), queue.clone());
    let is_ready = async move {
        // As every service does: tables are made by `luminate migrate` alone, because others may share them.
        wait_until_migrated(&clickhouse).await?;
        check_queue_is_current(&checked_queue, checked_sink.as_ref()).await
    };
    let consumer = Box::new(queue.consumer());
    let consumer = gate::hold_back(consumer, lifecycle, "clickhouse-tables", is_ready).await?;
    Ok(embedded(&queue, consumer, sink, Arc::new(source), progress))
}

/// Refuses a queue that was put back from an older copy: it would give offsets to new samples that stored ones have, and what
/// carries the offsets of something stored counts as stored.
async fn check_queue_is_current(queue: &EmbeddedQueue, sink: &dyn IntentSink) -> anyhow::Result<()> {
    for (source, end) in queue.ends().await? {
        let last = loop {
            match sink.last_batch(&source).await {
                Err(error) if error.is_retryable() => tracing::warn!(%error, "ClickHouse does not tell what is stored"),
                told => break told?,
            }
            tokio::time::sleep(ASK_AGAIN).await;
        };
        if let Some(last) = last.filter(|last| *last >= end) {
            bail!(
                "ClickHouse has a batch of {source} that begins at offset {last}, and the queue ends at {end}: the queue was put \
                 back from an older copy. Begin with an empty data folder; what is stored stays"
            );
        }
    }
    Ok(())
}

/// Kafka, of which this process stores the assigned partitions in RocksDB. Its gateway writes to all of them.
async fn edge_node(
    config: &ServeConfig,
    data_dir: &Path,
    retention: &RetentionRules,
    skips: Vec<SkipTo>,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Backends> {
    let store = open_store(config, data_dir, retention, lifecycle)?;
    let assign = config.kafka.consumer.assign.iter();
    let assigned =
        assign.flat_map(|(topic, partitions)| partitions.iter().map(|partition| (topic.as_str(), *partition)));
    store.check_claim(&PartitionNames::of(assigned))?;

    let cluster = KafkaCluster::new(config.kafka.clone())?;
    let producer = Arc::new(KafkaProducer::new(&cluster)?);
    let (watched, closed) = (Arc::clone(&producer), Arc::clone(&producer));
    lifecycle.watch_dependency("kafka", move || watched.available());
    lifecycle.close_last("producer", move || closed.close());
    // The store knows where to continue; the group is told for those who look at its lag.
    let consumer = KafkaConsumer::start_with(&cluster, Commits::Hint)?;
    consumer.pulse().show_in(lifecycle);
    let own_ends = consumer.owned_ends();
    let database_is_claimed = claim(cluster.clone(), Arc::clone(&store), skips);
    let consumer = gate::hold_back(Box::new(consumer), lifecycle, "kafka-partitions", database_is_claimed).await?;
    let registry = HttpSchemaRegistry::from_config(&config.schema_registry)?;
    Ok(Backends {
        producer,
        consumer,
        dead_letters: Arc::new(KafkaDeadLetters::new(&cluster)?),
        schema_registry: registry.map(|registry| Arc::new(registry) as Arc<dyn SchemaRegistry>),
        admin: Arc::new(KafkaAdmin::of_assigned(&cluster)),
        own_ends: Arc::new(own_ends),
        sink: store.clone(),
        source: store,
        progress: Progress::default(),
    })
}

/// Makes the database belong to the assigned partitions, once brokers have told which they are.
async fn claim(cluster: KafkaCluster, store: Arc<RocksStore>, skips: Vec<SkipTo>) -> anyhow::Result<()> {
    let assigned = loop {
        match cluster.assigned_partitions().await {
            Ok(assigned) => break assigned,
            Err(error) => tracing::warn!(code = error.code(), %error, "the assigned partitions are not known yet"),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    };
    let owned = assigned.iter().map(|one| OwnedPartition { topic: one.topic.clone(), source: one.source });
    store.claim(owned.collect()).await?;
    skip::skip(&store, &assigned, &skips).await
}

/// What services see of the embedded queue in front of some store.
fn embedded(
    queue: &EmbeddedQueue,
    consumer: Box<dyn Consumer>,
    sink: Arc<dyn SampleSink>,
    source: Arc<dyn SampleSource>,
    progress: Progress,
) -> Backends {
    Backends {
        producer: Arc::new(queue.clone()),
        consumer,
        dead_letters: Arc::new(queue.clone()),
        // Only gateways write to the embedded queue, and they name no schema by a number.
        schema_registry: None,
        admin: Arc::new(queue.clone()),
        own_ends: Arc::new(queue.clone()),
        sink,
        source,
        progress,
    }
}

fn open_queue(config: &ServeConfig, data_dir: &Path, lifecycle: &Lifecycle) -> anyhow::Result<EmbeddedQueue> {
    let queue = EmbeddedQueue::open(&data_dir.join("queue"), &config.queue.embedded)?;
    watch::queue(lifecycle, &queue);
    Ok(queue)
}

fn open_store(
    config: &ServeConfig,
    data_dir: &Path,
    retention: &RetentionRules,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Arc<RocksStore>> {
    let folder = data_dir.join("store");
    let store = Arc::new(RocksStore::open(&folder, &config.storage.rocksdb, retention.clone(), system_clock())?);
    watch::store(lifecycle, &store);
    Ok(store)
}
