//! Space, memory and records that are too much; stalls.

use std::sync::atomic::AtomicUsize;

use super::super::appender::PendingBytes;
use super::super::layout::RECORDS;
use super::*;

#[tokio::test]
async fn nothing_is_taken_while_the_disk_is_nearly_full() {
    let folder = TempDir::new().unwrap();
    publish_one(&open(folder.path(), &small()), "before").await.unwrap();
    let queue = open_with_limits(folder.path(), |limits| limits.reserve_bytes = u64::MAX);
    assert!(matches!(publish_one(&queue, "refused").await, Err(PublishError::Full { .. })));
    assert!(queue.available().unwrap_err().contains("reserve"));
    assert!(queue.failure().reason().is_none(), "it is mended by making room");
    let records = consume_all(first_partition(&queue).await.as_mut()).await;
    assert_eq!(records.len(), 1, "what is there is read and let go");
}

#[tokio::test]
async fn space_comes_back_exactly() {
    let folder = TempDir::new().unwrap();
    let queue = open_with_limits(folder.path(), |limits| limits.held_bytes = 1000);
    let size = record(vec![0; 100]).size() as u64;
    let fill = async |queue: &EmbeddedQueue| {
        let mut taken = 0;
        while publish_one(queue, vec![0; 100]).await.is_ok() {
            taken += 1;
        }
        taken
    };
    assert_eq!(fill(&queue).await, 1000 / size);
    assert_eq!(queue.stats().record_bytes, 1000 / size * size);
    let mut partition = first_partition(&queue).await;
    partition.commit(Offset(3), "").await.unwrap();
    assert_eq!(queue.stats().record_bytes, (1000 / size - 3) * size);
    drop((partition, queue));
    let queue = open_with_limits(folder.path(), |limits| limits.held_bytes = 1000);
    assert_eq!(queue.stats().record_bytes, (1000 / size - 3) * size, "a start finds out what is held");
    assert_eq!(fill(&queue).await, 3);
    let mut partition = first_partition(&queue).await;
    consume_all(partition.as_mut()).await;
    assert_eq!((queue.stats().record_bytes, queue.stats().records), (0, 0));
}

#[test]
fn what_waits_for_the_thread_is_bounded() {
    let all = Arc::new(AtomicUsize::new(0));
    let one = PendingBytes::reserve(&all, 60, 100).unwrap();
    assert!(PendingBytes::reserve(&all, 41, 100).is_none());
    let other = PendingBytes::reserve(&all, 40, 100).unwrap();
    drop((one, other));
    assert!(PendingBytes::reserve(&all, 1000, 100).is_some(), "one call alone is taken whatever its size");
}

/// RocksDB stops writes when its background work falls behind. Here it never catches up: too many files of level 0 are in
/// the way, and nothing compacts them.
#[tokio::test]
async fn a_stall_is_a_refusal_and_no_hang() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    let log = &queue.core().log;
    let set = |trigger: &str, stop: &str| {
        let options = [
            ("level0_file_num_compaction_trigger", trigger),
            ("level0_slowdown_writes_trigger", stop),
            ("level0_stop_writes_trigger", stop),
        ];
        log.db().set_options_cf(log.family(RECORDS).unwrap(), &options).unwrap();
    };
    set("100", "100");
    for _ in 0..4 {
        publish_one(&queue, vec![0; 1000]).await.unwrap();
        log.flush().unwrap();
    }
    set("100", "3");
    let refused = tokio::time::timeout(std::time::Duration::from_secs(10), publish_one(&queue, "stalled")).await;
    assert!(matches!(refused.expect("no hang"), Err(PublishError::Full { .. })));
    assert!(queue.failure().reason().is_none());
    set("100", "100");
    let placement = publish_one(&queue, "taken").await.unwrap();
    assert_eq!(placement.offset, Offset(4), "the refused record left no hole");
}
