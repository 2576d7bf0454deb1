//! Schemas that a record names by a number, under which a schema registry keeps them (the Confluent wire format).
//!
//! Decoding asks what is known and does no I/O: a number that is not known yet comes out of it as
//! [`NotDecoded::NeedsSchema`](crate::decode::NotDecoded). The partition then calls [`RegisteredSchemas::learn`] and decodes the
//! same record again. While the registry is away that call fails, the partition waits and tries again, and nothing is lost; a
//! number that the registry does not know is a reject. What a registry says may change, so an intent notes what it said
//! ([`NotedSchemas`]).
//!
//! | module | holds |
//! |---|---|
//! | [`known`] | [`RegisteredSchemas`]: what is known, bounded |
//! | [`noted`] | [`NotedSchemas`]: by what the records of one batch were judged |
//! | `waiting` | waiting for a registry that does not answer |
//! | [`http`] | [`HttpSchemaRegistry`]: a registry that is asked over HTTP |
//! | [`config`] | the section of the configuration |

pub mod config;
pub mod http;
pub mod known;
pub mod noted;
#[cfg(test)]
mod outage_tests;
mod waiting;

use async_trait::async_trait;
use luminate_schemas::{PublishedSchema, UnusableSchema};

pub use config::{InvalidSchemaRegistryConfig, SchemaRegistryConfig};
pub use http::HttpSchemaRegistry;
pub use known::RegisteredSchemas;
pub use noted::NotedSchemas;

/// What a registered schema is to us: one of the published ones, or no use.
pub type Lookup = Result<PublishedSchema, UnusableSchema>;

/// The registry did not answer, or not as it should: trying again may help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema registry did not tell schema {id}: {reason}")]
pub struct SchemaRegistryError {
    /// The number that was asked for.
    pub id: u32,
    /// For the log.
    pub reason: String,
}

/// A schema registry.
#[async_trait]
pub trait SchemaRegistry: Send + Sync + 'static {
    /// What the registry keeps under a number. That it keeps nothing is an answer ([`UnusableSchema::NotRegistered`]), not an
    /// error.
    ///
    /// # Errors
    /// [`SchemaRegistryError`]
    async fn look_up(&self, id: u32) -> Result<Lookup, SchemaRegistryError>;
}
