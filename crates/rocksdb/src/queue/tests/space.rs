//! Consumed records' bytes go, and reading past them costs nothing.

use std::time::Duration;

use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};

use luminate_queue::QueueAdmin as _;

use super::super::layout::RECORDS;
use super::super::log::WRITE_BUFFERS;
use super::*;

/// Bytes of the marker in any file of the folder.
fn is_in_a_file(folder: &Path, marker: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(marker.len()).any(|window| window == marker)
    })
}

/// How many keys a read of one record compares: what it walks over shows here, wherever it lies. Counted on this thread.
fn keys_compared(queue: &EmbeddedQueue, offset: u64) -> u64 {
    set_perf_stats(PerfStatsLevel::EnableCount);
    let mut counts = PerfContext::default();
    counts.reset();
    let records = queue.core().log.read(0, offset, offset + 1, 1).unwrap();
    assert_eq!(records[0].offset, Offset(offset));
    let compared = counts.metric(PerfMetric::UserKeyComparisonCount);
    set_perf_stats(PerfStatsLevel::Disable);
    compared
}

#[tokio::test]
async fn reading_past_a_million_consumed_records_costs_nothing() {
    const RECORDS_EACH: u64 = 10_000;
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &EmbeddedQueueConfig { partitions: Some(1), ..EmbeddedQueueConfig::default() });
    for _ in 0..100 {
        let records = (0..RECORDS_EACH).map(|_| record("small")).collect();
        assert!(queue.publish(records).await.iter().all(Result::is_ok));
    }
    let mut partition = first_partition(&queue).await;
    for next in 1..=100 {
        partition.commit(Offset(next * RECORDS_EACH - 1), "").await.unwrap();
    }
    queue.core().partitions[0].trim_all(&queue.core().log).unwrap();
    let last = 100 * RECORDS_EACH - 1;
    // 47 were seen; from the first key on it would be ten thousand and more.
    let compared = keys_compared(&queue, last);
    assert!((1..1000).contains(&compared), "{compared} keys");
    drop((partition, queue));
    let queue = open(folder.path(), &EmbeddedQueueConfig::default());
    let compared = keys_compared(&queue, last);
    assert!((1..1000).contains(&compared), "{compared} keys after a restart");
}

#[tokio::test]
async fn a_drained_queue_leaves_nothing_on_disk_when_it_closes() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    for _ in 0..20 {
        publish_one(&queue, vec![7; 1 << 20]).await.unwrap();
    }
    assert!(queue.stats().disk_bytes > 20 << 20);
    let mut partition = first_partition(&queue).await;
    assert_eq!(consume_all(partition.as_mut()).await.len(), 20);
    queue.close().await;
    assert!(queue.stats().disk_bytes < 1 << 20, "{} bytes are left", queue.stats().disk_bytes);
}

#[tokio::test]
async fn a_drained_queue_gives_its_space_back_when_it_is_quiet() {
    let folder = TempDir::new().unwrap();
    let queue = open_with_limits(folder.path(), |limits| limits.quiet = Duration::from_millis(1));
    for _ in 0..5 {
        publish_one(&queue, vec![7; 1 << 20]).await.unwrap();
    }
    let mut partition = first_partition(&queue).await;
    consume_all(partition.as_mut()).await;
    let is_small = async || {
        while queue.stats().disk_bytes > 1 << 20 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_small()).await.expect("the space comes back");
    assert_eq!(publish_one(&queue, "next").await.unwrap().offset, Offset(5));
}

/// RocksDB sets room aside for a log by the largest write buffer, also by one that nothing is written to.
#[tokio::test]
async fn a_fresh_log_sets_aside_no_more_than_a_write_buffer_takes() {
    let folder = TempDir::new().unwrap();
    let config = EmbeddedQueueConfig { write_buffer: ByteSize::mib(8), ..small() };
    let queue = open(folder.path(), &config);
    publish_one(&queue, "small").await.unwrap();
    let write_buffer = config.write_buffer.get() / WRITE_BUFFERS as u64;
    let set_aside = queue.stats().disk_bytes;
    // By a tenth more than the buffer, and the few files that every database has.
    assert!(set_aside < 2 * write_buffer, "{set_aside} bytes for a record of 5");
}

