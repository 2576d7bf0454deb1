//! The protocol of one partition, as a pure type: it is told what happened and answers what to do. It reads no clock, waits
//! for nothing and calls nobody, so that tests can put it through every order of events. The runtime
//! ([`partition`](mod@crate::partition)) does what it says and keeps no state of its own.
//!
//! A store that makes samples and next offset durable together (RocksDB) is simply asked where to continue. For one that does
//! not (ClickHouse), the steps of a batch `[a, b)` are:
//!
//! | step | what it makes sure of |
//! |---|---|
//! | incarnation noted | the store knows that samples are taken from this incarnation of the topic, once in a life |
//! | intent | `a` is committed with `b` and the batch's target: whoever comes later rebuilds the same batch |
//! | dead letters | what could not be used is durable before its offset is passed |
//! | insert | every row carries source and `a`; allowed for as long as the commit's permit holds |
//! | settle | instead of an insert, wherever one may have happened before: count, then store what is missing |
//! | settled | `b` is committed, alone or as the next batch's intent |
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | what the protocol is told and what it asks for |
//! | [`metadata`] | what is committed beside an offset |
//! | [`machine`] | [`PartitionProtocol`] |
//! | [`pending`] | a closed batch on its way to the store |
//! | [`reading`] | what the records that come are for |
//! | [`state`] | [`ProtocolRules`], and where a partition stands |

pub mod event;
pub mod machine;
pub mod metadata;
mod pending;
mod reading;
mod state;

#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod model;

pub use event::{Action, End, Event, Halt, Operation, Outcome, StoredBatch, Ticket};
pub use machine::PartitionProtocol;
pub use state::ProtocolRules;
