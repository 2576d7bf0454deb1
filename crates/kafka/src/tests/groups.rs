//! What happens when consumers share partitions, hand them over and lose them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use luminate_model::{Offset, Source};
use luminate_queue::{Assignment, Consumer, PartitionConsumer, Producer, QueueAdmin, QueueError};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{cluster, config, eventually, record, shared_brokers, tenant};
use crate::{KafkaCluster, KafkaConsumer, KafkaProducer};

type Partition = Box<dyn PartitionConsumer>;

pub(super) async fn given(consumer: &mut KafkaConsumer) -> Partition {
    match timeout(Duration::from_secs(30), consumer.assignment()).await.expect("an assignment").unwrap() {
        Assignment::Given(partition) => partition,
        Assignment::Revoked { source, .. } => panic!("{source} was revoked"),
    }
}

pub(super) async fn all_given(consumer: &mut KafkaConsumer, count: usize) -> Vec<Partition> {
    let mut partitions = Vec::new();
    while partitions.len() < count {
        partitions.push(given(consumer).await);
    }
    partitions.sort_by_key(|partition| partition.source());
    partitions
}

async fn revoked(consumer: &mut KafkaConsumer) -> (Source, oneshot::Sender<()>) {
    match timeout(Duration::from_secs(30), consumer.assignment()).await.expect("an assignment").unwrap() {
        Assignment::Revoked { source, done } => (source, done),
        Assignment::Given(partition) => panic!("{} was given", partition.source()),
    }
}

pub(super) async fn publish(cluster: &KafkaCluster, tenant: &str, count: usize) -> Source {
    let producer = KafkaProducer::new(cluster).unwrap();
    let records = (0..count).map(|number| record(tenant, format!("{number}"))).collect();
    let placements = producer.publish(records).await;
    placements.into_iter().map(|placement| placement.unwrap().source).next_back().unwrap()
}

fn take(partitions: &mut Vec<Partition>, source: Source) -> Partition {
    let at = partitions.iter().position(|partition| partition.source() == source).unwrap();
    partitions.remove(at)
}

/// A revocation waits for the open batch, whose intent and end can be committed meanwhile; the next owner finds them.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_waits_until_the_batch_is_settled() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let mut first = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut first, 3).await;
    let mut second = KafkaConsumer::start(&cluster).unwrap();
    let (source, done) = revoked(&mut first).await;
    let mut open = take(&mut partitions, source);
    // The group's protocol knows no hurry: nothing is given away while the first one is not done.
    assert!(timeout(Duration::from_secs(1), second.assignment()).await.is_err());
    open.commit(Offset(0), "{\"to\":5}").await.unwrap();
    drop(done);
    let taken_over = given(&mut second).await;
    assert_eq!(taken_over.source(), source);
    assert_eq!(
        (taken_over.committed().next, taken_over.committed().metadata.as_str()),
        (Some(Offset(0)), "{\"to\":5}")
    );
    // It is the other one's now.
    assert!(matches!(open.commit(Offset(0), "").await, Err(QueueError::Fenced(_))));
    assert!(matches!(open.poll(1000).await, Err(QueueError::Fenced(_))));
    // What stayed goes on without a break.
    partitions.first_mut().unwrap().commit(Offset(0), "").await.unwrap();
}

/// When one leaves, the other one gets its partitions, at the place that was committed last.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_leaves_another_takes_over() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let source = publish(&cluster, "a", 10).await;
    let mut first = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut first, 3).await;
    let mut partition = take(&mut partitions, source);
    partition.commit(Offset(4), "").await.unwrap();
    let mut second = KafkaConsumer::start(&cluster).unwrap();
    let leaving = tokio::task::spawn_blocking(move || drop(first));
    let mut partitions = all_given(&mut second, 3).await;
    leaving.await.unwrap();
    let records = take(&mut partitions, source).poll(1 << 20).await.unwrap();
    assert_eq!(records.first().unwrap().offset, Offset(4));
    assert!(matches!(partition.commit(Offset(5), "").await, Err(QueueError::Fenced(_) | QueueError::Closed)));
}

/// A consumer that holds a revoked partition too long does not hold up the group for ever, and cannot commit any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_does_not_wait_for_ever() {
    let mut config = config(shared_brokers().await);
    config.consumer.max_poll_interval = Duration::from_secs(6).into();
    let cluster = cluster(config).await;
    let mut first = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut first, 3).await;
    let mut second = KafkaConsumer::start(&cluster).unwrap();
    let (source, _done) = revoked(&mut first).await;
    assert_eq!(given(&mut second).await.source(), source);
    let refused = take(&mut partitions, source).commit(Offset(0), "").await;
    assert!(matches!(refused, Err(QueueError::Fenced(_))), "{refused:?}");
}

