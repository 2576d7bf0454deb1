//! Order, results, bounds.

use std::collections::BTreeSet;

use super::{
    MAX_BYTES, MAX_RECORD_BYTES, PARTITIONS, QueueFactory, numbered, of, offsets, partitions, publish, read, record,
    soon,
};
use crate::{PublishError, partition_of};

/// Records of one key go to the partition of that key, in the order in which they were published.
pub async fn records_of_a_key_share_a_partition_and_keep_their_order(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let mut mixed = Vec::new();
    for number in 0..10 {
        for tenant in ["a", "b", "c", "d", "e"] {
            mixed.extend(numbered(tenant, number..number + 1));
        }
    }
    let placements = publish(queue.producer.as_ref(), mixed.clone()).await;
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    for partition in &mut partitions {
        let source = partition.source();
        let expected: Vec<_> = mixed
            .iter()
            .zip(&placements)
            .filter(|(record, _)| partition_of(&record.key.to_bytes(), PARTITIONS) == source.partition)
            .collect();
        assert!(!expected.is_empty(), "the tenants reach every partition");
        let read = read(partition.as_mut(), expected.len()).await;
        for ((record, placement), read) in expected.into_iter().zip(read) {
            assert_eq!((placement.source, placement.offset), (source, read.offset));
            assert_eq!((&record.value, &record.key.to_bytes()), (&read.value, &read.key.to_vec()));
        }
    }
}

/// A record that is too large is refused, and those beside it are not.
pub async fn every_record_has_its_own_result(factory: &mut impl QueueFactory) {
    let queue = factory.open().await;
    let too_large = record("a", vec![7; MAX_RECORD_BYTES + 1]);
    let results = soon(queue.producer.publish(vec![record("a", "one"), too_large, record("a", "two")])).await;
    let [first, refused, second] = results.try_into().expect("one result a record");
    assert_eq!(first.unwrap().offset.next(), second.unwrap().offset);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "record_too_large");
    assert!(matches!(refused, PublishError::TooLarge { limit: MAX_RECORD_BYTES, .. }));
}

/// A queue that holds as much as it may says so, and takes records again once some were committed.
pub async fn a_full_queue_refuses_until_records_are_committed(factory: &mut impl QueueFactory) {
    if factory.is_service() {
        return a_full_buffer_refuses_until_records_are_sent(factory).await;
    }
    let mut queue = factory.open().await;
    let large = || vec![record("a", vec![1; 8 << 10])];
    let mut published = 0;
    let error = loop {
        assert!(published * (8 << 10) < 2 * MAX_BYTES, "the queue never fills");
        match soon(queue.producer.publish(large())).await.remove(0) {
            Ok(_) => published += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, PublishError::Full { .. }), "{error}");
    assert!(published * (8 << 10) > MAX_BYTES / 2, "the queue fills with {published} records");
    assert!(queue.producer.available().is_ok(), "a full queue is no broken queue");
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let source = publish_source(published, &mut partitions).await;
    let partition = of(&mut partitions, source);
    let last = read(partition, published).await.pop().unwrap();
    partition.commit(last.offset.next(), "").await.unwrap();
    publish(queue.producer.as_ref(), large()).await;
}

/// The same for a queue that is a service: records that come faster than they are sent are refused one by one, and those
/// that were taken are read once each.
async fn a_full_buffer_refuses_until_records_are_sent(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let many = (0..16 * MAX_BYTES / (8 << 10)).map(|_| record("a", vec![1; 8 << 10])).collect();
    let results = soon(queue.producer.publish(many)).await;
    let (taken, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert!(taken.len() * (8 << 10) > MAX_BYTES / 2, "{} records were taken", taken.len());
    assert!(!refused.is_empty(), "the buffer never fills");
    let refused: Vec<_> = refused.into_iter().filter_map(Result::err).collect();
    assert!(refused.iter().all(|error| matches!(error, PublishError::Full { .. })), "{refused:?}");
    assert!(queue.producer.available().is_ok(), "a full queue is no broken queue");
    let last = publish(queue.producer.as_ref(), vec![record("a", "after")]).await[0];
    assert_eq!(last.offset.0, taken.len() as u64, "what was refused was not stored");
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    read(of(&mut partitions, last.source), taken.len() + 1).await;
}

/// The partition that holds `records` records.
async fn publish_source(
    records: usize,
    partitions: &mut [Box<dyn crate::PartitionConsumer>],
) -> luminate_model::Source {
    let full = partitions.iter().find(|partition| partition.end().0 == records as u64);
    full.expect("the partition of the tenant").source()
}

/// Many publishers at once: every record has an offset of its own, and there is no gap.
pub async fn concurrent_publishers_share_the_offsets(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    let mut publishing = tokio::task::JoinSet::new();
    for publisher in 0..16 {
        let producer = queue.producer.clone();
        publishing.spawn(async move {
            let mut placements = Vec::new();
            for round in 0..10 {
                let number = publisher * 100 + round;
                placements.extend(publish(producer.as_ref(), numbered("a", number..number + 2)).await);
            }
            placements
        });
    }
    let placements: Vec<_> = soon(publishing.join_all()).await.concat();
    let taken: BTreeSet<_> = offsets(&placements).into_iter().collect();
    assert_eq!(taken, (0..320).collect());
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let read = read(of(&mut partitions, placements[0].source), 320).await;
    assert!(read.iter().map(|record| record.offset.0).eq(0..320));
}

/// A publisher that goes away does not take its records back.
pub async fn dropping_the_future_takes_nothing_back(factory: &mut impl QueueFactory) {
    let mut queue = factory.open().await;
    {
        let mut publishing = queue.producer.publish(numbered("a", 0..1));
        // One poll hands the record over.
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(publishing.as_mut().poll(context))).await;
    }
    let placement = publish(queue.producer.as_ref(), numbered("a", 1..2)).await[0];
    assert_eq!(placement.offset.0, 1);
    let mut partitions = partitions(queue.consumer.as_mut()).await;
    let read = read(of(&mut partitions, placement.source), 2).await;
    assert_eq!((read[0].value.as_ref(), read[1].value.as_ref()), (&b"a-0"[..], &b"a-1"[..]));
}
