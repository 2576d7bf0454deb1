//! What the suite does not ask: the faults, and taking partitions away.

use luminate_model::TenantId;

use super::*;
use crate::{Consumer as _, RecordKey};

#[allow(clippy::disallowed_methods)]
fn record(value: &'static str) -> Record {
    let key = RecordKey { tenant: TenantId::parse("acme").unwrap(), shard: 0 };
    Record { key, headers: Vec::new(), value: value.into() }
}

fn one_partition() -> MemoryQueue {
    MemoryQueue::new(MemoryQueueConfig { partitions: 1, ..MemoryQueueConfig::default() })
}

async fn given(consumer: &mut MemoryConsumer) -> Box<dyn crate::PartitionConsumer> {
    match consumer.assignment().await.unwrap() {
        Assignment::Given(partition) => partition,
        Assignment::Revoked { .. } => panic!("revoked"),
    }
}

#[tokio::test]
async fn each_fault_hits_one_record() {
    let queue = one_partition();
    for fault in [PublishFault::Full, PublishFault::Unavailable, PublishFault::UnknownStored, PublishFault::UnknownLost]
    {
        queue.fail_publish(1, fault);
    }
    let results = queue.publish(vec![record("a"), record("b"), record("c"), record("d"), record("e")]).await;
    let codes: Vec<_> = results.iter().map(|result| result.as_ref().map_err(PublishError::code)).collect();
    let placed = Placement { source: queue.source(0), offset: Offset(1) };
    let unknown = Err("queue_outcome_unknown");
    assert_eq!(codes, [Err("queue_full"), Err("queue_unavailable"), unknown, unknown, Ok(&placed)]);
    let mut partition = given(&mut queue.consumer()).await;
    let values: Vec<_> = partition.poll(1000).await.unwrap().into_iter().map(|record| record.value).collect();
    assert_eq!(values, ["c", "e"]);
}

#[tokio::test]
async fn held_acknowledgements_come_when_they_are_let_go() {
    let queue = one_partition();
    let held = queue.hold_acknowledgements();
    let publishing = tokio::spawn({
        let queue = queue.clone();
        async move { queue.publish(vec![record("a")]).await }
    });
    let mut partition = given(&mut queue.consumer()).await;
    assert_eq!(partition.poll(1000).await.unwrap().len(), 1, "stored though nobody was answered");
    assert!(!publishing.is_finished());
    drop(held);
    assert!(publishing.await.unwrap()[0].is_ok());
}

#[tokio::test]
async fn a_revoked_partition_can_be_given_again() {
    let queue = one_partition();
    let mut consumer = queue.consumer();
    drop(given(&mut consumer).await);
    let revoking = tokio::spawn({
        let queue = queue.clone();
        async move { queue.revoke(0).await }
    });
    match consumer.assignment().await.unwrap() {
        Assignment::Revoked { source, done } => {
            assert_eq!(source, queue.source(0));
            assert!(!revoking.is_finished());
            drop(done);
        }
        Assignment::Given(_) => panic!("given"),
    }
    revoking.await.unwrap();
    queue.give(0);
    given(&mut consumer).await;
}

#[tokio::test]
async fn failures_that_were_asked_for_come_once() {
    let queue = one_partition();
    queue.publish(vec![record("a")]).await;
    let mut partition = given(&mut queue.consumer()).await;
    queue.fail_polls(1);
    queue.fail_commits(1);
    queue.fail_dead_letters(1);
    assert!(partition.poll(10).await.unwrap_err().is_retryable());
    assert_eq!(partition.poll(10).await.unwrap().len(), 1);
    assert!(partition.commit(Offset(1), "").await.is_err());
    assert_eq!(queue.committed(0).next, None);
    assert!(partition.commit(Offset(1), "").await.is_ok());
    assert_eq!(queue.committed(0).next, Some(Offset(1)));
    assert!(crate::DeadLetters::put(&queue, Vec::new()).await.is_err());
    assert!(crate::DeadLetters::put(&queue, Vec::new()).await.is_ok());
    assert_eq!(queue.bytes(), 0);
}

mod conformance {
    use super::*;
    use crate::conformance::{self, Ending, OpenQueue, QueueFactory};

    struct Factory(MemoryQueue);

    impl Factory {
        fn new() -> Self {
            Self(MemoryQueue::new(MemoryQueueConfig {
                partitions: conformance::PARTITIONS,
                max_bytes: conformance::MAX_BYTES,
                max_record_bytes: conformance::MAX_RECORD_BYTES,
                ..MemoryQueueConfig::default()
            }))
        }
    }

    #[async_trait]
    impl QueueFactory for Factory {
        async fn open(&mut self) -> OpenQueue {
            let queue = Arc::new(self.0.clone());
            let consumer = Box::new(queue.consumer());
            OpenQueue { producer: queue.clone(), consumer, dead_letters: queue.clone(), admin: queue }
        }

        async fn reopen(&mut self, _: OpenQueue, _: Ending) -> OpenQueue {
            self.0 = self.0.reopen();
            self.open().await
        }

        async fn close(&mut self) {
            self.0.close();
        }
    }

    crate::queue_conformance!(Factory::new());
}
