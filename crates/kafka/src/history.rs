//! Reading records again: partitions are assigned by hand, the group is not joined, nothing is committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use luminate_model::{Offset, Source};
use luminate_queue::{ConsumedRecord, HistoryReader, QueueError, RecordHistory, SourceHistory};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError as ClientError;
use tokio::sync::mpsc;

use crate::bounds::Bounds;
use crate::cluster::{KafkaCluster, Place, native_offset, partition_number};
use crate::consumer::records::consumed;
use crate::context::QuietContext;
use crate::error::{blocking, unavailable};
use crate::native;
use crate::settings::{REQUEST_TIMEOUT, Settings};
use crate::topics::Topic;

/// How long brokers may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks whether anybody still wants records.
const TURN: Duration = Duration::from_millis(100);
/// Records that are ready to be taken; librdkafka's own queue is bounded in bytes.
const READY: usize = 4;

const DOING: &str = "records are not read again";

/// The records that the topics of samples hold.
#[derive(Clone)]
pub struct KafkaHistory {
    cluster: KafkaCluster,
}

impl KafkaHistory {
    /// The history that a cluster keeps.
    #[must_use]
    pub fn new(cluster: &KafkaCluster) -> Self {
        Self { cluster: cluster.clone() }
    }

    async fn topic(&self, source: Source) -> Result<Arc<Topic>, QueueError> {
        let cluster = self.cluster.clone();
        blocking(move || {
            let topics = cluster.refresh_topics()?;
            let unknown = || QueueError::Unavailable(format!("there is no topic with the partition {source}"));
            topics.of(source).cloned().ok_or_else(unknown)
        })
        .await
    }
}

#[async_trait]
impl RecordHistory for KafkaHistory {
    async fn partitions(&self) -> Result<Vec<SourceHistory>, QueueError> {
        let cluster = self.cluster.clone();
        blocking(move || {
            let topics = cluster.refresh_topics()?;
            let partitions = topics.iter().flat_map(|topic| (0..topic.partitions).map(move |at| (topic, at)));
            let partitions: Vec<(&Arc<Topic>, u32)> = partitions.collect();
            let places: Vec<Place> = partitions.iter().map(|(topic, at)| (topic.name.clone(), *at)).collect();
            let committed = cluster.committed(&places, REQUEST_TIMEOUT)?;
            let told = partitions.into_iter().zip(committed).zip(cluster.bounds(&places));
            told.map(|(((topic, at), committed), bounds)| {
                let Bounds { begin, end } = bounds?;
                Ok(SourceHistory { source: topic.source(at), owner: topic.owner.clone(), begin, end, committed })
            })
            .collect()
        })
        .await
    }

    async fn offset_at(&self, source: Source, time: i64) -> Result<Offset, QueueError> {
        let topic = self.topic(source).await?;
        let (cluster, place) = (self.cluster.clone(), (topic.name.clone(), source.partition));
        blocking(move || cluster.offset_at(&place, time)).await
    }

    async fn read(&self, source: Source, first: Offset, next: Offset) -> Result<Box<dyn HistoryReader>, QueueError> {
        let topic = self.topic(source).await?;
        let (sender, records) = mpsc::channel(READY);
        let cluster = self.cluster.clone();
        if first < next {
            tokio::task::spawn_blocking(move || {
                if let Err(error) = read(&cluster, &topic, source, (first, next), &sender) {
                    // Where nobody listens any more, nobody wants to know.
                    let _ = sender.blocking_send(Err(error));
                }
            });
        }
        Ok(Box::new(KafkaHistoryReader { records }))
    }
}

struct KafkaHistoryReader {
    records: mpsc::Receiver<Result<ConsumedRecord, QueueError>>,
}

#[async_trait]
impl HistoryReader for KafkaHistoryReader {
    async fn next(&mut self) -> Result<Option<ConsumedRecord>, QueueError> {
        self.records.recv().await.transpose()
    }
}

/// Reads a range and hands its records over, until it is read or nobody takes them. Blocks.
pub(crate) fn read(
    cluster: &KafkaCluster,
    topic: &Topic,
    source: Source,
    (first, next): (Offset, Offset),
    records: &mpsc::Sender<Result<ConsumedRecord, QueueError>>,
) -> Result<(), QueueError> {
    let failed = |error: ClientError| unavailable(DOING, &error);
    let context = QuietContext { health: cluster.health().clone(), bootstrap: None };
    let reader: BaseConsumer<_> =
        Settings::new(cluster.config()).reader().create_with_context(context).map_err(failed)?;
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition_offset(&topic.name, partition_number(source.partition), native_offset(first)).map_err(failed)?;
    reader.assign(&list).map_err(failed)?;
    let place = (topic.name.clone(), source.partition);
    let mut position = first;
    let mut end_seen = None;
    let mut deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match reader.poll(TURN) {
            Some(Ok(message)) => {
                let record = consumed(&message).filter(|record| record.offset < next);
                let Some(record) = record else { return Ok(()) };
                position = record.offset.next();
                let is_last = position == next;
                if records.blocking_send(Ok(record)).is_err() || is_last {
                    return Ok(());
                }
                deadline = Instant::now() + PATIENCE;
            }
            Some(Err(ClientError::PartitionEOF(_))) => {
                let is_over = is_at_end(cluster, &reader, &place, position, &mut end_seen)?;
                if is_over {
                    return Ok(());
                }
            }
            Some(Err(error)) => tracing::debug!(%error, DOING),
            None if records.is_closed() => return Ok(()),
            None => {}
        }
    }
    let Bounds { begin, .. } = cluster.bounds_of(&place)?;
    if begin > first {
        return Err(QueueError::OutOfRange { place: source, wanted: first, begin });
    }
    Err(QueueError::Unavailable(format!("{DOING}: nothing came at offset {position} for {PATIENCE:?}")))
}

/// Whether a reader that was told of the end at `position` is at the partition's end. A broker that has just become the leader, or
/// follows it, may not know yet how far the partition reaches.
///
/// After the last record there may be holes: markers of transactions. There the position stays before the end for ever. So where
/// the broker that is fetched from knows of the end, it is asked once more from `position` on: told of the end again, there is
/// nothing between.
fn is_at_end(
    cluster: &KafkaCluster,
    reader: &BaseConsumer<QuietContext>,
    place: &Place,
    position: Offset,
    end_seen: &mut Option<Offset>,
) -> Result<bool, QueueError> {
    if *end_seen == Some(position) {
        return Ok(true);
    }
    let end = cluster.end(place)?;
    if position >= end {
        return Ok(true);
    }
    let (topic, partition) = (place.0.as_str(), partition_number(place.1));
    if native::fetched_end(reader.client(), topic, partition).is_some_and(|fetched| fetched >= end) {
        let sought = reader.seek(topic, partition, native_offset(position), REQUEST_TIMEOUT);
        sought.map_err(|error| unavailable(DOING, &error))?;
        *end_seen = Some(position);
    }
    Ok(false)
}
