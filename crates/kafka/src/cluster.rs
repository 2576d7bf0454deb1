//! One Kafka cluster as this process sees it: its configuration, and a client that asks.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::{Committed, QueueError};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;

use crate::config::KafkaConfig;
use crate::context::{BrokerHealth, QuietContext};
use crate::error::{KafkaError, blocking, unavailable};
use crate::native;
use crate::settings::{REQUEST_TIMEOUT, Settings};
use crate::topics::{TopicMap, TopicNames};

/// A Kafka cluster: where producers, consumers and the rest of this crate come from. Clones are the same.
#[derive(Clone)]
pub struct KafkaCluster {
    shared: Arc<Shared>,
}

struct Shared {
    config: KafkaConfig,
    names: TopicNames,
    health: BrokerHealth,
    /// Asks; never joins the group, never fetches.
    inspector: BaseConsumer<QuietContext>,
    topics: RwLock<Arc<TopicMap>>,
}

/// How many events of a client are taken before a call; they come one by one while brokers are away.
const EVENTS_AT_ONCE: usize = 32;

/// A partition by the name of its topic.
pub(crate) type Place = (String, u32);

/// Where the records of a partition begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) begin: Offset,
    /// The offset that the next record gets.
    pub(crate) end: Offset,
}

impl KafkaCluster {
    /// Checks the configuration and makes a client. Asks no broker: one that is away now may come.
    ///
    /// # Errors
    /// [`KafkaError::Config`], [`KafkaError::Client`]
    pub fn new(config: KafkaConfig) -> Result<Self, KafkaError> {
        config.check()?;
        let health = BrokerHealth::default();
        let context = QuietContext { health: health.clone() };
        let inspector = Settings::new(&config).inspector().create_with_context(context).map_err(KafkaError::Client)?;
        let names = TopicNames::new(&config.topics);
        let shared = Shared { config, names, health, inspector, topics: RwLock::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Waits until brokers have told the topics of the configuration, the shared topic of samples among them.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] where no broker answers, or the topic is not there.
    pub async fn ready(&self) -> Result<(), QueueError> {
        let cluster = self.clone();
        blocking(move || {
            let topics = cluster.refresh_topics()?;
            let samples = cluster.names().samples();
            topics.named(samples).map(|_| ()).ok_or_else(|| missing(samples))
        })
        .await
    }

    pub(crate) fn config(&self) -> &KafkaConfig {
        &self.shared.config
    }

    pub(crate) fn names(&self) -> &TopicNames {
        &self.shared.names
    }

    pub(crate) fn health(&self) -> &BrokerHealth {
        &self.shared.health
    }

    /// The topics as they were when they were looked up last.
    pub(crate) fn topics(&self) -> Arc<TopicMap> {
        Arc::clone(&self.shared.topics.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks the topics of samples up. Blocks.
    pub(crate) fn refresh_topics(&self) -> Result<Arc<TopicMap>, QueueError> {
        let names = self.topic_names()?;
        let topics = Arc::new(self.describe(&names)?);
        *self.shared.topics.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&topics);
        Ok(topics)
    }

    /// Looks up single topics of samples; those that are not there are left out. Blocks.
    pub(crate) fn describe(&self, names: &[String]) -> Result<TopicMap, QueueError> {
        let described = self.describe_any(names)?;
        Ok(TopicMap::new(described.into_iter().filter_map(|topic| self.shared.names.topic(topic))))
    }

    /// Looks up topics, whatever they are for. Blocks.
    pub(crate) fn describe_any(&self, names: &[String]) -> Result<Vec<native::TopicDescription>, QueueError> {
        self.serve();
        let described = native::describe_topics(self.shared.inspector.client(), names, REQUEST_TIMEOUT);
        let described = described.map_err(|code| self.unanswered("topics are not told", &code))?;
        self.shared.health.up();
        Ok(described)
    }

    /// A call that got no answer, and why as far as the client knows.
    fn unanswered(&self, doing: &str, error: &dyn Display) -> QueueError {
        // What it has to say of its connections.
        self.serve();
        let fault = self.shared.health.explanation().map(|fault| format!(" ({fault})")).unwrap_or_default();
        QueueError::Unavailable(format!("{doing}: {error}{fault}"))
    }

    /// Where partitions begin and end, in the order of `places`. Blocks.
    pub(crate) fn bounds(&self, places: &[Place]) -> Result<Vec<Bounds>, QueueError> {
        let begins = self.offsets_at(places, rdkafka::Offset::Beginning)?;
        let ends = self.offsets_at(places, rdkafka::Offset::End)?;
        Ok(begins.into_iter().zip(ends).map(|(begin, end)| Bounds { begin, end }).collect())
    }

    /// Where partitions end, in the order of `places`. Blocks.
    pub(crate) fn ends(&self, places: &[Place]) -> Result<Vec<Offset>, QueueError> {
        self.offsets_at(places, rdkafka::Offset::End)
    }

    /// Kafka's request for offsets by time takes the beginning and the end as special times, for many partitions at once.
    fn offsets_at(&self, places: &[Place], at: rdkafka::Offset) -> Result<Vec<Offset>, QueueError> {
        const DOING: &str = "ends of partitions are not told";
        if places.is_empty() {
            return Ok(Vec::new());
        }
        self.serve();
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            list.add_partition_offset(topic, partition_number(*partition), at)
                .map_err(|error| unavailable(DOING, &error))?;
        }
        let answer = self.shared.inspector.offsets_for_times(list, REQUEST_TIMEOUT);
        let answer = answer.map_err(|error| self.unanswered(DOING, &error))?;
        places
            .iter()
            .map(|(topic, partition)| {
                let place = || format!("{DOING}: {topic}/{partition}");
                let element = answer.find_partition(topic, partition_number(*partition));
                let element = element.ok_or_else(|| QueueError::Unavailable(place()))?;
                element.error().map_err(|error| unavailable(&place(), &error))?;
                known_offset(element.offset()).ok_or_else(|| QueueError::Unavailable(place()))
            })
            .collect()
    }

    /// The first record of a partition that was appended at this time (ms since 1970) or later; the end where there is none.
    /// Blocks.
    pub(crate) fn offset_at(&self, place: &Place, time: i64) -> Result<Offset, QueueError> {
        const DOING: &str = "no offset is told for a time";
        self.serve();
        let (topic, partition) = (place.0.as_str(), partition_number(place.1));
        let mut list = TopicPartitionList::with_capacity(1);
        // Negative times have meanings of their own.
        list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(time.max(0)))
            .map_err(|error| unavailable(DOING, &error))?;
        let answer = self.shared.inspector.offsets_for_times(list, REQUEST_TIMEOUT);
        let answer = answer.map_err(|error| self.unanswered(DOING, &error))?;
        let element = answer.find_partition(topic, partition);
        let element = element.ok_or_else(|| QueueError::Unavailable(DOING.to_owned()))?;
        element.error().map_err(|error| unavailable(DOING, &error))?;
        match known_offset(element.offset()) {
            Some(offset) => Ok(offset),
            None => self.ends(std::slice::from_ref(place))?.first().copied().ok_or_else(|| missing(topic)),
        }
    }

