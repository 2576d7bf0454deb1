//! Which queue goes with which store, and what a mode wants to be set.
//!
//! | queue | store | is |
//! |---|---|---|
//! | embedded | RocksDB | a single node |
//! | embedded | ClickHouse | a single node in front of ClickHouse |
//! | Kafka | RocksDB | an edge node |
//! | Kafka | ClickHouse | a cluster, which has processes of its own |

use std::fmt;

use anyhow::{bail, ensure};
use luminate_kafka::config::ConsumerConfig;
use luminate_runtime::telemetry::Process;

use super::config::{ServeConfig, StorageBackend};
use super::queue_config::QueueBackend;

/// The group whose offsets an edge node leaves its hints in, where none is set. Never that of a cluster's writers: to them a
/// committed offset says what is stored in ClickHouse.
const EDGE_GROUP: &str = "luminate-edge";

/// What `luminate serve` is: which queue it has, and which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) queue: QueueBackend,
    pub(super) store: StorageBackend,
}

impl Mode {
    pub(super) const fn of(config: &ServeConfig) -> Self {
        Self { queue: config.queue.backend, store: config.storage.backend }
    }

    /// Whose metrics there are.
    pub(super) fn processes(self) -> Vec<Process> {
        let mut processes = Process::SERVICES.to_vec();
        if self.store == StorageBackend::Rocksdb {
            processes.push(Process::OwnStore);
        }
        if self.queue == QueueBackend::Embedded {
            processes.push(Process::EmbeddedQueue);
        }
        processes
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = match self.queue {
            QueueBackend::Embedded => "embedded",
            QueueBackend::Kafka => "kafka",
        };
        let store = match self.store {
            StorageBackend::Rocksdb => "rocksdb",
            StorageBackend::Clickhouse => "clickhouse",
        };
        write!(f, "queue `{queue}` and store `{store}`")
    }
}

/// Checks what the mode needs, and fills in what follows from it.
///
/// # Errors
/// Names the key.
pub(super) fn check(config: &mut ServeConfig) -> anyhow::Result<()> {
    let mode = Mode::of(config);
    if mode.store == StorageBackend::Clickhouse {
        ensure!(
            mode.queue == QueueBackend::Embedded,
            "queue.backend `kafka` with storage.backend `clickhouse` is a cluster: run luminate-gateway, luminate-writer and \
             luminate-query"
        );
        config.storage.clickhouse.check()?;
    }
    if mode.queue == QueueBackend::Kafka {
        config.kafka.check()?;
        let consumer = &mut config.kafka.consumer;
        if consumer.assign.values().all(Vec::is_empty) {
            bail!(
                "kafka.consumer.assign is empty: list the partitions that this edge node reads, as in \
                 LUMINATE_KAFKA_ASSIGN=luminate.samples.v1:0,1"
            );
        }
        if consumer.group == ConsumerConfig::default().group {
            consumer.group = EDGE_GROUP.to_owned();
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn edge() -> ServeConfig {
        let mut config = ServeConfig::default();
        config.queue.backend = QueueBackend::Kafka;
        config.kafka.brokers = vec!["b:9092".to_owned()];
        config.kafka.consumer.assign.insert("luminate.samples.v1".to_owned(), vec![0]);
        config
    }

    fn refused(config: &mut ServeConfig) -> String {
        check(config).unwrap_err().to_string()
    }

    #[test]
    fn an_edge_node_wants_brokers_and_partitions() {
        let mut config = edge();
        check(&mut config).unwrap();
        assert_eq!(config.kafka.consumer.group, EDGE_GROUP);
        config.kafka.brokers.clear();
        assert!(refused(&mut config).starts_with("kafka.brokers: "));
        let mut config = edge();
        config.kafka.consumer.assign.insert("luminate.samples.v1".to_owned(), Vec::new());
        assert!(refused(&mut config).starts_with("kafka.consumer.assign is empty"));
    }

    #[test]
    fn a_cluster_is_not_one_process() {
        let mut config = edge();
        config.storage.backend = StorageBackend::Clickhouse;
        assert!(refused(&mut config).contains("luminate-gateway"));
    }

    #[test]
    fn the_settings_of_the_store_are_checked() {
        let mut config = ServeConfig::default();
        config.storage.backend = StorageBackend::Clickhouse;
        check(&mut config).unwrap();
        config.storage.clickhouse.database = "a b".to_owned();
        assert!(refused(&mut config).starts_with("storage.clickhouse.database: "));
    }
}