/// Under load nobody tidies: flushes and compactions must do.
#[tokio::test]
async fn disk_space_is_bounded_while_records_flow() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    let mut partition = first_partition(&queue).await;
    let mut most = 0;
    for _ in 0..150 {
        publish_one(&queue, vec![7; 1 << 20]).await.unwrap();
        let records = partition.poll(1 << 20).await.unwrap();
        partition.commit(records[0].offset.next(), "").await.unwrap();
        most = most.max(queue.stats().disk_bytes);
    }
    assert!(most < 100 << 20, "{most} bytes for a queue that is never longer than one record");
}

#[tokio::test]
async fn a_scrub_leaves_no_byte_of_consumed_records() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    let marker = b"a-marker-that-is-nowhere-else";
    let mut partition = first_partition(&queue).await;
    publish_one(&queue, marker.as_slice()).await.unwrap();
    publish_one(&queue, "kept").await.unwrap();
    // Once in a table file, once in the log only.
    queue.core().log.flush().unwrap();
    publish_one(&queue, marker.as_slice()).await.unwrap();
    publish_one(&queue, "last").await.unwrap();
    assert!(is_in_a_file(folder.path(), marker));
    partition.commit(Offset(3), "").await.unwrap();
    queue.scrub().await.unwrap();
    assert!(!is_in_a_file(folder.path(), marker));
    partition.seek(Offset(3)).await.unwrap();
    assert_eq!(partition.poll(100).await.unwrap()[0].value, "last");
    assert!(is_in_a_file(folder.path(), b"last"), "the test would see it");
}

#[tokio::test]
async fn many_small_commits_do_not_pile_up() {
    let folder = TempDir::new().unwrap();
    let queue = open(folder.path(), &small());
    let mut partition = first_partition(&queue).await;
    for offset in 0..2000 {
        publish_one(&queue, "small").await.unwrap();
        partition.commit(Offset(offset + 1), "").await.unwrap();
    }
    let deletions = queue.core().log.db().property_int_value_cf(
        queue.core().log.family(RECORDS).unwrap(),
        rocksdb::properties::NUM_DELETES_ACTIVE_MEM_TABLE,
    );
    assert_eq!(deletions.unwrap(), Some(0), "ranges are removed together, not one a commit");
}

/// What a store must read again after a restart stays, whatever is removed around it, and only for as long as it is wanted.
#[tokio::test]
async fn committed_records_stay_readable_from_where_they_are_kept() {
    let folder = TempDir::new().unwrap();
    let config = EmbeddedQueueConfig { partitions: Some(1), ..EmbeddedQueueConfig::default() };
    let queue = open(folder.path(), &config);
    assert!(queue.publish((0..20).map(|_| record("kept")).collect()).await.iter().all(Result::is_ok));
    let mut partition = first_partition(&queue).await;
    partition.keep_from(Some(Offset(5)));
    partition.commit(Offset(12), "{\"keyed\":5}").await.unwrap();
    queue.core().partitions[0].trim_all(&queue.core().log).unwrap();
    drop((partition, queue));

    let queue = open(folder.path(), &config);
    let mut partition = first_partition(&queue).await;
    assert_eq!(partition.committed().next, Some(Offset(12)));
    partition.seek(Offset(5)).await.unwrap();
    let read = partition.poll(1 << 20).await.unwrap();
    assert!(read.iter().map(|record| record.offset.0).eq(5..20));
    assert!(partition.seek(Offset(4)).await.is_err());

    partition.commit(Offset(13), "").await.unwrap();
    assert!(partition.seek(Offset(12)).await.is_err(), "nothing more was kept");
    partition.seek(Offset(13)).await.unwrap();
}
