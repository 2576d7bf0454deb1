//! The single-node server: gateway, writer and query-api in one process, over the embedded queue and the RocksDB store.
//!
//! | module | holds |
//! |---|---|
//! | [`allocator`] | bounds on what the system's allocator keeps |
//! | [`config`] | [`ServeConfig`]: the sections of all parts |
//! | [`environment`] | the variables that set them |
//! | [`load`] | the layers of the configuration put together and checked |
//! | [`wiring`] | the parts composed, in the order in which they start and stop |
//! | [`watch`] | health, failure and closing of queue and store |
//! | [`openapi`] | the document of all routes |
//! | [`reference`] | the generated pages of the documentation |

pub(crate) mod allocator;
pub(crate) mod config;
pub(crate) mod environment;
pub(crate) mod load;
pub(crate) mod openapi;
pub(crate) mod reference;
mod watch;
pub(crate) mod wiring;

pub(crate) use config::ServeConfig;
