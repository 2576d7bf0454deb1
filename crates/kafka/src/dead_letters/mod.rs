//! Dead letters in a compacted topic.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`KafkaDeadLetters`] |
//! | `codec` | the form of the messages |
//! | `fit` | letters cut to what the topic takes |
//! | `index` | which letters there are, in bounded memory |
//! | `reading` | the topic read from somewhere to its end |

mod codec;
mod fit;
mod index;
mod reading;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use luminate_model::{Offset, Source};
use luminate_queue::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetters, QueueError, partition_of,
};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::oneshot;

use crate::cluster::KafkaCluster;
use crate::consumer::records;
use crate::delivery::{Delivered, Deliveries, Outgoing, Undelivered};
use crate::error::{KafkaError, blocking};
use crate::settings::{DEAD_LETTER_OVERHEAD, Settings};
use crate::topics::Topic;

use codec::{KeyOf, ReplayMark};
use index::{Indexed, Place, Window};

/// The most ids that are held at once, at about 100 bytes each.
const WINDOW: usize = 100_000;

/// The most bytes of records in one page of a list.
const PAGE_BYTES: usize = 32 << 20;

/// The dead letters of a cluster.
pub struct KafkaDeadLetters {
    shared: Arc<Shared>,
}

struct Shared {
    cluster: KafkaCluster,
    deliveries: Deliveries,
}

/// A dead letter, and how far a replay of it is.
struct Found {
    letter: DeadLetter,
    mark: Option<ReplayMark>,
}

/// A message for the topic of dead letters.
struct Outgone {
    key: String,
    headers: Vec<(String, Bytes)>,
    /// `None` removes the key.
    value: Option<Bytes>,
}

impl KafkaDeadLetters {
    /// The dead letters of a cluster. Brokers may be away.
    ///
    /// # Errors
    /// [`KafkaError::Client`]
    pub fn new(cluster: &KafkaCluster) -> Result<Self, KafkaError> {
        let largest = cluster.config().producer.max_record_bytes.get() + DEAD_LETTER_OVERHEAD;
        let settings = Settings::new(cluster.config()).producer(largest);
        let deliveries = Deliveries::new(settings, cluster.health().clone())?;
        Ok(Self { shared: Arc::new(Shared { cluster: cluster.clone(), deliveries }) })
    }

    /// Writes messages, and waits until all are durable.
    async fn write(&self, messages: Vec<Outgone>) -> Result<(), QueueError> {
        let cluster = self.shared.cluster.clone();
        let partitions = blocking(move || reading::partitions(&cluster)).await?;
        let mut on_their_way = Vec::with_capacity(messages.len());
        for message in messages {
            loop {
                match self.shared.send(&message, partitions) {
                    Ok(receiver) => break on_their_way.push(receiver),
                    // The buffer holds some of these: once they are through there is room.
                    Err(why) if why.code == Some(RDKafkaErrorCode::QueueFull) && !on_their_way.is_empty() => {
                        arrive(std::mem::take(&mut on_their_way)).await?;
                    }
                    Err(why) => return Err(not_written(&why)),
                }
            }
        }
        arrive(on_their_way).await
    }

    async fn find(&self, id: DeadLetterId) -> Result<Option<Found>, QueueError> {
        let cluster = self.shared.cluster.clone();
        blocking(move || find(&cluster, id)).await
    }

    /// Says how far a replay is; `None` takes the mark away.
    async fn mark(&self, id: DeadLetterId, mark: Option<ReplayMark>) -> Result<(), QueueError> {
        let value = mark.map(ReplayMark::to_value);
        self.write(vec![Outgone { key: KeyOf::Replay(id).to_text(), headers: Vec::new(), value }]).await
    }
}

impl Shared {
    fn send(&self, message: &Outgone, partitions: u32) -> Result<oneshot::Receiver<Delivered>, Undelivered> {
        // Everything about a dead letter lies in one partition, in order.
        let id = KeyOf::read(message.key.as_bytes()).map(|key| KeyOf::Letter(key.id()).to_text()).unwrap_or_default();
        self.deliveries.send(&Outgoing {
            topic: &self.cluster.config().topics.dead_letters,
            partition: partition_of(id.as_bytes(), partitions),
            key: message.key.as_bytes(),
            headers: &message.headers,
            value: message.value.as_deref(),
        })
    }

    /// The topic that a source is of, if it is still there.
    async fn topic_of(&self, source: Source) -> Result<Arc<Topic>, QueueError> {
        let cluster = self.cluster.clone();
        let topic = blocking(move || {
            let known = cluster.topics().of(source).cloned();
            if known.is_some() { Ok(known) } else { Ok(cluster.refresh_topics()?.of(source).cloned()) }
        });
        topic.await?.ok_or_else(|| QueueError::Damaged(format!("the topic of {source} is no longer there")))
    }

