//! The life of a process: starting, ready, draining, stopped.
//!
//! | module | holds |
//! |---|---|
//! | [`phase`] | [`Phase`], [`StopStage`], [`StopSignal`], why a process stops |
//! | [`supervisor`] | [`Lifecycle`]: supervised tasks and the ordered stop |
//! | `signals` | SIGTERM and SIGINT |
//! | [`health`] | [`Health`]: dependencies and their states |
//! | [`heartbeat`] | [`Heartbeat`]: loops that must turn |

pub mod health;
pub mod heartbeat;
pub mod phase;
mod signals;
pub mod supervisor;

pub use health::{Dependency, DependencyState, Health};
pub use heartbeat::{Heartbeat, Heartbeats};
pub use phase::{Phase, StopReason, StopReport, StopSignal, StopStage};
pub use supervisor::{Identity, Lifecycle, LifecycleConfig, TaskError};
