//! The section `storage` of a process whose store is ClickHouse.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::ClickHouseConfig;

/// Where samples are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterStorageConfig {
    /// The store. RocksDB belongs to the one process that has it open: `luminate serve`.
    pub backend: ClusterBackend,
    /// The ClickHouse store.
    pub clickhouse: ClickHouseConfig,
}

/// A store that several processes share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClusterBackend {
    /// ClickHouse.
    #[default]
    Clickhouse,
}

/// By hand, to tell whoever wants RocksDB here how it is had.
impl<'de> Deserialize<'de> for ClusterBackend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "clickhouse" => Ok(Self::Clickhouse),
            "rocksdb" => Err(D::Error::custom(
                "`rocksdb` belongs to the one process that has it open: for an edge node, with Kafka in and RocksDB out, run \
                 `luminate serve` with LUMINATE_QUEUE_BACKEND=kafka; expected `clickhouse` here",
            )),
            other => Err(D::Error::unknown_variant(other, &["clickhouse"])),
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
        storage: ClusterStorageConfig,
    }

    #[test]
    fn whoever_wants_rocksdb_is_told_of_the_edge_node() {
        let load = |backend| {
            let environment: Environment = [("LUMINATE_STORAGE_BACKEND", backend)].into_iter().collect();
            Loader::new(&environment, VARIABLES).load::<Config>().map_err(|error| error.to_string())
        };
        assert_eq!(load("clickhouse").unwrap().config.storage.backend, ClusterBackend::Clickhouse);
        let refused = load("rocksdb").unwrap_err();
        assert!(refused.contains("storage.backend") && refused.contains("LUMINATE_QUEUE_BACKEND=kafka"), "{refused}");
        assert!(load("mysql").unwrap_err().contains("`clickhouse`"));
    }
}
