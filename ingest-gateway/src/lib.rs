//! The gateway: HTTP in, records out. It keeps no state: what it acknowledges is in the queue.
//!
//! A write request takes these steps, in this order ([`write`](mod@write) is the list):
//!
//! | step | module | what happens |
//! |---|---|---|
//! | authenticate | [`authenticate`] | the token is checked before anything of the body is read; the tenant comes from it |
//! | limit | [`limit`] | requests and samples per tenant and second |
//! | decode | [`head`], [`mod@decompress`], [`decode`] | the body becomes samples, borrowed from it |
//! | validate | [`validate`] | each sample is judged, once and for all |
//! | route | [`route`] | the valid ones are split into records, by ranges of the body and by shards |
//! | publish | [`mod@publish`] | the records become durable |
//!
//! [`intake`] runs decode, validate and route in one pass. [`rejects`] counts what was wrong, [`answer`] says so, [`problems`]
//! lists the errors of whole requests. [`gateway`] puts everything together, from its section of the configuration ([`config`]);
//! [`mod@openapi`] describes its routes.

pub mod answer;
pub mod authenticate;
pub mod config;
pub mod decode;
pub mod decompress;
pub mod environment;
pub mod gateway;
pub mod head;
pub mod intake;
pub mod limit;
pub mod openapi;
pub mod problems;
pub mod publish;
pub mod rejects;
pub mod route;
pub mod validate;
pub mod wiring;
pub mod write;

pub use config::{GatewayConfig, InvalidGatewayConfig};
pub use gateway::build;
pub use openapi::openapi;

/// Property tests that try the same values on every run.
#[cfg(test)]
fn seeded_proptest(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}
