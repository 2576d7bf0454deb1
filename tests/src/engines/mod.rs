//! Real engines for tests: brokers, databases, a schema registry. `docs/test-engines.md` says what they need.
//!
//! | module | holds |
//! |---|---|
//! | [`kafka`] | [`Kafka`]: Apache Kafka, one node or more, with users and ACLs where asked for |
//! | [`clickhouse`] | [`ClickHouse`]: ClickHouse, one node or one for each shard |
//! | [`schema_registry`] | [`SchemaRegistry`]: a small one of our own, which can be made to misbehave |
//! | `choice` | where a shared engine comes from: a named server, a container, or what is fetched |
//! | `supervisor` | the process that holds an engine's nodes and ends with the test |
//!
//! `start` gives a test its own engine, which it may kill; `shared` gives all tests of a process the same one, which
//! they use in parallel, each with topics and databases of its own ([`unique_name`]).

use std::sync::atomic::{AtomicU32, Ordering};

mod choice;
pub mod clickhouse;
pub mod kafka;
pub mod schema_registry;
mod supervisor;

#[cfg(test)]
mod clickhouse_tests;
#[cfg(test)]
mod kafka_tests;
#[cfg(test)]
mod schema_registry_tests;

pub use clickhouse::{ClickHouse, ClickHouseOptions};
pub use kafka::{Kafka, KafkaOptions};
pub use schema_registry::{Behaviour, SchemaRegistry};

/// A name for a topic, a group or a database that no other test has used, also not on a server that outlives them.
pub fn unique_name(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}_{:08x}_{count}", rand::random::<u32>())
}
