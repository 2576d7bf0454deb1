//! Brokers that go and come, a broken client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use luminate_auth::Secret;
use luminate_queue::{Producer, PublishError, QueueAdmin};
use luminate_tests::engines::{Kafka, KafkaOptions};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::timeout;

use super::groups::all_given;
use super::{cluster, config, eventually, record};
use crate::config::SaslMechanism;
use crate::context::BrokerHealth;
use crate::delivery::{Deliveries, Outgoing};
use crate::error::blocking;
use crate::producer::publish_error;
use crate::settings::Settings;
use crate::{KafkaCluster, KafkaConfig, KafkaConsumer, KafkaProducer};

pub(super) async fn start(options: KafkaOptions) -> Arc<Kafka> {
    Arc::new(tokio::task::spawn_blocking(|| Kafka::start(options)).await.unwrap())
}

async fn on(kafka: &Arc<Kafka>, action: impl FnOnce(&Kafka) + Send + 'static) {
    let kafka = Arc::clone(kafka);
    tokio::task::spawn_blocking(move || action(&kafka)).await.unwrap();
}

pub(super) fn brokers(kafka: &Kafka) -> Vec<String> {
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
    // Known to be away, it answers at once: not after the delivery time-out of 3 s.
    let answered = timeout(Duration::from_secs(2), producer.publish(vec![record("a", "lost")])).await;
    assert!(matches!(answered.unwrap().remove(0), Err(PublishError::Unavailable { .. })));
    on(&kafka, |kafka| kafka.start_node(1)).await;
    eventually("records are taken again", || async {
        producer.publish(vec![record("a", "again")]).await.remove(0).is_ok()
    })
    .await;
    assert!(producer.available().is_ok());
}

/// The broker and the client disagree about what was sent: nobody knows any more what is stored. What was on its way is unknown,
/// and a new client takes what comes next, without anything being started again.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_fatal_error_what_was_in_flight_is_unknown_and_a_new_client_goes_on() {
    let brokers = MockCluster::new(1).unwrap();
    brokers.create_topic("samples", 1, 1).unwrap();
    let mut config = config(vec![brokers.bootstrap_servers()]);
    // What is sent at once travels at once.
    config.producer.linger = Duration::from_millis(50).into();
    let deliveries = Deliveries::new(Settings::new(&config).producer(1000), BrokerHealth::default()).unwrap();
    let send_ten = async || {
        let send = |number: u8| {
            let outgoing =
                Outgoing { topic: "samples", partition: 0, key: b"a/0", headers: &[], value: Some(&[number]) };
            deliveries.send(&outgoing).unwrap()
        };
        let sent: Vec<_> = (0..10).map(send).collect();
        let mut delivered = Vec::new();
        for receiver in sent {
            delivered.push(receiver.await.unwrap());
        }
        delivered
    };
    for round in 0..3 {
        let acknowledged = send_ten().await;
        assert!(acknowledged.iter().all(Result::is_ok), "round {round}: {acknowledged:?}");
        let disagrees = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        brokers.request_errors(RDKafkaApiKey::Produce, &[disagrees]);
        for delivered in send_ten().await {
            let error = publish_error(&delivered.unwrap_err(), 1, 1);
            assert!(matches!(error, PublishError::Unknown { .. }), "round {round}: {error}");
        }
    }
}

