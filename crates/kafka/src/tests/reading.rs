//! Batches that cannot be read, ends that no record comes before.

use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::{PartitionConsumer, QueueError};
use luminate_tests::engines::KafkaOptions;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::brokers::{brokers, start};
use super::groups::all_given;
use super::{apply_topics, cluster, config, eventually, shared_brokers, tenant};
use crate::topics::Topic;
use crate::{KafkaConsumer, history};

fn producer(brokers: &[String], settings: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers.join(","));
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

/// Less than a hundred kilobytes that inflate to 80 MiB: no writer takes that into its memory. Brokers compress it again in the one way
/// that librdkafka bounds; the partition stops, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_inflates_beyond_all_bounds_stops_its_partition() {
    // Brokers have the inflated batch in memory while they compress it again, and refuse what their heap does not hold.
    let kafka = start(KafkaOptions { heap_mib: 1024, ..KafkaOptions::default() }).await;
    let cluster = cluster(config(brokers(&kafka))).await;
    apply_topics(&cluster, &[tenant("acme")]).await;
    let topic = cluster.config().topics.tenant.replace("{tenant}", "acme");
    let settings = [
        ("compression.codec", "gzip"),
        ("linger.ms", "10000"),
        ("batch.size", "1000000000"),
        ("message.max.bytes", "1000000000"),
        ("acks", "all"),
    ];
    let producer = producer(&cluster.config().brokers, &settings);
    let before = FutureRecord::<(), str>::to(&topic).partition(0).payload("before");
    let before = producer.send_result(before).unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    assert_eq!(before.await.unwrap().map_err(|(error, _)| error).unwrap().offset, 0);
    let zeros = vec![0_u8; 1 << 20];
    let bomb: Vec<_> = (0..80)
        .map(|_| producer.send_result(FutureRecord::<(), [u8]>::to(&topic).partition(0).payload(&zeros)).unwrap())
        .collect();
    producer.flush(Duration::from_secs(60)).unwrap();
    for written in bomb {
        let written = written.await.unwrap().map_err(|(error, _)| error);
        assert!(written.unwrap().offset > 0);
    }
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 6).await;
    let is_first_of_acme =
        |one: &dyn PartitionConsumer| one.owner() == Some(&tenant("acme")) && one.source().partition == 0;
    let partition = partitions.iter_mut().find(|one| is_first_of_acme(one.as_ref())).unwrap();
    let records = timeout(Duration::from_secs(20), partition.poll(1 << 20)).await.expect("a record").unwrap();
    assert_eq!(records[0].value.as_ref(), b"before");
    let damaged = timeout(Duration::from_secs(20), partition.poll(1 << 20)).await.expect("an answer").unwrap_err();
    let text = damaged.to_string();
    assert!(matches!(damaged, QueueError::Damaged(_)) && text.contains("offset 1 of"), "{text}");
    // An operator may look again and again.
    assert!(matches!(partition.poll(1 << 20).await, Err(QueueError::Damaged(_))));
}

/// After the last record of a transaction stands a marker, which nobody reads: reading to the end is done before it.
#[tokio::test(flavor = "multi_thread")]
async fn markers_of_transactions_are_no_records_to_wait_for() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let topic = cluster.describe(&[cluster.config().topics.samples.clone()]).unwrap();
    let topic = Topic::clone(topic.named(&cluster.config().topics.samples).unwrap());
    let id = format!("{}-transactions", topic.name);
    let producer = producer(&cluster.config().brokers, &[("transactional.id", &id)]);
    let source = topic.source(0);
    let written = tokio::task::spawn_blocking({
        let name = topic.name.clone();
        move || {
            producer.init_transactions(Duration::from_secs(30)).unwrap();
            producer.begin_transaction().unwrap();
            let record = FutureRecord::<(), str>::to(&name).partition(0).payload("record");
            drop(producer.send_result(record).unwrap());
            producer.commit_transaction(Duration::from_secs(30)).unwrap();
        }
    });
    written.await.unwrap();
    let place = (topic.name.clone(), 0);
    eventually("a record and a marker are there", || async { cluster.end(&place).unwrap() == Offset(2) }).await;
    let (sender, mut records) = mpsc::channel(1);
    let began = tokio::time::Instant::now();
    let reading =
        tokio::task::spawn_blocking(move || history::read(&cluster, &topic, source, (Offset(0), Offset(2)), &sender));
    assert_eq!(records.recv().await.unwrap().unwrap().offset, Offset(0));
    assert!(records.recv().await.is_none());
    reading.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20), "it waited for the marker: {:?}", began.elapsed());
}
