//! ClickHouse behind the storage traits. No other crate names ClickHouse.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`ClickHouseConfig`]: where the servers are, and how inserts are made |
//! | [`environment`] | the variables that set its keys |
//! | [`storage_config`] | the section `storage` of a process whose store is ClickHouse |
//! | `layout` | shards and replicas, and reading the newest rows from one of them |
//! | [`client`] | [`Hosts`]: statements over HTTP with parameters, failover between hosts, errors told apart |
//! | [`migrate`] | making and changing the tables |
//! | [`sink`] | [`ClickHouseSink`]: storing batches |
//! | [`source`] | answering queries |

pub mod client;
pub mod config;
pub mod environment;
mod layout;
pub mod migrate;
pub mod sink;
pub mod source;
pub mod storage_config;

pub use client::{ClientError, Hosts};
pub use config::ClickHouseConfig;
pub use environment::VARIABLES;
pub use migrate::{MigrateError, check, migrate, wait_until_migrated};
pub use sink::ClickHouseSink;
pub use source::ClickHouseSource;
pub use storage_config::{ClusterBackend, ClusterStorageConfig};
