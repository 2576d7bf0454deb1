//! Tests of the routes over the in-memory store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod catalogue;
mod errors;
mod harness;
mod isolation;
mod receipts;
mod stopping;
