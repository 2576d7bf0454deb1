//! Reading from a real ClickHouse.
//!
//! | module | asks |
//! |---|---|
//! | `answers` | generated queries have the oracle's answers |
//! | `conformance` | the suite that every store passes |
//! | `injection` | what a user sends never becomes SQL |
//! | `migrated` | what was written before a migration is read like what was written after it |
//! | `pushdown` | only results travel |
//! | `limits` | time, memory, samples and rows are bounded, and a query ends with who asked it |
//! | `reader` | the read-only user of `deploy/clickhouse` can do what the query-api does, and no more |
//! | `shards` | several shards are one store; a missing one is an error |
//! | `https` | a server behind TLS is spoken to where a known authority has signed its certificate for its name |
//! | `failover` | where one of several servers is gone, another one answers |
//! | `replicas` | replicas are brought up to date where an answer depends on it |
//! | `posing` | servers that pose as replicas |
//! | `database` | what they read |
//! | `relay` | a way to the server that a test can cut |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod conformance;
mod database;
mod failover;
mod https;
mod injection;
mod limits;
mod migrated;
mod posing;
mod pushdown;
mod reader;
mod relay;
mod replicas;
mod shards;
