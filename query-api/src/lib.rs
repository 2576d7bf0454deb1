//! The query-api: HTTP in, answers out. It keeps no state: everything it says comes from the store.
//!
//! A query takes these steps, in this order ([`query`] is the list):
//!
//! | step | module | what happens |
//! |---|---|---|
//! | authenticate | [`authenticate`] | the token is checked before the body is read; the tenant comes from it |
//! | limit | [`limit`] | queries per tenant and second |
//! | parse | `luminate_query` | the body becomes a request |
//! | wait for a receipt | [`receipt`] | until the store shows what the client has written |
//! | admit | [`admission`] | so many queries at once, of all and of each tenant |
//! | plan, execute | `luminate_query` | the request becomes an answer |
//! | render | [`render`] | the answer becomes a body |
//!
//! [`catalogue`] answers what there is to query, by the same steps. [`problems`] lists the errors, [`service`] puts
//! everything together from its section of the configuration ([`config`]), [`mod@openapi`] describes the routes.

pub mod admission;
pub mod authenticate;
pub mod catalogue;
pub mod config;
pub mod environment;
pub mod limit;
pub mod openapi;
pub mod problems;
pub mod query;
pub mod receipt;
pub mod render;
pub mod service;
pub mod wiring;

#[cfg(test)]
mod tests;

pub use config::{InvalidQueryConfig, QueryConfig};
pub use openapi::openapi;
pub use service::build;