    /// What the group has committed, in the order of `places`. Blocks.
    pub(crate) fn committed(&self, places: &[Place], timeout: Duration) -> Result<Vec<Committed>, QueueError> {
        const DOING: &str = "committed offsets are not told";
        if places.is_empty() {
            return Ok(Vec::new());
        }
        self.serve();
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (topic, partition) in places {
            list.add_partition(topic, partition_number(*partition));
        }
        let answer = self.shared.inspector.committed_offsets(list, timeout);
        let answer = answer.map_err(|error| self.unanswered(DOING, &error))?;
        places
            .iter()
            .map(|(topic, partition)| {
                let place = || format!("{DOING}: {topic}/{partition}");
                let element = answer.find_partition(topic, partition_number(*partition));
                let element = element.ok_or_else(|| QueueError::Unavailable(place()))?;
                element.error().map_err(|error| unavailable(&place(), &error))?;
                let next = known_offset(element.offset());
                // Without an offset there is no text either; librdkafka may leave an old one in the list.
                let metadata = if next.is_some() { element.metadata().to_owned() } else { String::new() };
                Ok(Committed { next, metadata })
            })
            .collect()
    }

    /// What the brokers' metadata says of a topic; `None` where it says nothing. Blocks.
    pub(crate) fn metadata<T>(&self, topic: &str, read: impl Fn(&MetadataTopic) -> T) -> Result<Option<T>, QueueError> {
        self.serve();
        let metadata = self.shared.inspector.fetch_metadata(Some(topic), REQUEST_TIMEOUT);
        let metadata = metadata.map_err(|error| self.unanswered("topics are not listed", &error))?;
        Ok(metadata.topics().first().map(read))
    }

    /// Names of the topics of samples that there are.
    fn topic_names(&self) -> Result<Vec<String>, QueueError> {
        let samples = self.names().samples().to_owned();
        if !self.names().has_tenant_topics() {
            return Ok(vec![samples]);
        }
        self.serve();
        let metadata = self.shared.inspector.fetch_metadata(None, REQUEST_TIMEOUT);
        let metadata = metadata.map_err(|error| self.unanswered("topics are not listed", &error))?;
        let all = metadata.topics().iter().map(|topic| topic.name());
        Ok(all.filter(|name| self.names().role(name) != crate::topics::TopicRole::Foreign).map(str::to_owned).collect())
    }

    /// Takes what the client has to say, so that it does not pile up; the context logs it. A poll answers nothing also where it
    /// took something, so that there is no telling when all is taken.
    fn serve(&self) {
        (0..EVENTS_AT_ONCE).for_each(|_| drop(self.shared.inspector.poll(Duration::ZERO)));
    }
}

/// Kafka counts partitions in 31 bits.
pub(crate) fn partition_number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// An offset that is a number.
pub(crate) fn known_offset(offset: rdkafka::Offset) -> Option<Offset> {
    match offset {
        rdkafka::Offset::Offset(offset) => u64::try_from(offset).ok().map(Offset),
        _ => None,
    }
}

/// An offset as librdkafka takes it.
pub(crate) fn native_offset(offset: Offset) -> rdkafka::Offset {
    rdkafka::Offset::Offset(i64::try_from(offset.0).unwrap_or(i64::MAX))
}

pub(crate) fn missing(topic: &str) -> QueueError {
    QueueError::Unavailable(format!("topic {topic} is not there: `luminate topics apply` makes it"))
}
