//! What the black-box tests need: servers as child processes, a small HTTP client, generated samples.
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | [`Server`]: the real binary on a free port, in a temporary folder |
//! | [`client`] | [`Client`]: one tenant's view of a server |
//! | [`samples`] | samples to write, made from a seed |
//! | [`raw`] | [`RawConnection`]: a client that breaks the rules |
//! | [`tokens`] | tokens made by hand |
//! | [`problem`] | what every error of the API must be like |
//! | [`metrics`] | what a process tells of itself, held against the documentation |
//! | [`observed`] | the error codes that were answered |
//! | [`process`] | what the kernel knows of a process, and processes that end with ours |
//! | [`health`] | what `/api/v1/health` may say |
//! | [`files`] | what lies in a server's folder |
//! | [`small_disk`] | [`SmallDisk`]: a disk that is soon full |
//! | [`wait`] | waiting on conditions |
//! | [`engines`] | real brokers and databases |
//! | [`chaos`] | [`Rounds`](chaos::Rounds) of longer fault runs |
//! | [`cluster`] | [`Cluster`]: gateways, writers and query-apis between those |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

pub mod certificates;
pub mod chaos;
pub mod client;
pub mod cluster;
pub mod engines;
pub mod files;
pub mod health;
pub mod metrics;
pub mod observed;
pub mod problem;
pub mod process;
pub mod raw;
pub mod samples;
pub mod server;
pub mod small_disk;
pub mod tokens;
pub mod wait;

pub use client::{Answer, Client};
pub use cluster::Cluster;
pub use raw::{Outcome, RawConnection};
pub use server::{Server, ServerOptions};
pub use small_disk::SmallDisk;
