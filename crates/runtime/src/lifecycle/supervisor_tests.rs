//! Tests of supervision and of the order of a stop.
#![allow(clippy::unwrap_used, clippy::panic)]