/// A partition whose only copy is away holds up no other: those are opened, read, and told the ends of. It is opened when the
/// broker is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_holds_up_no_other() {
    let kafka = start(KafkaOptions { nodes: 3, ..KafkaOptions::default() }).await;
    let mut config = config(brokers(&kafka));
    // Longer than it takes until another broker coordinates the group.
    config.consumer.session_timeout = Duration::from_secs(45).into();
    config.consumer.max_poll_interval = Duration::from_secs(60).into();
    let cluster = cluster(config).await;
    let producer = KafkaProducer::new(&cluster).unwrap();
    let topic = cluster.config().topics.samples.clone();
    let leader_of = |partition: u32| {
        let (cluster, topic) = (cluster.clone(), topic.clone());
        blocking(move || cluster.leaders().map(|leaders| leaders.get(&(topic, partition)).copied()))
    };
    let gone = 0;
    let leader = usize::try_from(leader_of(gone).await.unwrap().unwrap()).unwrap();
    on(&kafka, move |kafka| kafka.kill_node(leader)).await;
    eventually("the partition has no leader", || async { leader_of(gone).await.is_ok_and(|leader| leader.is_none()) })
        .await;

    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let ends = consumer.owned_ends();
    let mut others = all_given(&mut consumer, 2).await;
    assert!(others.iter().all(|partition| partition.source().partition != gone));
    assert_eq!(ends.unopened(), 1);
    // So many tenants that one of them has its place on a partition that is there.
    let records = ["a", "b", "c", "d", "e", "f"].map(|tenant| record(tenant, "here"));
    let published = timeout(Duration::from_secs(30), producer.publish(records.into())).await.expect("an answer");
    let placement = published.into_iter().find_map(Result::ok);
    let source = placement.expect("one tenant's place is there").source;
    let other = others.iter_mut().find(|partition| partition.source() == source).unwrap();
    assert!(!timeout(Duration::from_secs(20), other.poll(1)).await.expect("records").unwrap().is_empty());
    eventually("its end is told", || async { other.end() > luminate_model::Offset(0) }).await;
    let refused = QueueAdmin::ends(&crate::KafkaAdmin::new(&cluster)).await.unwrap_err();
    assert!(refused.to_string().contains(&format!("{topic}/{gone}")), "{refused}");

    on(&kafka, move |kafka| kafka.start_node(leader)).await;
    assert_eq!(all_given(&mut consumer, 1).await[0].source().partition, gone);
    assert_eq!(ends.unopened(), 0);
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
    let load = Arc::new(Load::default());
    let publishing: Vec<_> = ["a", "b", "c", "d"]
        .into_iter()
        .map(|tenant| tokio::spawn(publish(Arc::clone(&producer), Arc::clone(&load), tenant)))
        .collect();
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let partitions = all_given(&mut consumer, 3).await;
    load.goes_on().await;
    on(&kafka, |kafka| kafka.kill_node(2)).await;
    load.goes_on().await;
    on(&kafka, |kafka| kafka.start_node(2)).await;
    load.goes_on().await;
    load.enough.store(true, Ordering::Release);
    let mut outcomes = BTreeMap::new();
    for task in publishing {
        outcomes.extend(task.await.unwrap());
    }

    // A last record of each partition tells where its end is.
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let ends = QueueAdmin::ends(&crate::KafkaAdmin::new(&cluster)).await.unwrap();
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

/// How far those are that publish without a pause.
#[derive(Default)]
struct Load {
    enough: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Load {
    /// Waits until some hundred more records are acknowledged.
    async fn goes_on(&self) {
        let wanted = self.acknowledged.load(Ordering::Acquire) + 400;
        eventually("the load goes on", || async { self.acknowledged.load(Ordering::Acquire) >= wanted }).await;
    }
}

async fn publish(producer: Arc<KafkaProducer>, load: Arc<Load>, tenant: &'static str) -> Outcomes {
    let mut outcomes: Outcomes = Vec::new();
    while !load.enough.load(Ordering::Acquire) {
        let values: Vec<String> = (0..4).map(|number| format!("{tenant}-{}", outcomes.len() + number)).collect();
        let records = values.iter().map(|value| record(tenant, value.clone())).collect();
        let results = producer.publish(records).await;
        load.acknowledged.fetch_add(results.iter().filter(|result| result.is_ok()).count(), Ordering::AcqRel);
        outcomes.extend(values.into_iter().zip(results));
    }
    outcomes
}
