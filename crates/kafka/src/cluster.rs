//! One Kafka cluster as this process sees it: its configuration, and a client that asks.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::{Committed, QueueError};
use luminate_runtime::lifecycle::{Lifecycle, StopStage};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataTopic;
use tokio::time::{MissedTickBehavior, interval};

use crate::bootstrap::Bootstrap;
use crate::config::KafkaConfig;
use crate::context::{BrokerHealth, QuietContext};
use crate::error::{KafkaError, blocking, unavailable};
use crate::native;
use crate::settings::{REQUEST_TIMEOUT, Settings};
use crate::topics::{TopicMap, TopicNames};

/// How often, and how long each time, a client is listened to that may tell why a call has got no answer.
const LISTENINGS: usize = 10;
const LISTENING: Duration = Duration::from_millis(20);

/// How often a process looks whether brokers answer.
const LOOK_EVERY: Duration = Duration::from_secs(2);

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
    #[cfg(test)]
    hidden: std::sync::Mutex<std::collections::BTreeSet<String>>,
}

/// How many events of a client are taken before a call; they come one by one while brokers are away.
const EVENTS_AT_ONCE: usize = 32;

/// A partition by the name of its topic.
pub(crate) type Place = (String, u32);

impl KafkaCluster {
    /// Checks the configuration and makes a client. Asks no broker: one that is away now may come.
    ///
    /// # Errors
    /// [`KafkaError::Config`], [`KafkaError::Client`]
    pub fn new(config: KafkaConfig) -> Result<Self, KafkaError> {
        config.check()?;
        let health = BrokerHealth::default();
        let settings = Settings::new(&config).inspector();
        let context = QuietContext { health: health.clone(), bootstrap: Some(Bootstrap::of(&settings)) };
        let inspector = settings.create_with_context(context).map_err(KafkaError::Client)?;
        let names = TopicNames::new(&config.topics);
        let shared = Shared {
            config,
            names,
            health,
            inspector,
            topics: RwLock::default(),
            #[cfg(test)]
            hidden: std::sync::Mutex::default(),
        };
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

    /// Shows in the process's health whether brokers answer and the topic of samples is there, until the process drains.
    pub fn show_in(&self, lifecycle: &Lifecycle) {
        let (cluster, dependency) = (self.clone(), lifecycle.health().dependency("kafka"));
        lifecycle.spawn("kafka-health", StopStage::Drain, move |mut stop| async move {
            let mut ticks = interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut failures = 0;
            loop {
                let looked = tokio::select! {
                    () = stop.requested() => return Ok(()),
                    looked = cluster.ready() => looked,
                };
                match looked {
                    Ok(()) => {
                        failures = 0;
                        dependency.up();
                    }
                    // One slow answer is no outage.
                    Err(_) if failures == 0 => failures = 1,
                    Err(error) => {
                        if failures == 1 {
                            failures = 2;
                            tracing::warn!(code = error.code(), %error, "kafka does not do what this process needs");
                        }
                        // Health is public, and the reason names brokers.
                        dependency.down(cluster.health().code().unwrap_or_else(|| error.code()));
                    }
                }
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    _ = ticks.tick() => {}
                }
            }
        });
    }

    pub(crate) fn config(&self) -> &KafkaConfig {
        &self.shared.config
    }

    pub(crate) fn names(&self) -> &TopicNames {
        &self.shared.names
    }

    pub(crate) fn inspector(&self) -> &BaseConsumer<QuietContext> {
        &self.shared.inspector
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
        Ok(self.topic_map(self.describe_any(names)?))
    }

    /// The same, where a topic that brokers tell nothing of now keeps nobody from the others: it is left out. Blocks.
    pub(crate) fn describe_told(&self, names: &[String]) -> Result<TopicMap, QueueError> {
        let described = self.ask_for_topics(names)?;
        for (topic, code) in &described.refused {
            tracing::debug!(topic, %code, "a topic is not told");
        }
        Ok(self.topic_map(described.topics))
    }

    /// Looks up topics, whatever they are for. Blocks.
    pub(crate) fn describe_any(&self, names: &[String]) -> Result<Vec<native::TopicDescription>, QueueError> {
        let described = self.ask_for_topics(names)?;
        match described.refused.first() {
            Some((topic, code)) => Err(QueueError::Unavailable(format!("topic {topic} is not told: {code}"))),
            None => Ok(described.topics),
        }
    }

