//! ClickHouse behind the storage traits. No other crate names ClickHouse.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`ClickHouseConfig`]: where the servers are, and how inserts are made |
//! | [`client`] | [`Hosts`]: statements over HTTP with parameters, failover between hosts, errors told apart |
//! | [`source`] | answering queries |

pub mod client;
pub mod config;
pub mod source;

pub use client::{ClientError, Hosts};
pub use config::ClickHouseConfig;
