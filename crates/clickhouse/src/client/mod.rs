//! Statements to servers, over HTTP.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | [`Address`]: what a server's address may look like |
//! | `tls` | connections, with TLS where an address wants it |
//! | [`statement`] | [`Statement`]: SQL, parameters, settings |
//! | [`host`] | [`Host`]: one server; [`Answer`]: a result as it comes |
//! | [`hosts`] | [`Hosts`]: servers of which any will do |
//! | `health` | whether they answer, asked by itself |
//! | [`topology`] | [`Topology`]: which host is which shard and replica |
//! | [`error`] | [`ClientError`] |

pub mod address;
pub mod error;
mod health;
pub mod host;
pub mod hosts;
pub mod statement;
mod tls;
pub mod topology;

pub use address::Address;
pub use error::{ClientError, codes};
pub use host::{Answer, Host, Insert};
pub use hosts::Hosts;
pub use statement::Statement;
pub use topology::{Shard, Topology};