/// An edge node takes what its configuration names, whatever a group does, and nobody can fence it.
#[tokio::test(flavor = "multi_thread")]
async fn configured_partitions_are_taken_without_the_group() {
    let mut config = config(shared_brokers().await);
    config.consumer.assign.insert(config.topics.samples.clone(), vec![0, 2]);
    let cluster = cluster(config).await;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 2).await;
    assert_eq!(partitions.iter().map(|partition| partition.source().partition).collect::<Vec<_>>(), [0, 2]);
    assert!(partitions.iter().all(|partition| partition.session_timeout().is_none()));
    // Three tenants that reach all partitions.
    for tenant in ["a", "b", "c", "d", "e"] {
        publish(&cluster, tenant, 1).await;
    }
    for partition in &mut partitions {
        let records = timeout(Duration::from_secs(20), partition.poll(1)).await.expect("records").unwrap();
        partition.commit(records.last().unwrap().offset.next(), "noted").await.unwrap();
    }
    drop(tokio::task::spawn_blocking(move || drop(consumer)).await);
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let partitions = all_given(&mut consumer, 2).await;
    assert!(partitions.iter().all(|partition| partition.committed().metadata == "noted"));
}

/// A new tenant's topic is found, and its name says whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_topics_are_found_and_owned() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let shared = all_given(&mut consumer, 3).await;
    assert!(shared.iter().all(|partition| partition.owner().is_none()));
    super::apply_topics(&cluster, &[tenant("acme")]).await;
    let tenants = all_given(&mut consumer, 3).await;
    assert!(tenants.iter().all(|partition| partition.owner() == Some(&tenant("acme"))));
    assert!(tenants.iter().all(|partition| partition.session_timeout() == Some(Duration::from_secs(6))));
}

/// The group gives away a topic that the broker which is asked has not learnt of: its partitions wait until it has, and are read
/// from their beginning.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_a_broker_does_not_know_yet_is_read_later() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let ends = consumer.owned_ends();
    let shared = all_given(&mut consumer, 3).await;
    assert_eq!(ends.unopened(), 0);
    let topic = cluster.config().topics.tenant.replace("{tenant}", "acme");
    cluster.hidden().insert(topic.clone());
    // Another process has learnt of it.
    let elsewhere = KafkaCluster::new(cluster.config().clone()).unwrap();
    super::apply_topics(&elsewhere, &[tenant("acme")]).await;
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.config().brokers.join(",")).create().unwrap();
    let record = FutureRecord::<(), str>::to(&topic).partition(1).payload("first");
    let written = producer.send(record, Duration::from_secs(10)).await.unwrap();
    assert_eq!((written.partition, written.offset), (1, 0));
    eventually("its partitions wait", || async { ends.unopened() == 3 }).await;
    // The others are read and committed meanwhile.
    let source = publish(&cluster, "a", 1).await;
    let mut other = take(&mut { shared }, source);
    assert_eq!(other.poll(1).await.unwrap().len(), 1);
    other.commit(Offset(1), "").await.unwrap();
    assert_eq!(ends.ends().await.unwrap().len(), 3);
    cluster.hidden().clear();
    let mut tenants = all_given(&mut consumer, 3).await;
    assert!(tenants.iter().all(|partition| partition.owner() == Some(&tenant("acme"))));
    assert_eq!((ends.unopened(), ends.ends().await.unwrap().len()), (0, 6));
    let records = timeout(Duration::from_secs(20), tenants[1].poll(1)).await.expect("the first record").unwrap();
    assert_eq!((records[0].offset, records[0].value.as_ref()), (Offset(0), b"first".as_slice()));
}

/// What waits to be opened is taken away like everything else, and can be read by whoever gets it, also by the same one again.
#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_waits_can_be_taken_away_and_come_back() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let source = publish(&cluster, "a", 3).await;
    cluster.hidden().insert(cluster.config().topics.samples.clone());
    let mut first = KafkaConsumer::start(&cluster).unwrap();
    let ends = first.owned_ends();
    eventually("all wait", || async { ends.unopened() == 3 }).await;
    let elsewhere = KafkaCluster::new(cluster.config().clone()).unwrap();
    let mut second = KafkaConsumer::start(&elsewhere).unwrap();
    let mut partition = given(&mut second).await;
    eventually("one does not wait any more", || async { ends.unopened() == 2 }).await;
    partition.commit(Offset(0), "").await.unwrap();
    drop(partition);
    tokio::task::spawn_blocking(move || drop(second)).await.unwrap();
    eventually("all wait again", || async { ends.unopened() == 3 }).await;
    cluster.hidden().clear();
    let mut partitions = all_given(&mut first, 3).await;
    let records = timeout(Duration::from_secs(20), take(&mut partitions, source).poll(1)).await.expect("records");
    assert_eq!(records.unwrap()[0].offset, Offset(0));
}

