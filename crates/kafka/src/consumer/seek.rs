//! Going to another place in a partition.

use std::time::{Duration, Instant};

use luminate_model::Offset;
use luminate_queue::QueueError;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer;

use super::owned::OwnedPartition;
use super::session::{Client, Session};
use crate::cluster::{native_offset, partition_number};
use crate::error::unavailable;
use crate::settings::REQUEST_TIMEOUT;

/// A partition that was assigned a moment ago is not fetched yet, and cannot be sought until it is.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Continues at `next`, where records are. Blocks.
pub(crate) fn seek(session: &Session, owned: &OwnedPartition, next: Offset) -> Result<(), QueueError> {
    let bounds = session.cluster.bounds_of(&owned.place())?;
    if next < bounds.begin || next > bounds.end {
        return Err(QueueError::OutOfRange { place: owned.source(), wanted: next, begin: bounds.begin });
    }
    let client = session.client().ok_or(QueueError::Closed)?;
    let deadline = Instant::now() + PATIENCE;
    // No commit, but it needs the partition as long: it may not be let go meanwhile.
    while let Some(_use) = owned.lease.enter() {
        match try_seek(&client, owned, native_offset(next)) {
            Ok(()) => {
                owned.set_position(next);
                owned.clear_range_fault();
                return Ok(());
            }
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(error) => tracing::debug!(%error, "seeking again"),
        }
        std::thread::sleep(TRY_AGAIN);
    }
    Err(QueueError::Fenced(owned.source().to_string()))
}

/// One attempt.
pub(crate) fn try_seek(client: &Client, owned: &OwnedPartition, next: rdkafka::Offset) -> Result<(), QueueError> {
    const DOING: &str = "seeking failed";
    let failed = |error| unavailable(DOING, &error);
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&owned.topic.name, partition_number(owned.partition), next).map_err(failed)?;
    let sought = client.seek_partitions(list, REQUEST_TIMEOUT).map_err(failed)?;
    sought.elements().iter().try_for_each(|element| element.error()).map_err(failed)
}
