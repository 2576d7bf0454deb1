//! Topics as the configuration wants them: what differs, and making it so. Nothing is ever removed: no topic, no partition, no
//! setting that an operator made.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`TopicAdmin`]: check and apply |
//! | `desired` | [`DesiredTopic`], [`Copies`]: what topics should be like |

mod desired;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use luminate_model::TenantId;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaErrorCode;

pub use desired::{Copies, DesiredTopic};

use crate::cluster::KafkaCluster;
use crate::context::QuietContext;
use crate::error::{KafkaError, blocking};
use crate::settings::Settings;

/// How long brokers may take for one request.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Looks after the topics of a cluster.
pub struct TopicAdmin {
    cluster: KafkaCluster,
    client: AdminClient<QuietContext>,
}

/// What differs between a topic and what it should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDifference {
    /// The topic.
    pub topic: String,
    /// What differs.
    pub what: Difference,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// There is no such topic.
    Missing,
    /// It has fewer partitions. One that has more is left alone.
    Partitions {
        /// As configured.
        wanted: u32,
        /// As it is.
        found: u32,
    },
    /// It has another number of copies. Changing it moves data between brokers: Kafka's own tools do that.
    Replication {
        /// As configured.
        wanted: u32,
        /// As it is.
        found: u32,
    },
    /// A setting has another value.
    Setting {
        /// Kafka's name of it.
        name: &'static str,
        /// As configured.
        wanted: String,
        /// As it is.
        found: String,
    },
}

impl Difference {
    /// Whether [`TopicAdmin::apply`] can mend it.
    #[must_use]
    pub const fn is_mendable(&self) -> bool {
        !matches!(self, Self::Replication { .. })
    }
}

impl fmt::Display for TopicDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, what } = self;
        match what {
            Difference::Missing => write!(f, "{topic}: is not there"),
            Difference::Partitions { wanted, found } => write!(f, "{topic}: {found} partitions, {wanted} wanted"),
            Difference::Replication { wanted, found } => write!(f, "{topic}: {found} copies, {wanted} wanted"),
            Difference::Setting { name, wanted, found } => write!(f, "{topic}: {name} is {found}, {wanted} wanted"),
        }
    }
}

/// What [`TopicAdmin::apply`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Differences that are mended.
    pub mended: Vec<TopicDifference>,
    /// Differences that only an operator can mend.
    pub left: Vec<TopicDifference>,
}

impl TopicAdmin {
    /// A client for a cluster's topics.
    ///
    /// # Errors
    /// [`KafkaError::Client`]
    pub fn new(cluster: &KafkaCluster) -> Result<Self, KafkaError> {
        let context = QuietContext { health: cluster.health().clone(), bootstrap: None };
        let client =
            Settings::new(cluster.config()).admin().create_with_context(context).map_err(KafkaError::Client)?;
        Ok(Self { cluster: cluster.clone(), client })
    }

    /// How many copies partitions should have.
    ///
    /// # Errors
    /// [`KafkaError::Brokers`]
    pub async fn copies(&self) -> Result<Copies, KafkaError> {
        let cluster = self.cluster.clone();
        let brokers = blocking(move || cluster.brokers()).await;
        let failed =
            |reason: String| KafkaError::Brokers { doing: "did not tell how many they are".to_owned(), reason };
        let brokers = brokers.map_err(|error| failed(error.to_string()))?;
        Ok(Copies::new(&self.cluster.config().topics, brokers))
    }

    /// What is wanted: the shared topics, and one for each tenant named.
    pub(crate) async fn desired(&self, tenants: &[TenantId]) -> Result<Vec<DesiredTopic>, KafkaError> {
        let mut desired = desired::desired_topics(self.cluster.config(), self.copies().await?, tenants);
        for wanted in &mut desired {
            if let Some((_, found)) = self.shape(&wanted.name).await? {
                wanted.limit_in_sync(found);
            }
        }
        Ok(desired)
    }

    /// Tells what differs.
    ///
    /// # Errors
    /// [`KafkaError::Brokers`]
    pub async fn check(&self, tenants: &[TenantId]) -> Result<Vec<TopicDifference>, KafkaError> {
        let mut differences = Vec::new();
        for wanted in self.desired(tenants).await? {
            let found = self.differences(&wanted).await?;
            differences.extend(found.into_iter().map(|what| TopicDifference { topic: wanted.name.clone(), what }));
        }
        Ok(differences)
    }

    /// Makes topics, adds partitions and sets settings where they differ. May be repeated.
    ///
    /// # Errors
    /// [`KafkaError::Brokers`]; some of it may have been done.
    pub async fn apply(&self, tenants: &[TenantId]) -> Result<Applied, KafkaError> {
        let mut applied = Applied::default();
        for wanted in self.desired(tenants).await? {
            let differences = self.differences(&wanted).await?;
            self.mend(&wanted, &differences).await?;
            for what in differences {
                let list = if what.is_mendable() { &mut applied.mended } else { &mut applied.left };
                list.push(TopicDifference { topic: wanted.name.clone(), what });
            }
        }
        Ok(applied)
    }

    async fn differences(&self, wanted: &DesiredTopic) -> Result<Vec<Difference>, KafkaError> {
        let Some((partitions, replication)) = self.shape(&wanted.name).await? else {
            return Ok(vec![Difference::Missing]);
        };
        let mut differences = Vec::new();
        if partitions < wanted.partitions {
            differences.push(Difference::Partitions { wanted: wanted.partitions, found: partitions });
        }
        if replication != wanted.replication {
            differences.push(Difference::Replication { wanted: wanted.replication, found: replication });
        }
        let settings = self.settings(&wanted.name).await?;
        for (name, value) in &wanted.settings {
            let found = settings.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
            if found != *value {
                differences.push(Difference::Setting { name, wanted: value.clone(), found });
            }
        }
        Ok(differences)
    }

