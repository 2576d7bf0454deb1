//! The configuration of `luminate serve`: the sections of its parts.

use std::path::PathBuf;

use luminate_clickhouse::ClickHouseConfig;
use luminate_ingest_gateway::GatewayConfig;
use luminate_kafka::KafkaConfig;
use luminate_query_api::QueryConfig;
use luminate_rocksdb::RocksStoreConfig;
use luminate_runtime::config::{AuthConfig, RetentionConfig};
use luminate_runtime::http::HttpConfig;
use luminate_runtime::lifecycle::LifecycleConfig;
use luminate_runtime::telemetry::LogConfig;
use luminate_writer::WriterConfig;
use luminate_writer::schema_registry::SchemaRegistryConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::queue_config::QueueConfig;

/// Everything that can be set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ServeConfig {
    /// The folder of queue, store and, where no secret is set, the secret. Unless set: `luminate` in the user's data
    /// folder (`XDG_DATA_HOME`, else `~/.local/share`).
    pub(crate) data_dir: Option<PathBuf>,
    /// The port.
    pub(crate) http: HttpConfig,
    /// Who may do what.
    pub(crate) auth: AuthConfig,
    /// What write requests may be, and how they are spread.
    pub(crate) gateway: GatewayConfig,
    /// Where records wait until they are stored.
    pub(crate) queue: QueueConfig,
    /// Kafka; read where it is the queue.
    pub(crate) kafka: KafkaConfig,
    /// Where schemas are kept that direct producers' records name by a number; read where Kafka is the queue.
    pub(crate) schema_registry: SchemaRegistryConfig,
    /// How records become stored batches.
    pub(crate) writer: WriterConfig,
    /// Where samples are kept.
    pub(crate) storage: StorageConfig,
    /// How long samples are kept.
    pub(crate) retention: RetentionConfig,
    /// What queries may take.
    pub(crate) query: QueryConfig,
    /// How long a stop may take.
    pub(crate) lifecycle: LifecycleConfig,
    /// What is logged, and how.
    pub(crate) log: LogConfig,
}

/// Where samples are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StorageConfig {
    /// The store behind writer and queries: `rocksdb`, in the data folder, or `clickhouse`.
    pub(crate) backend: StorageBackend,
    /// The RocksDB store; read where it is the store.
    pub(crate) rocksdb: RocksStoreConfig,
    /// The ClickHouse store; read where it is the store.
    pub(crate) clickhouse: ClickHouseConfig,
}

/// A store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum StorageBackend {
    /// RocksDB, in the data folder.
    #[default]
    Rocksdb,
    /// ClickHouse.
    Clickhouse,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            data_dir: None,
            // One machine's server is not offered to the network unless someone says so.
            http: HttpConfig { listen: "127.0.0.1:8080".to_owned(), ..HttpConfig::default() },
            auth: AuthConfig::default(),
            gateway: GatewayConfig::default(),
            queue: QueueConfig::default(),
            kafka: KafkaConfig::default(),
            schema_registry: SchemaRegistryConfig::default(),
            writer: WriterConfig::default(),
            storage: StorageConfig::default(),
            retention: RetentionConfig::default(),
            query: QueryConfig::default(),
            lifecycle: LifecycleConfig::default(),
            log: LogConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_a_dead_letter_has_room_for_whatever_a_queue_takes() {
        let config = ServeConfig::default();
        let kept = config.writer.dead_letters.max_bytes;
        assert!(kept >= config.queue.embedded.max_record_bytes, "{kept:?}");
        assert!(kept >= config.kafka.producer.max_record_bytes, "{kept:?}");
    }
}
