//! A database of a shared queue's partitions remembers them.

use luminate_model::Receipt;
use luminate_storage::{ReachError, SampleSink};

use super::*;
use crate::store::owned::{ClaimError, OwnedPartition, PartitionNames};

/// Partitions of the incarnation that the tests' batches are of.
fn of_topic(topic: &str, partitions: &[u32]) -> Vec<OwnedPartition> {
    let one = |partition: &u32| OwnedPartition { topic: topic.to_owned(), source: source(*partition) };
    partitions.iter().map(one).collect()
}

#[tokio::test]
async fn partitions_can_be_added_and_not_dropped() {
    let test = TestStore::new();
    assert!(!test.store.is_claimed());
    test.store.claim(of_topic("samples", &[0, 1])).await.unwrap();
    test.store.write(batch(0, 0, "acme", &rows(10, "a"))).await.unwrap();
    let test = test.crashed();
    assert!(test.store.is_claimed());
    test.store.claim(of_topic("samples", &[0, 1])).await.unwrap();
    test.store.claim(of_topic("samples", &[0, 1, 2])).await.unwrap();

    let test = test.crashed();
    let fewer = PartitionNames::of([("samples", 0), ("samples", 1), ("other", 2)]);
    let refused = test.store.check_claim(&fewer).unwrap_err();
    assert_eq!(refused.code(), "partitions_dropped");
    let said = refused.to_string();
    for named in ["samples/0, samples/1, samples/2", "other/2, samples/0, samples/1", "samples/2 is missing"] {
        assert!(said.contains(named), "{said}");
    }
    let refused = test.store.claim(of_topic("samples", &[0, 1])).await.unwrap_err();
    assert_eq!(refused.code(), "partitions_dropped");
    assert_eq!(count(&test.store, "acme", "cpu").await, 10);
}

#[tokio::test]
async fn another_incarnation_of_a_topic_is_refused() {
    let test = TestStore::new();
    test.store.claim(of_topic("samples", &[0])).await.unwrap();
    let mut again = of_topic("samples", &[0, 1]);
    again.iter_mut().for_each(|partition| partition.source.incarnation = Incarnation([8; 16]));
    let refused = test.store.claim(again).await.unwrap_err();
    assert!(matches!(&refused, ClaimError::OtherIncarnation { topic, .. } if topic == "samples"), "{refused}");
    assert!(refused.to_string().contains(&Incarnation([8; 16]).to_string()), "{refused}");
    assert!(refused.to_string().contains(&source(0).incarnation.to_string()), "{refused}");
}

#[tokio::test]
async fn a_database_of_another_queue_is_refused() {
    let test = TestStore::new();
    test.store.write(batch(7, 0, "acme", &rows(10, "a"))).await.unwrap();
    let refused = test.store.claim(of_topic("samples", &[0])).await.unwrap_err();
    assert_eq!(refused.code(), "database_of_other_queue");
    assert!(refused.to_string().contains(&source(7).to_string()), "{refused}");
    assert!(!test.store.is_claimed());
}

#[tokio::test]
async fn batches_and_receipts_of_other_partitions_are_refused() {
    let test = TestStore::new();
    test.store.claim(of_topic("samples", &[0])).await.unwrap();
    let refused = test.store.write(batch(1, 0, "acme", &rows(10, "a"))).await.unwrap_err();
    assert_eq!(refused.code(), "storage_not_owned");
    assert_eq!(test.store.resume(&source(1)).await.unwrap_err().code(), "storage_not_owned");
    test.store.write(batch(0, 0, "acme", &rows(10, "a"))).await.unwrap();
    let receipt = |partition| {
        let mut receipt = Receipt::default();
        receipt.add(source(partition), Offset(1));
        receipt
    };
    assert_eq!(test.store.reach(&receipt(0)).await, Ok(()));
    assert_eq!(test.store.reach(&receipt(1)).await, Err(ReachError::NotRead(source(1))));
}

#[tokio::test]
async fn what_is_lost_can_be_skipped_and_nothing_is_read_twice() {
    let test = TestStore::new();
    test.store.claim(of_topic("samples", &[0])).await.unwrap();
    test.store.write(batch(0, 0, "acme", &rows(10, "a"))).await.unwrap();
    assert!(test.store.skip_to(source(0), Offset(7)).await.unwrap());
    let test = test.crashed();
    assert_eq!(test.store.resume(&source(0)).await.unwrap().next, Some(Offset(7)));
    assert!(!test.store.skip_to(source(0), Offset(3)).await.unwrap(), "never back");
    test.store.write(batch(0, 7, "acme", &rows(10, "b"))).await.unwrap();
    assert_eq!(count(&test.store, "acme", "cpu").await, 20);
    let refused = test.store.skip_to(source(1), Offset(7)).await.unwrap_err();
    assert_eq!(refused.code(), "storage_not_owned");
}
