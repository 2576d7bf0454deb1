//! The writing half against the real engine.
//!
//! | module | asks |
//! |---|---|
//! | [`migrating`] | tables are made once, under a lock, and nothing starts over tables that it does not know |
//! | [`storing`] | rows arrive as they were sent, once |
//! | [`settling`] | what is found out after doubt |
//! | [`crashing`] | a server that was killed at the wrong moment |
//! | [`expiring`] | retention over all times |
//! | [`erasing`] | what an erasure covers is gone and stays away |
//! | [`incarnations`] | which incarnations of a topic samples were taken from |
//! | [`sharding`] | two shards and one distributed table |
//! | [`fixture`] | a store of a test's own, and batches |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod crashing;
mod erasing;
mod expiring;
mod fixture;
mod incarnations;
mod migrating;
mod settling;
mod sharding;
mod storing;
