//! Black-box tests of whole processes: they start the real `luminate` binary on free ports of 127.0.0.1 in temporary
//! folders, speak HTTP with it, kill it, and look at what is left. One file a behaviour.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod admin;
mod cli;
mod clickhouse_queries;
mod cluster;
mod crash;
mod dead_letters_full;
mod deploy;
mod disk_full;
mod erase;
mod error_codes;
mod hostile_bodies;
mod hostile_connections;
mod hostile_queries;
mod hostile_tokens;
mod idempotency;
mod isolation;
mod memory;
mod metrics;
mod mixes;
mod needle;
mod openapi;
mod power_loss;
mod reconcile;
mod retention;
mod shutdown;
mod sync;
mod workspace;
