//! What gateways hold: records in, placements out once all in-sync replicas have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use luminate_queue::{Placement, Producer, PublishError, QueueError, Record, partition_of};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cluster::{KafkaCluster, missing};
use crate::delivery::{Delivered, Deliveries, Outgoing, Undelivered};
use crate::error::{KafkaError, blocking};
use crate::settings::Settings;
use crate::topics::Topic;

/// What a client is told about trying again while the buffer is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often the topic's id and number of partitions are looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(2);

/// Writes records to the shared topic of samples.
pub struct KafkaProducer {
    shared: Arc<Shared>,
    looking_up: JoinHandle<()>,
}

struct Shared {
    cluster: KafkaCluster,
    deliveries: Deliveries,
    /// [`Deliveries::falls`] when the topic was looked up last.
    falls_seen: AtomicU64,
    closed: AtomicBool,
}

/// A record that was handed over, or why not.
type Handed = Result<(u32, oneshot::Receiver<Delivered>), PublishError>;

impl KafkaProducer {
    /// A producer. Brokers may be away. Needs a runtime of tokio.
    ///
    /// # Errors
    /// [`KafkaError::Client`]
    pub fn new(cluster: &KafkaCluster) -> Result<Self, KafkaError> {
        let config = cluster.config();
        let settings = Settings::new(config).producer(config.producer.max_record_bytes.get());
        let shared = Arc::new(Shared {
            cluster: cluster.clone(),
            deliveries: Deliveries::new(settings, cluster.health().clone())?,
            falls_seen: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        });
        let looking_up = tokio::spawn(look_up_again_and_again(Arc::clone(&shared)));
        Ok(Self { shared, looking_up })
    }

    /// Takes no more records. What was handed over goes on.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.looking_up.abort();
    }
}

