//! Noting how far a partition is done.

use std::time::{Duration, Instant};

use luminate_model::Offset;
use luminate_queue::QueueError;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::types::RDKafkaErrorCode;

use super::owned::OwnedPartition;
use super::session::{Client, Session};
use crate::cluster::{native_offset, partition_number};
use crate::error::unavailable;

/// How long a commit is tried again while the group changes; of a session at most a third, so that time to store is left.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// The text of a commit that is a hint.
const HINT: &str = r#"{"hint":"the store of an edge node knows where to continue"}"#;

/// What a failed commit means.
enum Failure {
    /// The partition is, or will be, another's.
    Lost,
    /// The group is changing; whether the partition stays shows soon.
    Changing,
    /// It will fail again.
    Refused(String),
    /// It may be tried again.
    Unavailable(QueueError),
}

/// Commits, and waits for the coordinator's answer. Blocks: each call is on a thread of its own, and has a reply of its own, so
/// that it is answered also while the poll thread waits for a revoked partition to be settled.
pub(crate) fn commit(
    session: &Session,
    owned: &OwnedPartition,
    next: Offset,
    metadata: &str,
) -> Result<(), QueueError> {
    let fenced = || QueueError::Fenced(owned.source().to_string());
    let client = session.client().ok_or(QueueError::Closed)?;
    let patience = session.session_timeout().map_or(PATIENCE, |timeout| PATIENCE.min(timeout / 3));
    let deadline = Instant::now() + patience;
    loop {
        let Some(lease_use) = owned.lease.enter() else { return Err(fenced()) };
        let Err(error) = commit_with(&client, owned, next, metadata, CommitMode::Sync) else { return Ok(()) };
        drop(lease_use);
        match failure(&error) {
            Failure::Lost => return Err(fenced()),
            Failure::Refused(reason) => return Err(QueueError::Damaged(reason)),
            Failure::Unavailable(error) => return Err(error),
            Failure::Changing if Instant::now() > deadline => {
                return Err(unavailable("the group is changing", &error));
            }
            Failure::Changing => owned.lease.wait_for_end(TRY_AGAIN),
        }
    }
}

/// Tells the group how far a partition is, for those who look at its lag, and waits for nothing. The text keeps writers of a
/// group from taking it for a place to continue from: they refuse what they cannot read.
pub(crate) fn hint(session: &Session, owned: &OwnedPartition, next: Offset) {
    let told = session.client().map(|client| commit_with(&client, owned, next, HINT, CommitMode::Async));
    if let Some(Err(error)) = told {
        tracing::debug!(source = %owned.source(), %error, "the group was not told how far a partition is");
    }
}

/// A list of one partition each time: then the answer's error is this partition's. And a new list: text that is set twice on
/// one element leaks.
fn commit_with(
    client: &Client,
    owned: &OwnedPartition,
    next: Offset,
    metadata: &str,
    mode: CommitMode,
) -> Result<(), ClientError> {
    let mut list = TopicPartitionList::with_capacity(1);
    {
        let mut element = list.add_partition(&owned.topic.name, partition_number(owned.partition));
        element.set_offset(native_offset(next))?;
        if !metadata.is_empty() {
            element.set_metadata(metadata);
        }
    }
    client.commit(&list, mode)
}

fn failure(error: &ClientError) -> Failure {
    match error.rdkafka_error_code() {
        // librdkafka takes the whole assignment for lost then, and joins again.
        Some(RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::FencedInstanceId) => Failure::Lost,
        // While the group changes a member keeps what it owns, and its generation may be a step behind the coordinator's. Where
        // the partition was lost, its lease ends while this waits.
        Some(RDKafkaErrorCode::IllegalGeneration | RDKafkaErrorCode::RebalanceInProgress) => Failure::Changing,
        Some(RDKafkaErrorCode::OffsetMetadataTooLarge) => Failure::Refused(
            "the text of a commit is larger than the brokers take (offset.metadata.max.bytes)".to_owned(),
        ),
        _ => Failure::Unavailable(unavailable("the commit failed", error)),
    }
}
