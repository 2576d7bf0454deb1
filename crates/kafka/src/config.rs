//! The section of Kafka: where it is, how to log in, what topics are called.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use luminate_runtime::config::{ByteSize, ConfigSecret, HumanDuration};
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

/// What stands for the tenant's name in [`TopicsConfig::tenant`].
pub(crate) const TENANT_PLACEHOLDER: &str = "{tenant}";

/// Apache Kafka: the queue between gateways and writers in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct KafkaConfig {
    /// Brokers to ask first, `host:port`; they name the others.
    pub brokers: Vec<String>,
    /// Names and shapes of the topics.
    pub topics: TopicsConfig,
    /// How gateways write.
    pub producer: ProducerConfig,
    /// How writers read.
    pub consumer: ConsumerConfig,
    /// Encryption of the connections.
    pub tls: TlsConfig,
    /// Logging in.
    pub sasl: SaslConfig,
    /// Any other setting of librdkafka, by its own name, for producers and consumers alike. Settings that carry a promise of
    /// Luminate, or that have a key of their own here, are refused.
    pub librdkafka: BTreeMap<String, String>,
}

/// Names and shapes of the topics. `luminate topics apply` makes them so, `luminate topics check` tells differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TopicsConfig {
    /// The topic that gateways write.
    pub samples: String,
    /// The topics of direct producers, one a tenant: `{tenant}` stands for the tenant's name.
    pub tenant: String,
    /// Whether writers read the topics of direct producers.
    pub tenant_topics: bool,
    /// The topic of dead letters.
    pub dead_letters: String,
    /// Partitions of the topic that gateways write. More can be had later: series then move, and a write request that is repeated
    /// across the change may be stored twice.
    pub partitions: u32,
    /// Copies of every partition. Unless set 3, or as many as there are brokers where there are fewer.
    pub replication: Option<u32>,
    /// Copies that must have a record before it counts as written. Unless set one less than there are copies, and at least 1.
    pub min_insync_replicas: Option<u32>,
    /// How long records are kept, whether they were stored or not.
    pub retention: HumanDuration,
}

/// How gateways write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ProducerConfig {
    /// Memory of records on their way to the brokers. Beyond it write requests are answered 503 with `Retry-After`.
    pub buffer: ByteSize,
    /// The largest record.
    pub max_record_bytes: ByteSize,
    /// How long a record may take until it is durable. Keep it below `gateway.publishTimeout`, so that the answer tells what happened.
    pub delivery_timeout: HumanDuration,
    /// How long a record waits for others to travel with.
    pub linger: HumanDuration,
    /// How records are compressed.
    pub compression: Compression,
}

/// Kafka's compression of batches of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None.
    None,
    /// LZ4: least work.
    Lz4,
    /// Zstandard, level 1: fewest bytes.
    Zstd,
}

/// How writers read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ConsumerConfig {
    /// The group that shares the partitions. Its committed offsets tell how far samples are stored. An edge node, whose offsets
    /// there are hints, has `luminate-edge` unless another is set.
    pub group: String,
    /// How long a writer may be silent before its partitions are given to others, and how long it may store after a commit. The
    /// brokers' `group.min.session.timeout.ms` and `group.max.session.timeout.ms` bound it.
    pub session_timeout: HumanDuration,
    /// How long a writer may be busy with a change of partitions. A revoked partition has a third of it to settle.
    pub max_poll_interval: HumanDuration,
    /// Memory of records that are fetched ahead, for each partition; a batch of records that a producer wrote together is fetched as
    /// a whole and may exceed it.
    pub prefetch: ByteSize,
    /// How often positions are compared with what the topics hold, and ends are looked up.
    pub watch_interval: HumanDuration,
    /// How often new topics and partitions are looked for.
    pub discovery_interval: HumanDuration,
    /// Partitions to read whatever others do, by topic, instead of sharing them in the group: for an edge node, whose database
    /// remembers what it owns. In the environment: `topic:0,1;other:0`.
    #[serde(deserialize_with = "assignment")]
    pub assign: BTreeMap<String, Vec<u32>>,
}

