//! The contracts of Luminate, embedded, and the codec of records.
//!
//! | module | holds |
//! |---|---|
//! | [`sample_columns`] | [`encode`] and [`decode`]: [`SampleColumns`](luminate_model::SampleColumns) as the value of a record |
//! | [`single_object`] | the header that says which schema a value was written with |
//! | [`error`] | [`DecodeError`]: why a value cannot be decoded |
//!
//! Beside the code stand the contracts themselves: `avro/` the schemas of records, `examples/` one stored record for every
//! published version of each schema (all of them still decode), `vectors/` series with their ids.
//!
//! The codec is written by hand, because it runs for every sample that is taken; tests hold it against `apache-avro`.

mod avro;
pub mod error;
pub mod sample_columns;
pub mod single_object;

pub use error::DecodeError;
pub use sample_columns::{decode, encode};

/// The Avro schema of the values that gateways write, as published.
pub const SAMPLE_COLUMNS_V1: &str = include_str!("../avro/SampleColumns.v1.avsc");