/// Letting a consumer go takes until brokers have answered. The runtime's other tasks go on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dropping_a_consumer_holds_up_no_other_task() {
    let cluster = cluster(config(shared_brokers().await)).await;
    // It may be over before another task has its turn, but not each time.
    for _ in 0..5 {
        let mut consumer = KafkaConsumer::start(&cluster).unwrap();
        let partitions = all_given(&mut consumer, 3).await;
        let (begins, has_begun) = oneshot::channel();
        let is_dropped = Arc::new(AtomicBool::new(false));
        let other = tokio::spawn({
            let is_dropped = Arc::clone(&is_dropped);
            async move {
                has_begun.await.unwrap();
                is_dropped.load(Ordering::Acquire)
            }
        });
        let dropping = tokio::spawn(async move {
            begins.send(()).unwrap();
            drop((partitions, consumer));
            is_dropped.store(true, Ordering::Release);
        });
        let had_to_wait = other.await.unwrap();
        dropping.await.unwrap();
        if !had_to_wait {
            return;
        }
    }
    panic!("another task had to wait each time");
}

/// Partitions that nobody reads hold up no other, and the poll thread goes on turning.
#[tokio::test(flavor = "multi_thread")]
async fn an_unread_partition_holds_up_nothing() {
    let mut config = config(shared_brokers().await);
    config.consumer.prefetch = luminate_runtime::config::ByteSize::kib(256);
    config.producer.compression = crate::config::Compression::None;
    let cluster = cluster(config).await;
    let producer = KafkaProducer::new(&cluster).unwrap();
    let large = (0..512).map(|_| record("a", vec![1; 64 << 10])).collect();
    let unread = producer.publish(large).await.pop().unwrap().unwrap().source;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 3).await;
    let tenants = ["b", "c", "d", "e", "f"];
    let mut others = Vec::new();
    for tenant in tenants {
        others.push(publish(&cluster, tenant, 5).await);
    }
    let other = *others.iter().find(|source| **source != unread).unwrap();
    take(&mut partitions, other).poll(1).await.unwrap();
    let pulse = consumer.pulse();
    for _ in 0..10 {
        let began = std::time::Instant::now();
        eventually("the poll thread turns", || async { pulse.since_last_turn() < began.elapsed() }).await;
    }
    let first = take(&mut partitions, unread).poll(1).await.unwrap();
    assert_eq!(first.first().unwrap().offset, Offset(0));
}

/// What the group has committed is found by those who wait for it, however many they are; unknown topics are refused.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_waited_for() {
    use luminate_model::{Incarnation, Receipt};
    use luminate_storage::{ReachError, Watermarks};
    let cluster = cluster(config(shared_brokers().await)).await;
    let source = publish(&cluster, "a", 10).await;
    let watermarks = std::sync::Arc::new(crate::KafkaWatermarks::new(&cluster));
    let mut receipt = Receipt::default();
    receipt.add(source, Offset(10));
    let mut waiting: Vec<_> = (0..50)
        .map(|_| {
            let (watermarks, receipt) = (watermarks.clone(), receipt.clone());
            tokio::spawn(async move { watermarks.reach(&receipt).await })
        })
        .collect();
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partition = take(&mut all_given(&mut consumer, 3).await, source);
    partition.commit(Offset(9), "").await.unwrap();
    let mut earlier = Receipt::default();
    earlier.add(source, Offset(9));
    timeout(Duration::from_secs(20), watermarks.reach(&earlier)).await.expect("reached").unwrap();
    // The commit of 9 has been seen, so whoever took it for one of 10 is on its way.
    for waiting in waiting.iter_mut() {
        timeout(Duration::from_millis(20), waiting).await.expect_err("the receipt ends at 10");
    }
    partition.commit(Offset(10), "").await.unwrap();
    for waiting in waiting {
        timeout(Duration::from_secs(20), waiting).await.expect("reached").unwrap().unwrap();
    }
    let told = watermarks.watermark().await.unwrap();
    assert!(told.places().contains(&(source, Offset(10))) && told.places().len() == 3, "{told:?}");
    let elsewhere = Source { incarnation: Incarnation([9; 16]), ..source };
    let mut receipt = Receipt::default();
    receipt.add(elsewhere, Offset(1));
    assert_eq!(watermarks.reach(&receipt).await, Err(ReachError::OtherIncarnation(elsewhere)));
}

/// The text of a commit may have the length that an intent may have, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn commits_carry_four_kilobytes() {
    let cluster = cluster(config(shared_brokers().await)).await;
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partition = all_given(&mut consumer, 3).await.remove(0);
    let text = "x".repeat(4096);
    partition.commit(Offset(0), &text).await.unwrap();
    let refused = partition.commit(Offset(0), &"x".repeat(4097)).await;
    assert!(matches!(refused, Err(QueueError::Damaged(_))), "{refused:?}");
    drop(partition);
    tokio::task::spawn_blocking(move || drop(consumer)).await.unwrap();
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let partitions = all_given(&mut consumer, 3).await;
    eventually("the text is found", || async {
        partitions.iter().any(|partition| partition.committed().metadata == text)
    })
    .await;
}
