//! The contracts of Luminate, embedded, and the codec of records.
//!
//! | module | holds |
//! |---|---|
//! | [`sample_columns`] | [`encode`] and [`decode`]: [`SampleColumns`](luminate_model::SampleColumns) as the value of a record |
//! | [`sample_rows`] | the same for the form that direct producers write |
//! | [`judged`] | [`JudgedSamples`]: a direct producer's samples, the valid and the rejected ones |
//! | [`published`] | [`PublishedSchema`]: what can be read |
//! | [`framing`] | how a value names its schema: [`single_object`] encoding, or the [`confluent`] wire format |
//! | [`error`] | [`DecodeError`]: why a value cannot be decoded |
//!
//! Beside the code stand the contracts themselves: `openapi.json` the HTTP API, `avro/` the schemas of records, `examples/` one stored record for every
//! published version of each schema (all of them still decode), `vectors/` series with their ids.
//!
//! The codec is written by hand, because it runs for every sample that is taken; tests hold it against `apache-avro`.

mod avro;
mod canonical;
pub mod confluent;
pub mod error;
pub mod framing;
pub mod judged;
pub mod published;
pub mod sample_columns;
pub mod sample_rows;
pub mod single_object;

pub use error::DecodeError;
pub use framing::WrittenWith;
pub use judged::{JudgedSamples, RejectedSamples};
pub use published::{PublishedSchema, SAMPLE_COLUMNS_V1, SAMPLE_ROWS_V1, UnusableSchema};
pub use sample_columns::{decode, encode};

/// The document of the HTTP API (OpenAPI 3.1): the routes of all services. `luminate openapi` writes it from the code.
pub const OPENAPI: &str = include_str!("../openapi.json");