    /// Puts a dead letter's record back where it came from.
    async fn put_back(&self, letter: &DeadLetter, topic: &Topic) -> Result<Offset, QueueError> {
        let sent = self.deliveries.send(&Outgoing {
            topic: &topic.name,
            partition: letter.id.source.partition,
            key: &letter.key,
            headers: &letter.headers,
            value: Some(letter.bytes.as_ref()),
        });
        let delivered = sent.map_err(|why| not_written(&why))?.await.unwrap_or_else(|_| Err(Undelivered::lost()));
        delivered.map_err(|why| not_written(&why))
    }
}

#[async_trait]
impl DeadLetters for KafkaDeadLetters {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), QueueError> {
        let limit = self.shared.cluster.config().producer.max_record_bytes.as_usize();
        let messages = letters.into_iter().map(|letter| {
            let letter = fit::fit(letter, limit);
            let key = KeyOf::Letter(letter.id).to_text();
            Outgone { key, headers: codec::headers(&letter), value: Some(letter.bytes) }
        });
        self.write(messages.collect()).await
    }

    async fn list(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<DeadLetterPage, QueueError> {
        let (cluster, filter) = (self.shared.cluster.clone(), filter.clone());
        blocking(move || page(&cluster, &filter, after, limit)).await
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, QueueError> {
        Ok(self.find(id).await?.map(|found| found.letter))
    }

    /// Two topics cannot be written in one step without a transaction, whose records a reader would have to hold back; so the replay
    /// is marked as begun before its record is put back, and a begun one is never begun again by itself.
    async fn replay(&self, id: DeadLetterId, now: i64) -> Result<Option<Offset>, QueueError> {
        let Some(Found { letter, mark }) = self.find(id).await?.filter(|found| !found.letter.is_cut()) else {
            return Ok(None);
        };
        if mark == Some(ReplayMark::Begun) {
            return Err(QueueError::ReplayInDoubt);
        }
        let topic = self.shared.topic_of(id.source).await?;
        self.mark(id, Some(ReplayMark::Begun)).await?;
        let offset = self.shared.put_back(&letter, &topic).await?;
        self.mark(id, Some(ReplayMark::Done(now))).await?;
        Ok(Some(offset))
    }

    async fn forget_doubtful_replay(&self, id: DeadLetterId) -> Result<(), QueueError> {
        match self.find(id).await? {
            Some(Found { mark: Some(ReplayMark::Begun), .. }) => self.mark(id, None).await,
            _ => Ok(()),
        }
    }

    async fn purge(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        let (mut begin, mut purged) = (Bound::Unbounded, 0);
        loop {
            let (cluster, meant) = (self.shared.cluster.clone(), filter.clone());
            let (letters, beyond) = blocking(move || indexed(&cluster, &meant, begin, WINDOW)).await?;
            purged += letters.len() as u64;
            let keys = letters.iter().flat_map(|letter| [KeyOf::Letter(letter.id), KeyOf::Replay(letter.id)]);
            let tombstones = keys.map(|key| Outgone { key: key.to_text(), headers: Vec::new(), value: None });
            self.write(tombstones.collect()).await?;
            match beyond {
                Some(beyond) => begin = Bound::Included(beyond),
                None => return Ok(purged),
            }
        }
    }
}

async fn arrive(on_their_way: Vec<oneshot::Receiver<Delivered>>) -> Result<(), QueueError> {
    for receiver in on_their_way {
        let delivered = receiver.await.unwrap_or_else(|_| Err(Undelivered::lost()));
        delivered.map_err(|why| not_written(&why))?;
    }
    Ok(())
}

fn not_written(why: &Undelivered) -> QueueError {
    QueueError::Unavailable(format!("a dead letter, or its record, was not written: {}", why.reason))
}

/// The beginnings of all partitions of the topic.
fn everything(cluster: &KafkaCluster) -> Result<BTreeMap<u32, u64>, QueueError> {
    Ok((0..reading::partitions(cluster)?).map(|partition| (partition, 0)).collect())
}

/// Which letters there are that the filter means, and from where on nothing is known.
fn indexed(
    cluster: &KafkaCluster,
    filter: &DeadLetterFilter,
    begin: Bound<DeadLetterId>,
    capacity: usize,
) -> Result<(Vec<Indexed>, Option<DeadLetterId>), QueueError> {
    let mut window = Window::new(begin, capacity);
    reading::read(cluster, &everything(cluster)?, |message| {
        match message.key().and_then(KeyOf::read) {
            Some(KeyOf::Letter(id)) => window.letter(id, place_of_meant(id, message, filter)),
            Some(KeyOf::Replay(id)) => window.replay(id, mark_of(message).and_then(ReplayMark::time)),
            None => tracing::warn!(offset = message.offset(), "a message among the dead letters is none"),
        }
        Ok(())
    })?;
    Ok(window.finish())
}

/// Where a letter stands; `None` where the message removes it or the filter does not mean it.
fn place_of_meant(id: DeadLetterId, message: &BorrowedMessage<'_>, filter: &DeadLetterFilter) -> Option<Place> {
    let letter = letter_of(id, message)?;
    let offset = u64::try_from(message.offset()).ok()?;
    let place = Place { partition: reading::partition_of_message(message), offset, size: letter.bytes.len() };
    filter.matches(&letter).then_some(place)
}

/// The letter of a message; `None` where it removes one, or cannot be read.
fn letter_of(id: DeadLetterId, message: &BorrowedMessage<'_>) -> Option<DeadLetter> {
    let value = Bytes::copy_from_slice(message.payload()?);
    match codec::read(id, &records::headers(message), value) {
        Ok(letter) => Some(letter),
        Err(reason) => {
            tracing::warn!(%id, reason, "a dead letter cannot be read");
            None
        }
    }
}

fn mark_of(message: &BorrowedMessage<'_>) -> Option<ReplayMark> {
    ReplayMark::read(message.payload())
}

fn find(cluster: &KafkaCluster, id: DeadLetterId) -> Result<Option<Found>, QueueError> {
    let partition = partition_of(KeyOf::Letter(id).to_text().as_bytes(), reading::partitions(cluster)?);
    let (mut letter, mut mark) = (None, None);
    reading::read(cluster, &BTreeMap::from([(partition, 0)]), |message| {
        match message.key().and_then(KeyOf::read) {
            Some(KeyOf::Letter(found)) if found == id => letter = letter_of(id, message),
            Some(KeyOf::Replay(found)) if found == id => mark = mark_of(message),
            _ => {}
        }
        Ok(())
    })?;
    let replayed_at = mark.and_then(ReplayMark::time);
    Ok(letter.map(|letter| Found { letter: DeadLetter { replayed_at, ..letter }, mark }))
}

fn page(
    cluster: &KafkaCluster,
    filter: &DeadLetterFilter,
    after: Option<DeadLetterId>,
    limit: usize,
) -> Result<DeadLetterPage, QueueError> {
    let (mut found, mut begin) = (Vec::new(), after.map_or(Bound::Unbounded, Bound::Excluded));
    while found.len() <= limit {
        let (letters, beyond) = indexed(cluster, filter, begin, WINDOW)?;
        found.extend(letters);
        match beyond {
            Some(beyond) => begin = Bound::Included(beyond),
            None => break,
        }
    }
    let mut bytes = 0_usize;
    let fits = |letter: &&Indexed| {
        bytes = bytes.saturating_add(letter.place.size);
        bytes <= PAGE_BYTES
    };
    let count = found.iter().take(limit).take_while(fits).count().max(1).min(found.len());
    let is_last = count == found.len();
    found.truncate(count);
    let after = if is_last { None } else { found.last().map(|letter| letter.id) };
    Ok(DeadLetterPage { letters: contents(cluster, found)?, after })
}

/// Reads letters whole. They are found by their keys: a copy may have taken the place of the message that was indexed.
fn contents(cluster: &KafkaCluster, wanted: Vec<Indexed>) -> Result<Vec<DeadLetter>, QueueError> {
    let mut from: BTreeMap<u32, u64> = BTreeMap::new();
    for letter in &wanted {
        let offset = from.entry(letter.place.partition).or_insert(letter.place.offset);
        *offset = letter.place.offset.min(*offset);
    }
    let mut found: HashMap<DeadLetterId, Option<DeadLetter>> = wanted.iter().map(|letter| (letter.id, None)).collect();
    reading::read(cluster, &from, |message| {
        if let Some(KeyOf::Letter(id)) = message.key().and_then(KeyOf::read)
            && let Some(known) = found.get_mut(&id)
        {
            *known = letter_of(id, message);
        }
        Ok(())
    })?;
    let whole = wanted.iter().filter_map(|letter| {
        let found = found.remove(&letter.id)??;
        Some(DeadLetter { replayed_at: letter.replayed_at, ..found })
    });
    Ok(whole.collect())
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
