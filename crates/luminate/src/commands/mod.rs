//! The commands, a file each: its flags, its help with an example, and what it does.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dimensions;
pub(crate) mod dlq;
pub(crate) mod erase;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod metrics;
pub(crate) mod migrate;
pub(crate) mod openapi;
pub(crate) mod query;
pub(crate) mod reconcile;
pub(crate) mod reference;
pub(crate) mod serve;
pub(crate) mod token;
pub(crate) mod topics;
pub(crate) mod write;