    fn ask_for_topics(&self, names: &[String]) -> Result<native::Described, QueueError> {
        self.serve();
        let described = native::describe_topics(self.shared.inspector.client(), names, REQUEST_TIMEOUT);
        let described = described.map_err(|code| self.unanswered("topics are not told", &code))?;
        #[cfg(test)]
        let described = self.without_hidden(described);
        self.shared.health.up();
        Ok(described)
    }

    fn topic_map(&self, described: Vec<native::TopicDescription>) -> TopicMap {
        TopicMap::new(described.into_iter().filter_map(|topic| self.shared.names.topic(topic)))
    }

    #[cfg(test)]
    fn without_hidden(&self, mut described: native::Described) -> native::Described {
        described.topics.retain(|topic| !self.hidden().contains(&topic.name));
        described
    }

    /// Topics that the broker that is asked has not learnt of yet.
    #[cfg(test)]
    pub(crate) fn hidden(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeSet<String>> {
        self.shared.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call that got no answer, and why as far as the client knows.
    pub(crate) fn unanswered(&self, doing: &str, error: &dyn Display) -> QueueError {
        // What it has to say of its connections may come a moment after the call has failed.
        for _ in 0..LISTENINGS {
            self.serve();
            if self.shared.health.explanation().is_some() {
                break;
            }
            drop(self.shared.inspector.poll(LISTENING));
        }
        let fault = self.shared.health.explanation().map(|fault| format!(" ({fault})")).unwrap_or_default();
        QueueError::Unavailable(format!("{doing}: {error}{fault}"))
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
            None => self.end(place),
        }
    }

    /// What the group has committed, in the order of `places`. Blocks.
    pub(crate) fn committed(&self, places: &[Place], timeout: Duration) -> Result<Vec<Committed>, QueueError> {
        self.committed_each(places, timeout)?.into_iter().collect()
    }

    /// The same, of each partition by itself. Blocks.
    pub(crate) fn committed_each(
        &self,
        places: &[Place],
        timeout: Duration,
    ) -> Result<Vec<Result<Committed, QueueError>>, QueueError> {
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
        let committed = |(topic, partition): &Place| {
            let place = || format!("{DOING}: {topic}/{partition}");
            let element = answer.find_partition(topic, partition_number(*partition));
            let element = element.ok_or_else(|| QueueError::Unavailable(place()))?;
            element.error().map_err(|error| unavailable(&place(), &error))?;
            let next = known_offset(element.offset());
            // Without an offset there is no text either; librdkafka may leave an old one in the list.
            let metadata = if next.is_some() { element.metadata().to_owned() } else { String::new() };
            Ok(Committed { next, metadata })
        };
        Ok(places.iter().map(committed).collect())
    }

    /// What the brokers' metadata says of a topic; `None` where it says nothing. Blocks.
    pub(crate) fn metadata<T>(&self, topic: &str, read: impl Fn(&MetadataTopic) -> T) -> Result<Option<T>, QueueError> {
        self.serve();
        let metadata = self.shared.inspector.fetch_metadata(Some(topic), REQUEST_TIMEOUT);
        let metadata = metadata.map_err(|error| self.unanswered("topics are not listed", &error))?;
        Ok(metadata.topics().first().map(read))
    }

    /// How many brokers there are at this moment.
    pub(crate) fn brokers(&self) -> Result<u32, QueueError> {
        self.serve();
        // Asked for one topic by name, a broker may make it.
        let metadata = self.shared.inspector.fetch_metadata(None, REQUEST_TIMEOUT);
        let metadata = metadata.map_err(|error| self.unanswered("brokers are not listed", &error))?;
        Ok(u32::try_from(metadata.brokers().len()).unwrap_or(u32::MAX))
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
    /// took something, so that there is no telling when all is taken. A client that has forgotten the brokers is told them again.
    pub(crate) fn serve(&self) {
        let inspector = &self.shared.inspector;
        (0..EVENTS_AT_ONCE).for_each(|_| drop(inspector.poll(Duration::ZERO)));
        inspector.context().bootstrap.iter().for_each(|bootstrap| bootstrap.restore(inspector.client()));
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
