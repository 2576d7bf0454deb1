//! Reading the topic of dead letters from somewhere to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use luminate_queue::QueueError;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::{BorrowedMessage, Message};

use crate::cluster::{KafkaCluster, Place, missing, partition_number};
use crate::context::QuietContext;
use crate::error::unavailable;
use crate::settings::Settings;

/// How long brokers may say nothing.
const PATIENCE: Duration = Duration::from_secs(15);

/// How many partitions the topic has. Blocks.
pub(super) fn partitions(cluster: &KafkaCluster) -> Result<u32, QueueError> {
    let topic = &cluster.config().topics.dead_letters;
    let described = cluster.describe_any(std::slice::from_ref(topic))?;
    described.first().map(|topic| topic.partitions).ok_or_else(|| missing(topic))
}

/// Reads partitions, each from its offset (or its beginning) to its end, and shows every message, those without a value too.
/// Blocks. A client is made for it: this is an operator's work, not the way of the data.
pub(super) fn read(
    cluster: &KafkaCluster,
    from: &BTreeMap<u32, u64>,
    mut visit: impl FnMut(&BorrowedMessage<'_>) -> Result<(), QueueError>,
) -> Result<(), QueueError> {
    const DOING: &str = "dead letters are not read";
    let failed = |error: ClientError| unavailable(DOING, &error);
    let topic = &cluster.config().topics.dead_letters;
    let places: Vec<Place> = from.keys().map(|partition| (topic.clone(), *partition)).collect();
    let mut list = TopicPartitionList::with_capacity(places.len());
    let mut unread = BTreeSet::new();
    for ((partition, offset), bounds) in from.iter().zip(cluster.bounds(&places)) {
        let bounds = bounds?;
        if bounds.begin < bounds.end {
            let begin = crate::cluster::native_offset(bounds.begin.max(luminate_model::Offset(*offset)));
            list.add_partition_offset(topic, partition_number(*partition), begin).map_err(failed)?;
            unread.insert(partition_number(*partition));
        }
    }
    if unread.is_empty() {
        return Ok(());
    }
    let context = QuietContext { health: cluster.health().clone(), bootstrap: None };
    let reader: BaseConsumer<_> =
        Settings::new(cluster.config()).reader().create_with_context(context).map_err(failed)?;
    reader.assign(&list).map_err(failed)?;
    let mut deadline = Instant::now() + PATIENCE;
    while !unread.is_empty() {
        match reader.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                visit(&message)?;
                deadline = Instant::now() + PATIENCE;
            }
            Some(Err(ClientError::PartitionEOF(partition))) => {
                unread.remove(&partition);
            }
            Some(Err(error)) => tracing::debug!(%error, "reading dead letters"),
            None => {}
        }
        if Instant::now() > deadline {
            return Err(QueueError::Unavailable(format!("{DOING}: no answer for {PATIENCE:?}")));
        }
    }
    Ok(())
}

/// The number of a message's partition.
pub(super) fn partition_of_message(message: &BorrowedMessage<'_>) -> u32 {
    u32::try_from(message.partition()).unwrap_or_default()
}
