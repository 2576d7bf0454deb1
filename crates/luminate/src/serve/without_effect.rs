//! What is set and not read: someone expects something of it that will not happen, so it is told.

use luminate_clickhouse::ClickHouseConfig;
use luminate_kafka::KafkaConfig;
use luminate_rocksdb::RocksStoreConfig;
use luminate_rocksdb::queue::EmbeddedQueueConfig;
use luminate_runtime::config::{EnvVariable, Environment};
use luminate_writer::schema_registry::SchemaRegistryConfig;

use super::config::{ServeConfig, StorageBackend};
use super::environment::{of_clickhouse, of_kafka};
use super::queue_config::QueueBackend;

/// A sentence for each section that is set and not read.
pub(super) fn warnings(config: &ServeConfig, environment: &Environment) -> Vec<String> {
    let without_kafka = "Kafka is not the queue (LUMINATE_QUEUE_BACKEND)";
    let without_clickhouse = "ClickHouse is not the store (LUMINATE_STORAGE_BACKEND)";
    let (queue, storage) = (&config.queue, &config.storage);
    let mut warnings = Vec::new();
    let mut look = |is_set: bool, section: &str, variables: &[EnvVariable], why: &str| {
        if is_set {
            let set = variables.iter().find(|variable| environment.get(variable.name).is_some());
            let what = set.map_or(format!("`{section}`"), |variable| variable.name.to_owned());
            warnings.push(format!("{what} is set, but {why}, and it is not read"));
        }
    };
    if queue.backend == QueueBackend::Embedded {
        look(config.kafka != KafkaConfig::default(), "kafka", &of_kafka(), without_kafka);
        let registry = config.schema_registry != SchemaRegistryConfig::default();
        look(registry, "schemaRegistry", &[], without_kafka);
    } else {
        let embedded = queue.embedded != EmbeddedQueueConfig::default();
        look(embedded, "queue", &[], "Kafka is the queue, with settings in the section `kafka`");
    }
    if storage.backend == StorageBackend::Rocksdb {
        let clickhouse = storage.clickhouse != ClickHouseConfig::default();
        look(clickhouse, "storage.clickhouse", &of_clickhouse(), without_clickhouse);
    } else {
        let rocksdb = storage.rocksdb != RocksStoreConfig::default();
        look(rocksdb, "storage.rocksdb", &[], "ClickHouse is the store");
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_mode_reads_is_told() {
        let mut config = ServeConfig::default();
        assert_eq!(warnings(&config, &Environment::default()), Vec::<String>::new());
        config.kafka.brokers = vec!["b:9092".to_owned()];
        config.storage.clickhouse.database = "other".to_owned();
        let environment = [("LUMINATE_KAFKA_BROKERS", "b:9092")].into_iter().collect();
        let told = warnings(&config, &environment);
        assert!(told[0].starts_with("LUMINATE_KAFKA_BROKERS is set, but Kafka is not the queue"), "{told:?}");
        assert!(told[1].starts_with("`storage.clickhouse` is set, but ClickHouse is not the store"), "{told:?}");

        let mut config = ServeConfig::default();
        config.queue.backend = QueueBackend::Kafka;
        config.queue.embedded.partitions = Some(3);
        config.storage.backend = StorageBackend::Clickhouse;
        config.storage.rocksdb.merge_runs += 1;
        let told = warnings(&config, &Environment::default());
        assert!(
            matches!(told.as_slice(), [queue, store] if queue.contains("`queue`") && store.contains("`storage.rocksdb`"))
        );
    }
}