/// Keeps the topic's id fresh, and learns that brokers went away or are back while nobody publishes.
async fn look_up_again_and_again(shared: Arc<Shared>) {
    let mut ticks = interval(LOOK_UP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failures = 0;
    loop {
        ticks.tick().await;
        match shared.look_up().await {
            Ok(_) => failures = 0,
            Err(error) => {
                failures += 1;
                // One slow answer is no outage.
                if failures > 1 {
                    shared.cluster.health().down(&error.to_string());
                }
            }
        }
    }
}

impl Shared {
    /// The topic as brokers describe it now.
    async fn look_up(self: &Arc<Self>) -> Result<Arc<Topic>, QueueError> {
        let falls = self.deliveries.falls();
        let cluster = self.cluster.clone();
        let looked_up = blocking(move || {
            let topics = cluster.refresh_topics()?;
            topics.named(cluster.names().samples()).cloned().ok_or_else(|| missing(cluster.names().samples()))
        })
        .await?;
        self.falls_seen.fetch_max(falls, Ordering::AcqRel);
        Ok(looked_up)
    }

    fn known_topic(&self) -> Option<Arc<Topic>> {
        self.cluster.topics().named(self.cluster.names().samples()).cloned()
    }

    fn available(&self) -> Result<(), String> {
        if self.closed.load(Ordering::Acquire) {
            return Err("the queue is closed".to_owned());
        }
        match self.cluster.health().fault() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Hands all records over before it first waits, so that they are on their way whatever becomes of the caller.
    fn hand_over(&self, topic: &Topic, records: Vec<Record>) -> Vec<Handed> {
        records.into_iter().map(|record| self.hand_over_one(topic, &record)).collect()
    }

    fn hand_over_one(&self, topic: &Topic, record: &Record) -> Handed {
        let (size, limit) = (record.size(), self.cluster.config().producer.max_record_bytes.as_usize());
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        let key = record.key.to_bytes();
        let partition = partition_of(&key, topic.partitions);
        let outgoing = Outgoing {
            topic: &topic.name,
            partition,
            key: &key,
            headers: &record.headers,
            value: Some(record.value.as_ref()),
        };
        match self.deliveries.send(&outgoing) {
            Ok(receiver) => Ok((partition, receiver)),
            Err(undelivered) => Err(publish_error(&undelivered, size, limit)),
        }
    }

    /// Waits for the results of records that were handed over to an incarnation of the topic.
    async fn results(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        handed: Vec<Handed>,
    ) -> Vec<Result<Placement, PublishError>> {
        let limit = self.cluster.config().producer.max_record_bytes.as_usize();
        let mut results = Vec::with_capacity(handed.len());
        for handed in handed {
            let delivered = match handed {
                Ok((partition, receiver)) => {
                    let delivered = receiver.await.unwrap_or_else(|_| Err(Undelivered::lost()));
                    delivered.map(|offset| (partition, offset)).map_err(|why| publish_error(&why, limit, limit))
                }
                Err(error) => Err(error),
            };
            results.push(delivered);
        }
        let topic = self.confirmed(topic).await;
        let place = |(partition, offset)| match &topic {
            Ok(topic) => Ok(Placement { source: topic.source(partition), offset }),
            Err(reason) => Err(PublishError::Unknown { reason: reason.clone() }),
        };
        results.into_iter().map(|result| result.and_then(place)).collect()
    }

    /// The incarnation that acknowledged records stand in: another one than was thought where offsets have fallen.
    async fn confirmed(self: &Arc<Self>, topic: &Arc<Topic>) -> Result<Arc<Topic>, String> {
        if self.deliveries.falls() <= self.falls_seen.load(Ordering::Acquire) {
            // Looked up since, perhaps, by the task that keeps it fresh.
            return Ok(self.known_topic().unwrap_or_else(|| Arc::clone(topic)));
        }
        // Brokers answered a moment ago, so that they soon do again.
        for _ in 0..5 {
            match self.look_up().await {
                Ok(topic) => return Ok(topic),
                Err(error) => tracing::warn!(%error, "the topic was made again, and its id is not told"),
            }
            sleep(Duration::from_millis(200)).await;
        }
        Err("the topic was made again, and its id is not told".to_owned())
    }

    async fn publish(self: Arc<Self>, records: Vec<Record>) -> Vec<Result<Placement, PublishError>> {
        let count = records.len();
        let topic = match self.known_topic() {
            Some(topic) => Ok(topic),
            None => self.look_up().await,
        };
        match topic {
            Ok(topic) => {
                let handed = self.hand_over(&topic, records);
                self.results(&topic, handed).await
            }
            Err(error) => unavailable(count, &error.to_string()),
        }
    }
}

#[async_trait]
impl Producer for KafkaProducer {
    async fn publish(&self, records: Vec<Record>) -> Vec<Result<Placement, PublishError>> {
        if let Err(reason) = self.shared.available() {
            return unavailable(records.len(), &reason);
        }
        Arc::clone(&self.shared).publish(records).await
    }

    /// Says the code alone where brokers are away: this is for health, which is public, and the reason names brokers. The log has it.
    fn available(&self) -> Result<(), String> {
        let reason = |fault| self.shared.cluster.health().code().map_or(fault, str::to_owned);
        self.shared.available().map_err(reason)
    }
}

fn unavailable(count: usize, reason: &str) -> Vec<Result<Placement, PublishError>> {
    (0..count).map(|_| Err(PublishError::Unavailable { reason: reason.to_owned() })).collect()
}

/// What an undelivered record means to whoever published it.
pub(crate) fn publish_error(why: &Undelivered, size: usize, limit: usize) -> PublishError {
    match why.code {
        Some(RDKafkaErrorCode::QueueFull) => PublishError::Full { retry_after: RETRY_AFTER },
        // The topic takes less than the configuration says.
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            PublishError::TooLarge { size, limit }
        }
        _ if why.may_be_stored => PublishError::Unknown { reason: why.reason.clone() },
        _ => PublishError::Unavailable { reason: why.reason.clone() },
    }
}
