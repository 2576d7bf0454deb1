//! What a start refuses, and what it finds again.

use std::sync::atomic::{AtomicI64, Ordering};

use rocksdb::WriteBatch;

use super::super::layout::{FORMAT_KEY, META};
use super::*;
use crate::error::OpenError;

fn refusal(folder: &Path, config: &EmbeddedQueueConfig) -> OpenError {
    match EmbeddedQueue::open(folder, config) {
        Ok(_) => panic!("the queue was opened"),
        Err(refusal) => refusal,
    }
}

#[test]
fn the_incarnation_is_made_once() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path(), &small()).incarnation();
    assert_eq!(open(folder.path(), &small()).incarnation(), first);
    assert_ne!(open(TempDir::new().unwrap().path(), &small()).incarnation(), first);
}

#[test]
fn a_queue_keeps_its_partitions() {
    let folder = TempDir::new().unwrap();
    let with = |partitions| EmbeddedQueueConfig { partitions, ..small() };
    open(folder.path(), &with(Some(3)));
    assert_eq!(open(folder.path(), &with(None)).core().partitions.len(), 3);
    let refusal = refusal(folder.path(), &with(Some(5)));
    assert_eq!(refusal.code(), "database_settings");
    assert!(refusal.to_string().contains("3 partitions"), "{refusal}");
    assert_eq!(open(TempDir::new().unwrap().path(), &with(None)).core().partitions.len(), 4);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let folder = TempDir::new().unwrap();
    for config in [
        EmbeddedQueueConfig { partitions: Some(0), ..small() },
        EmbeddedQueueConfig { max_record_bytes: ByteSize::mib(2), max_bytes: ByteSize::mib(1), ..small() },
        EmbeddedQueueConfig { write_buffer: ByteSize::kib(1), ..small() },
    ] {
        assert_eq!(refusal(folder.path(), &config).code(), "database_settings");
    }
}

#[test]
fn two_processes_cannot_share_a_queue() {
    let folder = TempDir::new().unwrap();
    let _open = open(folder.path(), &small());
    let refusal = refusal(folder.path(), &small());
    assert_eq!(refusal.code(), "database_locked");
    assert!(refusal.to_string().contains(folder.path().to_str().unwrap()), "{refusal}");
}

#[test]
fn another_format_is_refused() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    let mut batch = WriteBatch::default();
    batch.put_cf(queue.core().log.family(META).unwrap(), FORMAT_KEY, 99_u32.to_le_bytes());
    queue.core().log.write_synced(batch).unwrap();
    drop(queue);
    assert!(matches!(refusal(folder.path(), &small()), OpenError::UnknownFormat { found: 99, known: 1, .. }));
}

#[tokio::test]
async fn append_times_never_decrease_whatever_the_clock_says() {
    let folder = TempDir::new().unwrap();
    let time = Arc::new(AtomicI64::new(1_700_000_000_000));
    let opened = || {
        let time = Arc::clone(&time);
        EmbeddedQueue::open_with_clock(folder.path(), &small(), Arc::new(move || time.load(Ordering::Relaxed))).unwrap()
    };
    let queue = opened();
    publish_one(&queue, "a").await.unwrap();
    time.fetch_add(5, Ordering::Relaxed);
    publish_one(&queue, "b").await.unwrap();
    time.store(0, Ordering::Relaxed);
    publish_one(&queue, "c").await.unwrap();
    drop(queue);
    let queue = opened();
    publish_one(&queue, "d").await.unwrap();
    time.store(1_800_000_000_000, Ordering::Relaxed);
    publish_one(&queue, "e").await.unwrap();
    let records = consume_all(first_partition(&queue).await.as_mut()).await;
    let times: Vec<_> = records.iter().map(|record| record.append_time - 1_700_000_000_000).collect();
    assert_eq!(times, [0, 5, 5, 5, 100_000_000_000]);
}

#[tokio::test]
async fn a_commit_that_was_lost_costs_nothing_but_reading_again() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    for value in ["a", "b", "c"] {
        publish_one(&queue, value).await.unwrap();
    }
    // A power failure takes the commit back, which is not synced; the records are there.
    let without_commit = copy_of(folder.path());
    first_partition(&queue).await.commit(Offset(2), "").await.unwrap();
    drop(queue);
    let queue = open(without_commit.path(), &small());
    let mut partition = first_partition(&queue).await;
    assert_eq!(partition.committed().next, None);
    partition.seek(Offset(2)).await.unwrap();
    assert_eq!(partition.poll(100).await.unwrap()[0].value, "c");
}
