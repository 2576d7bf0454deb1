//! Tests of the embedded queue.
//!
//! | module | asks |
//! |---|---|
//! | `suite` | what every queue must do |
//! | `opening` | what a start refuses, and what it finds again |
//! | `bounds` | space, memory and records that are too much; stalls |
//! | `dead_letters` | dead letters are bounded, and none is dropped |
//! | `space` | consumed records' bytes go, and reading past them costs nothing |
//! | `failing` | I/O errors and damage |
//! | `sharing` | many clients share a sync |

mod bounds;
mod dead_letters;
mod failing;
mod opening;
mod sharing;
mod space;
mod suite;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use luminate_model::{Offset, TenantId};
use luminate_queue::{
    Assignment, ConsumedRecord, Consumer as _, PartitionConsumer, Placement, Producer as _, PublishError, Record,
    RecordKey,
};
use luminate_runtime::clock::system_clock;
use luminate_runtime::config::ByteSize;
use tempfile::TempDir;

use super::{EmbeddedQueue, EmbeddedQueueConfig, Limits};

/// Small buffers and one partition, so that a test reaches the bounds soon.
fn small() -> EmbeddedQueueConfig {
    EmbeddedQueueConfig { partitions: Some(1), write_buffer: ByteSize::mib(1), ..EmbeddedQueueConfig::default() }
}

fn open(folder: &Path, config: &EmbeddedQueueConfig) -> EmbeddedQueue {
    EmbeddedQueue::open(folder, config).unwrap()
}

fn open_with_limits(folder: &Path, change: impl FnOnce(&mut Limits)) -> EmbeddedQueue {
    let config = small();
    let mut limits = Limits::of(&config);
    change(&mut limits);
    EmbeddedQueue::open_with_limits(folder, &config, limits, system_clock()).unwrap()
}

fn record(value: impl Into<Bytes>) -> Record {
    #[allow(clippy::disallowed_methods)]
    let tenant = TenantId::parse("acme").unwrap();
    Record { key: RecordKey { tenant, shard: 0 }, headers: Vec::new(), value: value.into() }
}

async fn publish_one(queue: &EmbeddedQueue, value: impl Into<Bytes>) -> Result<Placement, PublishError> {
    queue.publish(vec![record(value)]).await.remove(0)
}

async fn first_partition(queue: &EmbeddedQueue) -> Box<dyn PartitionConsumer> {
    match queue.consumer().assignment().await.unwrap() {
        Assignment::Given(partition) => partition,
        Assignment::Revoked { .. } => unreachable!("the embedded queue takes nothing away"),
    }
}

/// Reads and commits everything that is there.
async fn consume_all(partition: &mut dyn PartitionConsumer) -> Vec<ConsumedRecord> {
    let mut records: Vec<ConsumedRecord> = Vec::new();
    let end = partition.end();
    while records.last().is_none_or(|record| record.offset.next() < end) && end > Offset(0) {
        records.extend(partition.poll(1 << 20).await.unwrap());
    }
    partition.commit(end, "").await.unwrap();
    records
}

/// What a process that was killed would leave.
fn copy_of(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}
