//! Topics that were made again, records that are gone, positions that are nowhere.

use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::{PartitionConsumer, Producer, QueueError};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, TopicPartitionList};
use tokio::time::timeout;

use super::groups::{all_given, publish};
use super::{apply_topics, cluster, config, eventually, record, shared_brokers, until_ready};
use crate::{KafkaCluster, KafkaConsumer, KafkaProducer};

fn admin(cluster: &KafkaCluster) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", cluster.config().brokers.join(",")).create().unwrap()
}

async fn make_again(cluster: &KafkaCluster) {
    let topic = cluster.config().topics.samples.clone();
    let deleted = admin(cluster).delete_topics(&[topic.as_str()], &AdminOptions::new()).await.unwrap();
    deleted.into_iter().for_each(|result| drop(result.unwrap()));
    eventually("the topic is gone", || async { cluster.ready().await.is_err() }).await;
    apply_topics(cluster, &[]).await;
    until_ready(cluster).await;
}

/// Has the retention remove what lies before an offset.
async fn remove_before(cluster: &KafkaCluster, partition: u32, offset: i64) {
    let mut list = TopicPartitionList::new();
    let topic = cluster.config().topics.samples.clone();
    list.add_partition_offset(&topic, partition as i32, rdkafka::Offset::Offset(offset)).unwrap();
    admin(cluster).delete_records(&list, &AdminOptions::new()).await.unwrap();
}

async fn poll(partition: &mut dyn PartitionConsumer) -> Result<usize, QueueError> {
    let polled = timeout(Duration::from_secs(30), partition.poll(1 << 20)).await.expect("an answer");
    polled.map(|records| records.len())
}

/// A topic that was made again has another id. Its records are not taken for those of the former one, by readers or producers.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_again_is_noticed() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let producer = KafkaProducer::new(&cluster).unwrap();
    let before = producer.publish((0..10).map(|_| record("a", "before")).collect()).await.pop().unwrap().unwrap();
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 3).await;
    let at = partitions.iter().position(|partition| partition.source() == before.source).unwrap();
    let mut partition = partitions.remove(at);
    assert_eq!(poll(partition.as_mut()).await.unwrap(), 10);
    make_again(&cluster).await;
    let after = loop {
        match producer.publish(vec![record("a", "after")]).await.remove(0) {
            Ok(placement) => break placement,
            Err(error) => tracing::info!(%error, "not yet"),
        }
    };
    assert_ne!(after.source.incarnation, before.source.incarnation, "a placement names the topic that holds it");
    assert_eq!(after.source.partition, before.source.partition);
    // The reader has stopped, or the group has taken the partition away while the topic was gone.
    let stopped = poll(partition.as_mut()).await.unwrap_err();
    assert!(matches!(stopped, QueueError::TopicMadeAgain { .. } | QueueError::Fenced(_)), "{stopped}");
}

/// Where the retention has removed records that were not read, the reader stops and says where the partition begins.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_gone_are_noticed() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let source = publish(&cluster, "a", 10).await;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 3).await;
    let at = partitions.iter().position(|partition| partition.source() == source).unwrap();
    let mut partition = partitions.remove(at);
    partition.commit(Offset(2), "").await.unwrap();
    drop((partition, partitions));
    tokio::task::spawn_blocking(move || drop(consumer)).await.unwrap();

    remove_before(&cluster, source.partition, 5).await;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 3).await;
    let partition = partitions.iter_mut().find(|partition| partition.source() == source).unwrap();
    let gone = poll(partition.as_mut()).await.unwrap_err();
    assert!(
        matches!(gone, QueueError::OutOfRange { wanted: Offset(2), begin: Offset(5), place } if place == source),
        "{gone}"
    );
    // Records that come now are not read either, as long as nobody says so.
    publish(&cluster, "a", 1).await;
    assert!(poll(partition.as_mut()).await.is_err());
    assert!(matches!(partition.seek(Offset(4)).await, Err(QueueError::OutOfRange { .. })));
    partition.seek(Offset(5)).await.unwrap();
    assert!(poll(partition.as_mut()).await.unwrap() > 0);
}

/// The same while it reads: what was fetched ahead comes first, then the end of it. So it shows also that no more was fetched ahead
/// than the bound and one more fetch.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_go_while_they_are_read_are_noticed() {
    let mut config = config(shared_brokers().await);
    config.consumer.prefetch = luminate_runtime::config::ByteSize::kib(64);
    config.producer.compression = crate::config::Compression::None;
    let cluster = cluster(config).await;
    let producer = KafkaProducer::new(&cluster).unwrap();
    let mut source = None;
    for _ in 0..100 {
        // One after the other: a batch of records is fetched as a whole.
        source = producer.publish(vec![record("a", vec![0; 32 << 10])]).await.pop().unwrap().ok();
    }
    let source = source.unwrap().source;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 3).await;
    let partition = partitions.iter_mut().find(|partition| partition.source() == source).unwrap();
    assert_eq!(timeout(Duration::from_secs(20), partition.poll(1)).await.expect("a record").unwrap().len(), 1);
    remove_before(&cluster, source.partition, 95).await;
    let mut next = 1;
    let gone = loop {
        match timeout(Duration::from_secs(30), partition.poll(1)).await.expect("an answer") {
            Ok(records) => {
                assert_eq!(records.first().unwrap().offset, Offset(next), "nothing is skipped");
                next += 1;
            }
            Err(error) => break error,
        }
    };
    assert!(
        matches!(gone, QueueError::OutOfRange { wanted, begin: Offset(95), .. } if wanted == Offset(next)),
        "{gone}"
    );
    let (record_bytes, prefetch) = (32 << 10, 64 << 10);
    assert!(next * record_bytes <= 4 * prefetch, "{next} records were there");
}
