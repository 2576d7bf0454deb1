//! The server in one process: gateway, writer and query-api over the embedded queue and the RocksDB store, or with ClickHouse as
//! the store, or with Kafka as the queue.
//!
//! | module | holds |
//! |---|---|
//! | [`allocator`] | bounds on what the system's allocator keeps |
//! | [`config`], `queue_config` | [`ServeConfig`]: the sections of all parts |
//! | `modes` | which queue goes with which store, and what that needs |
//! | [`environment`] | the variables that set them |
//! | [`load`], `without_effect` | the layers of the configuration put together and checked |
//! | `folder` | the data folder |
//! | [`wiring`] | the parts composed, in the order in which they start and stop |
//! | `backends` | queue and store of each mode |
//! | [`skip`] | where an operator says that an edge node shall go on |
//! | `gate` | what a writer waits for before it begins |
//! | `watch` | health, failure and closing of queue and store |
//! | [`openapi`] | the document of all routes |
//! | [`reference`] | the generated pages of the documentation |

pub(crate) mod allocator;
mod backends;
pub(crate) mod config;
pub(crate) mod environment;
mod folder;
mod gate;
pub(crate) mod load;
mod modes;
pub(crate) mod openapi;
pub(crate) mod queue_config;
pub(crate) mod reference;
pub(crate) mod skip;
mod watch;
pub(crate) mod wiring;
mod without_effect;

pub(crate) use config::ServeConfig;
