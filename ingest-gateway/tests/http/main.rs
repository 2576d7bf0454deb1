//! Write requests through the whole gateway, into a queue in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod answers;
mod bodies;
mod fixture;
mod idempotency;
mod openapi;
mod queue_failures;
mod rejects;
