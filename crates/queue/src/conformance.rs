//! The suite that every queue must pass. An implementation hands in a [`QueueFactory`] and names its tests with
//! [`queue_conformance!`](crate::queue_conformance):
//!
//! ```ignore
//! luminate_queue::queue_conformance!(MyFactory::new());
//! ```
//!
//! | module | asks |
//! |---|---|
//! | [`publishing`] | order, results, bounds |
//! | [`consuming`] | polls, seeks, commits, offsets over restarts, closing |
//! | [`dead_letters`] | identity, lists, replay, purge |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this is test code that others run")]

pub mod consuming;
pub mod dead_letters;
pub mod publishing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use luminate_model::{Offset, Source, TenantId};

use crate::{
    Assignment, ConsumedRecord, Consumer, DeadLetters, PartitionConsumer, Placement, Producer, QueueAdmin, QueueError,
    Record, RecordKey,
};

/// How many partitions the suite wants.
pub const PARTITIONS: u32 = 3;
/// The most bytes of records not committed yet.
pub const MAX_BYTES: usize = 256 << 10;
/// The largest record in bytes.
pub const MAX_RECORD_BYTES: usize = 16 << 10;

/// How long the suite waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a process ends before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It closes its queue.
    Close,
    /// It is killed: what the queue has not made durable by itself is gone. A queue that cannot play this closes.
    Crash,
}

/// An open queue, as processes hold it.
pub struct OpenQueue {
    /// Where records go in.
    pub producer: Arc<dyn Producer>,
    /// Where they come out; given every partition.
    pub consumer: Box<dyn Consumer>,
    /// Its dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What operators use.
    pub admin: Arc<dyn QueueAdmin>,
}

/// Makes queues with [`PARTITIONS`], [`MAX_BYTES`] and [`MAX_RECORD_BYTES`]. One factory has one queue.
#[async_trait]
pub trait QueueFactory: Send {
    /// Opens the queue for the first time.
    async fn open(&mut self) -> OpenQueue;

    /// Ends the process that holds `queue`, and opens the queue again. Partition consumers are dropped already.
    async fn reopen(&mut self, queue: OpenQueue, ending: Ending) -> OpenQueue;

    /// Closes the queue under those that still hold its parts.
    async fn close(&mut self);

    /// Whether the queue is a service that others own. Its records go by a retention of its own and not with a commit, so that
    /// only what waits to be sent is bounded; and whoever closes their side of it leaves at once.
    fn is_service(&self) -> bool {
        false
    }
}

/// Makes a test of each question of the suite. The argument is an expression that makes a fresh [`QueueFactory`]; the crate
/// needs `tokio` with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! queue_conformance {
    ($factory:expr) => {
        $crate::queue_conformance!(@tests $factory;
            publishing: records_of_a_key_share_a_partition_and_keep_their_order, every_record_has_its_own_result,
                a_full_queue_refuses_until_records_are_committed, concurrent_publishers_share_the_offsets,
                dropping_the_future_takes_nothing_back;
            consuming: what_was_published_is_what_is_read, append_times_never_decrease, polls_are_bounded,
                polls_wait_for_records, cancelled_polls_lose_nothing, seeks_go_where_records_are,
                commits_survive_with_their_metadata, offsets_go_on_after_a_close, offsets_go_on_after_a_crash,
                unread_records_survive, ends_are_told, a_closed_queue_gives_what_is_left;
            dead_letters: a_second_copy_is_the_same, lists_are_paged_and_filtered, they_survive,
                a_replay_goes_to_its_partition_and_is_marked, what_was_cut_is_not_replayed, purged_ones_are_gone;
        );
    };
    (@tests $factory:expr; $($module:ident: $($test:ident),+;)+) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::conformance::$module::$test(&mut $factory).await;
            }
        )+)+
    };
}

/// The partitions of a consumer, by number.
async fn partitions(consumer: &mut dyn Consumer) -> Vec<Box<dyn PartitionConsumer>> {
    let mut given = Vec::new();
    while given.len() < PARTITIONS as usize {
        match soon(consumer.assignment()).await.expect("an assignment") {
            Assignment::Given(partition) => given.push(partition),
            Assignment::Revoked { source, .. } => panic!("{source} was revoked"),
        }
    }
    given.sort_by_key(|partition| partition.source().partition);
    given
}

/// The partition that a source means.
fn of(partitions: &mut [Box<dyn PartitionConsumer>], source: Source) -> &mut dyn PartitionConsumer {
    partitions.iter_mut().find(|partition| partition.source() == source).expect("a partition of this source").as_mut()
}

/// Reads until `count` records have come.
async fn read(partition: &mut dyn PartitionConsumer, count: usize) -> Vec<ConsumedRecord> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(soon(partition.poll(64 << 10)).await.expect("records"));
    }
    assert_eq!(records.len(), count, "no more than were published");
    records
}

/// Publishes records that must all be taken.
async fn publish(producer: &dyn Producer, records: Vec<Record>) -> Vec<Placement> {
    let results = soon(producer.publish(records)).await;
    results.into_iter().map(|result| result.expect("published")).collect()
}

fn tenant(name: &str) -> TenantId {
    #[allow(clippy::disallowed_methods, reason = "the suite's own tenants")]
    TenantId::parse(name).expect("a tenant's name")
}

fn record(tenant_name: &str, value: impl Into<Bytes>) -> Record {
    Record { key: RecordKey { tenant: tenant(tenant_name), shard: 0 }, headers: Vec::new(), value: value.into() }
}

/// Records of one tenant, so of one partition, whose values tell their order.
fn numbered(tenant: &str, numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers.map(|number| record(tenant, format!("{tenant}-{number}"))).collect()
}

/// A publish answers with the placements of one partition in a row; the offsets as numbers.
fn offsets(placements: &[Placement]) -> Vec<u64> {
    placements.iter().map(|placement| placement.offset.0).collect()
}

fn is_out_of_range(result: Result<(), QueueError>, wanted: Offset) -> bool {
    matches!(result, Err(QueueError::OutOfRange { wanted: asked, .. }) if asked == wanted)
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("this takes too long")
}