/// Encryption of the connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TlsConfig {
    /// Whether connections are encrypted.
    pub enabled: bool,
    /// PEM file of the authorities that brokers' certificates are checked with; the system's unless set.
    pub ca_file: Option<PathBuf>,
    /// PEM file of this client's certificate, where brokers ask for one.
    pub certificate_file: Option<PathBuf>,
    /// PEM file of its private key.
    pub key_file: Option<PathBuf>,
    /// The key file's password.
    pub key_password: Option<ConfigSecret>,
}

/// Logging in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SaslConfig {
    /// How; nobody logs in unless a user is set.
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<ConfigSecret>,
}

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslMechanism {
    /// SCRAM with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// Kafka's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Compression {
    /// Kafka's name of it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Partitions by topic, as a section, or as the text `topic:0,1;other:0`.
fn assignment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<u32>>, D::Error> {
    struct Assignment;

    impl<'de> Visitor<'de> for Assignment {
        type Value = BTreeMap<String, Vec<u32>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("partitions by topic, as in `topic:0,1;other:0`")
        }

        fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
            BTreeMap::deserialize(MapAccessDeserializer::new(entries))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let invalid = || E::invalid_value(Unexpected::Str(text), &self);
            let mut topics = BTreeMap::new();
            for topic in text.split(';').map(str::trim).filter(|topic| !topic.is_empty()) {
                let (name, partitions) = topic.split_once(':').ok_or_else(invalid)?;
                let partitions = partitions.split(',').map(|partition| partition.trim().parse());
                let partitions = partitions.collect::<Result<Vec<u32>, _>>().map_err(|_| invalid())?;
                topics.insert(name.trim().to_owned(), partitions);
            }
            Ok(topics)
        }
    }

    deserializer.deserialize_any(Assignment)
}

impl Default for TopicsConfig {
    fn default() -> Self {
        Self {
            samples: "luminate.samples.v1".to_owned(),
            tenant: "luminate.tenant.{tenant}.samples.v1".to_owned(),
            tenant_topics: true,
            dead_letters: "luminate.deadletters.v1".to_owned(),
            partitions: 12,
            replication: None,
            min_insync_replicas: None,
            retention: HumanDuration::new(Duration::from_secs(7 * 86_400)),
        }
    }
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            buffer: ByteSize::mib(64),
            max_record_bytes: ByteSize::mib(8),
            delivery_timeout: HumanDuration::new(Duration::from_secs(8)),
            linger: HumanDuration::new(Duration::from_millis(5)),
            compression: Compression::Zstd,
        }
    }
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group: "luminate-writer".to_owned(),
            session_timeout: HumanDuration::new(Duration::from_secs(45)),
            max_poll_interval: HumanDuration::new(Duration::from_secs(300)),
            prefetch: ByteSize::mib(16),
            watch_interval: HumanDuration::new(Duration::from_secs(5)),
            discovery_interval: HumanDuration::new(Duration::from_secs(5)),
            assign: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use luminate_runtime::config::{Environment, Loader};

    use super::*;
    use crate::VARIABLES;

    #[derive(Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Config {
        kafka: KafkaConfig,
    }

    #[test]
    fn partitions_are_assigned_by_file_or_environment() {
        let expected = BTreeMap::from([("a.v1".to_owned(), vec![0, 1]), ("b".to_owned(), vec![7])]);
        let section = serde_json::json!({"assign": {"a.v1": [0, 1], "b": [7]}});
        assert_eq!(serde_json::from_value::<ConsumerConfig>(section).unwrap().assign, expected);

        let load = |text| {
            let environment: Environment = [("LUMINATE_KAFKA_ASSIGN", text)].into_iter().collect();
            Loader::new(&environment, VARIABLES).load::<Config>().map_err(|error| error.to_string())
        };
        assert_eq!(load("a.v1:0, 1; b:7").unwrap().config.kafka.consumer.assign, expected);
        for mistake in ["a.v1", "a.v1:x", "a.v1:0-3"] {
            let error = load(mistake).unwrap_err();
            assert!(error.contains("kafka.consumer.assign") && error.contains("LUMINATE_KAFKA_ASSIGN"), "{error}");
        }
    }
}
