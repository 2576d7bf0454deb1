//! I/O errors and damage.

use luminate_queue::QueueError;
use rocksdb::WriteBatch;

use super::super::layout::{self, RECORDS};
use super::*;

/// The log cannot go on: its folder is gone when the next log file is to be made.
#[tokio::test]
async fn an_io_error_ends_the_queue_and_loses_nothing_acknowledged() {
    let parent = TempDir::new().unwrap();
    let (folder, away) = (parent.path().join("queue"), parent.path().join("away"));
    let queue = open(&folder, &small());
    publish_one(&queue, "first").await.unwrap();
    std::fs::rename(&folder, &away).unwrap();
    let mut acknowledged = 1;
    let error = loop {
        match publish_one(&queue, vec![7; 64 << 10]).await {
            Ok(_) => acknowledged += 1,
            Err(PublishError::Full { .. }) => {}
            Err(error) => break error,
        }
        assert!(acknowledged < 10_000, "the error never comes");
    };
    assert_eq!(error.code(), "queue_outcome_unknown");
    assert_eq!(publish_one(&queue, "later").await.unwrap_err().code(), "queue_unavailable");
    assert!(queue.available().is_err());
    let reason = tokio::time::timeout(std::time::Duration::from_secs(10), queue.failure().failed()).await;
    assert!(!reason.expect("who waits for it is told").to_string().is_empty());
    drop(queue);

    std::fs::rename(&away, &folder).unwrap();
    let queue = open(&folder, &small());
    let mut partition = first_partition(&queue).await;
    let records = consume_all(partition.as_mut()).await;
    let there = records.len();
    assert!(there == acknowledged || there == acknowledged + 1, "{there} of {acknowledged}, one unknown");
    assert_eq!(records[0].value, "first");
    assert_eq!(publish_one(&queue, "again").await.unwrap().offset, Offset(there as u64));
}

fn remove_behind_its_back(queue: &EmbeddedQueue, offset: u64) {
    let log = &queue.core().log;
    let mut batch = WriteBatch::default();
    batch.delete_cf(log.family(RECORDS).unwrap(), layout::record_key(0, offset));
    log.write_synced(batch).unwrap();
}

#[tokio::test]
async fn a_record_that_vanished_is_damage_and_no_gap() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    for value in ["a", "b", "c"] {
        publish_one(&queue, value).await.unwrap();
    }
    remove_behind_its_back(&queue, 1);
    let mut partition = first_partition(&queue).await;
    assert!(matches!(partition.poll(1000).await, Err(QueueError::Damaged(_))));
    partition.seek(Offset(2)).await.unwrap();
    assert_eq!(partition.poll(1000).await.unwrap()[0].value, "c");
}

#[tokio::test]
async fn a_start_sees_that_the_first_record_is_gone() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    publish_one(&queue, "a").await.unwrap();
    publish_one(&queue, "b").await.unwrap();
    remove_behind_its_back(&queue, 0);
    drop(queue);
    match EmbeddedQueue::open(folder.path(), &small()) {
        Ok(_) => panic!("the queue was opened"),
        Err(refusal) => assert_eq!(refusal.code(), "database_damaged"),
    }
}
