//! What the black-box tests need: servers as child processes, a small HTTP client, generated samples.
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | [`Server`]: the real binary on a free port, in a temporary folder |
//! | [`client`] | [`Client`]: one tenant's view of a server |
//! | [`samples`] | samples to write, made from a seed |
//! | [`wait`] | waiting on conditions |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

pub mod client;
pub mod samples;
pub mod server;
pub mod wait;

pub use client::{Answer, Client};
pub use server::{Server, ServerOptions};
