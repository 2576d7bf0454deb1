//! RocksDB behind Luminate's two traits of storing: the store of column blocks and the embedded queue. No other crate
//! names RocksDB.
//!
//! | module | holds |
//! |---|---|
//! | [`block`] | column blocks: many samples as one summary and numbered pages; pure encoding and decoding |
//! | [`queue`] | [`EmbeddedQueue`](queue::EmbeddedQueue): records and dead letters in a database of their own |
//! | [`store`] | [`RocksStore`]: blocks in a database; writing, merging, retention, erasing, reading |
//! | `database` | what store and queue share of RocksDB: options, errors told apart, failure that lasts |
//! | `error` | [`OpenError`], [`DatabaseError`] |

pub mod block;
mod database;
mod error;
pub mod queue;
pub mod store;

pub use database::Failure;
pub use error::{DatabaseError, OpenError};
pub use store::{ClaimError, OwnedPartition, PartitionNames, RocksStore, RocksStoreConfig};
