//! Brokers that go and come, passwords, a broken client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use luminate_auth::Secret;
use luminate_queue::{Producer, PublishError};
use luminate_tests::engines::{Kafka, KafkaOptions};
use tokio::time::timeout;

use super::groups::all_given;
use super::{cluster, config, eventually, record, shared_brokers};
use crate::config::SaslMechanism;
use crate::{KafkaCluster, KafkaConfig, KafkaConsumer, KafkaProducer};

async fn start(options: KafkaOptions) -> Arc<Kafka> {
    Arc::new(tokio::task::spawn_blocking(|| Kafka::start(options)).await.unwrap())
}

async fn on(kafka: &Arc<Kafka>, action: impl FnOnce(&Kafka) + Send + 'static) {
    let kafka = Arc::clone(kafka);
    tokio::task::spawn_blocking(move || action(&kafka)).await.unwrap();
}

fn brokers(kafka: &Kafka) -> Vec<String> {
    kafka.brokers().split(',').map(str::to_owned).collect()
}

fn logged_in(kafka: &Kafka, password: &str) -> KafkaConfig {
    let mut config = config(brokers(kafka));
    config.sasl.mechanism = SaslMechanism::ScramSha256;
    config.sasl.username = Some("admin".to_owned());
    config.sasl.password = Some(Secret::new(password).into());
    config
}

/// One has to log in; while the broker is away records are refused soon, and taken again when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_passwords_goes_and_comes() {
    let users = vec![("admin".to_owned(), "admin-password".to_owned())];
    let kafka = start(KafkaOptions { users, ..KafkaOptions::default() }).await;
    let stranger = KafkaCluster::new(logged_in(&kafka, "no-password")).unwrap();
    assert!(stranger.ready().await.is_err());

    let mut config = logged_in(&kafka, "admin-password");
    config.producer.delivery_timeout = Duration::from_secs(3).into();
    let cluster = cluster(config).await;
    let producer = KafkaProducer::new(&cluster).unwrap();
    producer.publish(vec![record("a", "first")]).await.remove(0).unwrap();
    on(&kafka, |kafka| kafka.kill_node(1)).await;
    let answered = timeout(Duration::from_secs(10), producer.publish(vec![record("a", "lost")])).await;
    let refused = answered.expect("an answer within the delivery time-out").remove(0).unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable { .. } | PublishError::Unknown { .. }), "{refused}");
    eventually("the producer says so", || async { producer.available().is_err() }).await;
    // Known to be away, it answers at once.
    let answered = timeout(Duration::from_millis(500), producer.publish(vec![record("a", "lost")])).await;
    assert!(matches!(answered.unwrap().remove(0), Err(PublishError::Unavailable { .. })));
    on(&kafka, |kafka| kafka.start_node(1)).await;
    eventually("records are taken again", || async {
        producer.publish(vec![record("a", "again")]).await.remove(0).is_ok()
    })
    .await;
    assert!(producer.available().is_ok());
}

/// After a fatal error there is a new client, and nothing has to be started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_client_is_replaced() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let producer = KafkaProducer::new(&cluster).unwrap();
    let first = producer.publish(vec![record("a", "first")]).await.remove(0).unwrap();
    producer.break_client();
    let second = producer.publish(vec![record("a", "second")]).await.remove(0).unwrap();
    assert_eq!((second.source, second.offset), (first.source, first.offset.next()));
}

/// A broker of three is killed under load, and comes back: every acknowledged record is there once, at its place; what was
/// answered as unknown is there once at most, what was refused is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_loses_and_doubles_nothing() {
    let kafka = start(KafkaOptions { nodes: 3, ..KafkaOptions::default() }).await;
    let mut config = config(brokers(&kafka));
    config.topics.replication = Some(3);
    config.topics.min_insync_replicas = Some(2);
    config.producer.delivery_timeout = Duration::from_secs(20).into();
    // Longer than it takes until another broker coordinates the group.
    config.consumer.session_timeout = Duration::from_secs(45).into();
    config.consumer.max_poll_interval = Duration::from_secs(60).into();
    let cluster = cluster(config).await;
    let producer = Arc::new(KafkaProducer::new(&cluster).unwrap());
    let enough = Arc::new(AtomicBool::new(false));
    let publishing: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|tenant| tokio::spawn(publish_until(Arc::clone(&producer), Arc::clone(&enough), tenant)))
        .collect();
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let partitions = all_given(&mut consumer, 3).await;
    on(&kafka, |kafka| kafka.kill_node(2)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    on(&kafka, |kafka| kafka.start_node(2)).await;
    enough.store(true, Ordering::Release);
    let mut outcomes = BTreeMap::new();
    for task in publishing {
        outcomes.extend(task.await.unwrap());
    }
    let acknowledged = outcomes.values().filter(|outcome| outcome.is_ok()).count();
    assert!(acknowledged > 100, "{acknowledged} records were acknowledged");

    // A last record of each partition tells where its end is.
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let ends = luminate_queue::QueueAdmin::ends(&crate::KafkaAdmin::new(&cluster)).await.unwrap();
    for mut partition in partitions {
        let end = ends.iter().find(|(source, _)| *source == partition.source()).unwrap().1;
        let mut next = luminate_model::Offset(0);
        while next < end {
            for record in timeout(Duration::from_secs(30), partition.poll(1 << 20)).await.expect("records").unwrap() {
                next = record.offset.next();
                let value = String::from_utf8(record.value.to_vec()).unwrap();
                found.entry(value).or_default().push((partition.source(), record.offset));
            }
        }
    }
    for (value, outcome) in &outcomes {
        let places = found.remove(value).unwrap_or_default();
        match outcome {
            Ok(placement) => assert_eq!(places, [(placement.source, placement.offset)], "{value}"),
            Err(PublishError::Unknown { .. }) => assert!(places.len() <= 1, "{value}: {places:?}"),
            Err(error) => assert!(places.is_empty(), "{value}: {error}, {places:?}"),
        }
    }
    assert!(found.is_empty(), "{found:?}");
}

type Outcomes = Vec<(String, Result<luminate_queue::Placement, PublishError>)>;

async fn publish_until(producer: Arc<KafkaProducer>, enough: Arc<AtomicBool>, tenant: &'static str) -> Outcomes {
    let mut outcomes = Vec::new();
    while !enough.load(Ordering::Acquire) {
        let values: Vec<String> = (0..4).map(|number| format!("{tenant}-{}", outcomes.len() + number)).collect();
        let records = values.iter().map(|value| record(tenant, value.clone())).collect();
        outcomes.extend(values.into_iter().zip(producer.publish(records).await));
    }
    outcomes
}
