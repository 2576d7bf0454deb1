//! What benchmarks have in common: the same load for every server, and what each took of the machine for it.
//!
//! | module | holds |
//! |---|---|
//! | [`workload`] | the samples, the same for the same number, as bodies of write requests |
//! | [`load`] | sending them, at full speed or at a fixed rate |
//! | [`latencies`] | how long requests took |
//! | [`wire`] | HTTP that costs less than the server which is measured |
//! | [`usage`] | processor time and memory of a process, and what a folder takes on disk |
//! | [`process`] | a server as a child process |
//!
//! `luminate bench` measures the single node with it, `tests/benches/cluster` the services of a cluster.

pub mod latencies;
pub mod load;
pub mod process;
pub mod usage;
pub mod wire;
pub mod workload;

pub use latencies::Latencies;
pub use load::{Door, send_all, send_paced};
pub use process::MeasuredProcess;
pub use usage::Usage;
pub use wire::{Answer, Connection};
pub use workload::{Request, Workload};
