//! The writer: records in, batches stored.
//!
//! For each partition a task takes these steps, in this order ([`partition`](mod@partition) is the list):
//!
//! | step | module | what happens |
//! |---|---|---|
//! | resume | [`partition`](mod@partition) | the store says where to continue, and which keyed records it remembers |
//! | poll | [`partition`](mod@partition) | records come from the queue |
//! | decode | [`mod@decode`], [`schema_registry`] | a record becomes a tenant's samples |
//! | judge | [`judge`](mod@judge), [`idempotency`] | repeats are recognised |
//! | batch | [`batch`] | records are gathered by samples, bytes and age |
//! | dead letters | [`mod@dead_letter`] | what cannot be used is kept, before its offset is passed |
//! | store | [`partition`](mod@partition) | the batch becomes durable, with its next offset |
//! | commit | [`partition`](mod@partition) | the queue may let go of the records |
//!
//! [`assignments`](mod@assignments) gives each partition its task, [`progress`] tells how far they are, [`watch`](mod@watch)
//! measures lag and health, [`admin`] answers operators, [`mod@reconcile`] compares queue and store afterwards. [`writer`] puts everything together, from its section of the
//! configuration ([`config`]).

pub mod admin;
mod assignments;
pub mod batch;
pub mod config;
pub mod dead_letter;
pub mod decode;
pub mod error;
pub mod idempotency;
pub mod judge;
mod partition;
pub mod progress;
pub mod protocol;
pub mod reconcile;
pub mod schema_registry;
mod watch;
pub mod wiring;
pub mod writer;

#[cfg(test)]
mod exactly_once_tests;
#[cfg(test)]
mod pipeline_tests;
#[cfg(test)]
mod test_records;

pub use config::{InvalidWriterConfig, WriterConfig};
pub use progress::{OwnWatermarks, Progress};
pub use writer::{Writer, WriterParts, build};