    async fn mend(&self, wanted: &DesiredTopic, differences: &[Difference]) -> Result<(), KafkaError> {
        if differences.contains(&Difference::Missing) {
            self.make(wanted).await?;
            return self.wait_until_known(&wanted.name).await;
        }
        if differences.iter().any(|what| matches!(what, Difference::Partitions { .. })) {
            self.add_partitions(wanted).await?;
        }
        if differences.iter().any(|what| matches!(what, Difference::Setting { .. })) {
            self.set(wanted).await?;
        }
        Ok(())
    }

    /// Brokers learn of a topic that was made one after the other: whoever comes next shall find it.
    async fn wait_until_known(&self, name: &str) -> Result<(), KafkaError> {
        let began = tokio::time::Instant::now();
        while self.shape(name).await?.is_none() {
            if began.elapsed() > TIMEOUT {
                let reason = "the brokers do not know it yet".to_owned();
                return Err(KafkaError::Brokers { doing: format!("made {name}"), reason });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Partitions and copies; `None` where there is no such topic.
    async fn shape(&self, name: &str) -> Result<Option<(u32, u32)>, KafkaError> {
        let doing = format!("did not describe {name}");
        let (cluster, name) = (self.cluster.clone(), name.to_owned());
        let asked = blocking(move || {
            // A description tells whether there is such a topic, and makes none.
            let described = cluster.describe_any(std::slice::from_ref(&name))?;
            if described.is_empty() { Ok(None) } else { cluster.metadata(&name, shape_of) }
        });
        asked.await.map_err(|error| KafkaError::Brokers { doing, reason: error.to_string() })
    }

    async fn settings(&self, name: &str) -> Result<ConfigResource, KafkaError> {
        let failed =
            |reason: String| KafkaError::Brokers { doing: format!("did not tell the settings of {name}"), reason };
        let answer = boxed(self.client.describe_configs(&[ResourceSpecifier::Topic(name)], &options())).await;
        let first = answer.map_err(|error| failed(error.to_string()))?.into_iter().next();
        first.ok_or_else(|| failed("no answer".to_owned()))?.map_err(|code| failed(code.to_string()))
    }

    async fn make(&self, wanted: &DesiredTopic) -> Result<(), KafkaError> {
        let replication = i32::try_from(wanted.replication).unwrap_or(i32::MAX);
        let partitions = i32::try_from(wanted.partitions).unwrap_or(i32::MAX);
        let topic = NewTopic::new(&wanted.name, partitions, TopicReplication::Fixed(replication));
        let topic = wanted.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let answer = boxed(self.client.create_topics([&topic], &options())).await;
        done(answer, &format!("did not make {}", wanted.name), |(_, code)| match code {
            RDKafkaErrorCode::InvalidReplicationFactor => {
                format!(
                    "{code}: kafka.topics.replication is {replication}, and there cannot be more copies than brokers"
                )
            }
            _ => code.to_string(),
        })
    }

    async fn add_partitions(&self, wanted: &DesiredTopic) -> Result<(), KafkaError> {
        let partitions = NewPartitions::new(&wanted.name, wanted.partitions as usize);
        let answer = boxed(self.client.create_partitions([&partitions], &options())).await;
        done(answer, &format!("did not add partitions to {}", wanted.name), |(_, code)| code.to_string())
    }

    /// The request replaces all settings of the topic, so that it repeats those that an operator made.
    async fn set(&self, wanted: &DesiredTopic) -> Result<(), KafkaError> {
        let found = self.settings(&wanted.name).await?;
        let kept = found.entries.iter().filter(|entry| {
            entry.source == ConfigSource::DynamicTopic && !wanted.settings.contains_key(entry.name.as_str())
        });
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(&wanted.name));
        for (name, value) in kept.filter_map(|entry| Some((&entry.name, entry.value.as_ref()?))) {
            change = change.set(name, value);
        }
        let change = wanted.settings.iter().fold(change, |change, (name, value)| change.set(name, value));
        let answer = boxed(self.client.alter_configs([&change], &options())).await;
        done(answer, &format!("did not set settings of {}", wanted.name), |(_, code)| code.to_string())
    }
}

/// rdkafka's futures name the borrowed arguments in their types, of which the compiler cannot tell that they are `Send` whatever
/// the lifetime.
fn boxed<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// Partitions, and copies of the one that has fewest.
fn shape_of(topic: &MetadataTopic) -> (u32, u32) {
    let partitions = topic.partitions();
    let copies = partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or_default();
    (u32::try_from(partitions.len()).unwrap_or(u32::MAX), u32::try_from(copies).unwrap_or(u32::MAX))
}

/// Whether the one thing that was asked for was done.
fn done<T, E>(
    answer: Result<Vec<Result<T, E>>, ClientError>,
    doing: &str,
    reason: impl Fn(E) -> String,
) -> Result<(), KafkaError> {
    let failed = |reason: String| KafkaError::Brokers { doing: doing.to_owned(), reason };
    let results = answer.map_err(|error| failed(error.to_string()))?;
    results.into_iter().try_for_each(|result| result.map(|_| ()).map_err(|error| failed(reason(error))))
}
