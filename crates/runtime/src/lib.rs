//! What every process of Luminate stands on: configuration, telemetry, a life with an orderly end, and HTTP.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@clock`] | the time, so that tests can set it |
//! | [`config`] | the loader: command line over environment over one YAML file over defaults; sizes, durations, secrets; the reference |
//! | [`telemetry`] | logs, and [`telemetry::metrics`]: the table of all metrics |
//! | [`lifecycle`] | [`lifecycle::Lifecycle`]: phases, supervised tasks, signals, ordered stop; health of dependencies |
//! | [`process`] | [`process::run`]: the process of one service, from its command line to its exit code |
//! | [`http`] | the server, its middleware, problems (RFC 9457), bodies under limits, tokens, rate limits, probes |
//!
//! A process is put together like this:
//!
//! ```no_run
//! # use luminate_runtime::{config, http, lifecycle, telemetry};
//! # async fn start() -> Result<std::process::ExitCode, Box<dyn std::error::Error>> {
//! let metrics = telemetry::Metrics::new(&telemetry::Process::ALL)?;
//! let identity = lifecycle::Identity { service: "luminate", version: env!("CARGO_PKG_VERSION") };
//! let lifecycle = lifecycle::Lifecycle::new(identity, lifecycle::LifecycleConfig::default(), metrics.clone());
//! lifecycle.handle_signals()?;
//!
//! let routes = axum::Router::new().merge(http::probe_routes(&lifecycle)); // and those of the services
//! let server = http::HttpServer::bind(&http::HttpConfig::default()).await?;
//! server.start(http::with_standard_layers(routes, &metrics), &lifecycle);
//!
//! lifecycle.set_ready();
//! Ok(lifecycle.run_until_stopped().await.exit_code())
//! # }
//! ```

pub mod clock;
pub mod config;
pub mod http;
pub mod lifecycle;
pub mod process;
pub mod telemetry;

/// Property tests that try the same values on every run.
#[cfg(test)]
fn seeded_proptest() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}
