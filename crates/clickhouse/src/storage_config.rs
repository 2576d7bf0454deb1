//! The section `storage` of a process whose store is ClickHouse.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClusterBackend {
    /// ClickHouse.
    #[default]
    Clickhouse,
}
