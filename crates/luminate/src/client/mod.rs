//! The client of Luminate's HTTP API that the commands share.
//!
//! | module | holds |
//! |---|---|
//! | [`connection`] | the flags and variables that say which server, and with which token |
//! | [`http`] | [`ServerClient`]: one request, one answer |
//! | [`error`] | [`ClientError`]: what can go wrong, with what to do |
//! | [`answers`] | the answers of the API, as far as commands read them |

pub(crate) mod answers;
pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod http;

pub(crate) use connection::{AdminConnection, Connection};
pub(crate) use error::ClientError;
pub(crate) use http::{Answer, ServerClient};
