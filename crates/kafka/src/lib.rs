//! Apache Kafka behind the queue's traits: gateways' producer, writers' consumer, dead letters, watermarks, topics.
//!
//! Everything comes from a [`KafkaCluster`], which is made of a [`KafkaConfig`].
//!
//! | module | holds |
//! |---|---|
//! | [`config`], `config_check`, `settings` | [`KafkaConfig`], what is refused in it, and librdkafka's settings for it |
//! | [`environment`] | the variables that set its keys |
//! | [`cluster`] | [`KafkaCluster`]: a client that asks for topics, ends and committed offsets |
//! | `bounds` | where partitions begin and end |
//! | `topics` | topics, their incarnations and owners |
//! | [`producer`], `delivery` | [`KafkaProducer`]: records in, placements out |
//! | [`consumer`] | [`KafkaConsumer`]: partitions, revocation, fencing |
//! | [`dead_letters`] | [`KafkaDeadLetters`]: a compacted topic |
//! | [`watermarks`] | [`KafkaWatermarks`]: how far samples are stored, by committed offsets |
//! | [`admin`] | [`KafkaAdmin`]: ends of partitions |
//! | [`assigned`] | which partitions the configuration assigns, in which incarnation |
//! | [`history`] | [`KafkaHistory`]: reading records again |
//! | [`topic_admin`] | [`TopicAdmin`]: topics as the configuration wants them |
//! | [`error`] | [`KafkaError`] |
//! | `context`, `bootstrap` | librdkafka's log, the brokers' health, and clients that have forgotten the brokers |
//! | `native` | calls that rdkafka lacks; all unsafe code |

pub mod admin;
pub mod assigned;
mod bootstrap;
mod bounds;
pub mod cluster;
pub mod config;
mod config_check;
pub mod consumer;
mod context;
pub mod dead_letters;
mod delivery;
pub mod environment;
pub mod error;
pub mod history;
mod native;
pub mod producer;
mod settings;
pub mod topic_admin;
mod topics;
pub mod watermarks;

pub use admin::KafkaAdmin;
pub use assigned::AssignedPartition;
pub use cluster::KafkaCluster;
pub use config::KafkaConfig;
pub use consumer::{Commits, ConsumerCloser, KafkaConsumer, OwnedEnds, Pulse};
pub use dead_letters::KafkaDeadLetters;
pub use environment::VARIABLES;
pub use error::KafkaError;
pub use history::KafkaHistory;
pub use producer::KafkaProducer;
pub use topic_admin::TopicAdmin;
pub use watermarks::KafkaWatermarks;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
