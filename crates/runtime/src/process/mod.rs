//! The process of one service: from its command line to its exit code.
//!
//! A service says in a [`Service`] what it is called, which configuration it has and how its routes are made; the rest is the same
//! for all: flags, environment, log, threads, port, probes, signals, an orderly end.
//!
//! | module | holds |
//! |---|---|
//! | [`args`] | [`ProcessArgs`]: the flags that every service has |

pub mod args;

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use axum::Router;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{ConfigError, EnvVariable, Environment, Loaded, Loader};
use crate::http::{HttpConfig, HttpServer, openapi_routes, probe_routes, with_standard_layers};
use crate::lifecycle::{Identity, Lifecycle, LifecycleConfig};
use crate::telemetry::{LogConfig, Metrics, Process, logs};

pub use args::ProcessArgs;

/// The variables that every service has.
pub const VARIABLES: &[EnvVariable] = &[
    EnvVariable { name: "LUMINATE_CONFIG", key: "", description: "The configuration file (YAML)." },
    EnvVariable { name: "LUMINATE_LISTEN", key: "http.listen", description: "Address and port to listen on." },
    EnvVariable {
        name: "JWT_SECRET",
        key: "auth.secret",
        description: "The secret that tokens are signed with, 32 bytes or more.",
    },
    EnvVariable {
        name: "LUMINATE_LOG",
        key: "log.filter",
        description: "What is logged: `error`, `warn`, `info`, `debug`, `trace`, or by part.",
    },
];

/// What goes wrong at a start, in words for the operator.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// The configuration of a service's process.
pub trait ProcessConfig: Serialize + DeserializeOwned + Default + Send {
    /// The port.
    fn http(&self) -> &HttpConfig;
    /// How long a stop may take.
    fn lifecycle(&self) -> &LifecycleConfig;
    /// What is logged, and how.
    fn log(&self) -> &LogConfig;

    /// Refuses what cannot work, before anything is opened.
    ///
    /// # Errors
    /// Names the key and says what would be right.
    fn check(&self) -> Result<(), StartError>;
}

/// A service with a process of its own.
pub trait Service {
    /// Name and version.
    const IDENTITY: Identity;
    /// What it does, in a sentence.
    const ABOUT: &'static str;
    /// Which metrics it has.
    const METRICS: &'static [Process];
    /// Its configuration.
    type Config: ProcessConfig;

    /// The variables that set keys of its own, beside [`VARIABLES`].
    fn variables() -> Vec<EnvVariable>;

    /// Starts the service's tasks, and returns its routes. Probes, metrics and the standard layers of a port are added.
    ///
    /// # Errors
    /// Where a value of the configuration makes no sense or a part cannot be opened; says which and what to do.
    fn start(config: Self::Config, lifecycle: &Lifecycle) -> impl Future<Output = Result<Router, StartError>> + Send;
}

/// All variables that set keys of a service.
#[must_use]
pub fn variables<S: Service>() -> Vec<EnvVariable> {
    [VARIABLES.to_vec(), S::variables()].concat()
}

/// The settings that a service's process would have here; not checked yet. Without a `file`, `LUMINATE_CONFIG` may name one.
///
/// # Errors
/// [`ConfigError`]
pub fn load<S: Service>(
    environment: &Environment,
    file: Option<PathBuf>,
    listen: Option<&str>,
) -> Result<Loaded<S::Config>, ConfigError> {
    let variables = variables::<S>();
    let mut loader = Loader::new(environment, &variables);
    if let Some(file) = file.or_else(|| environment.get("LUMINATE_CONFIG").map(Into::into)) {
        loader = loader.file(file);
    }
    if let Some(listen) = listen {
        loader = loader.flag("--listen", "http.listen", listen);
    }
    loader.load::<S::Config>()
}

/// Runs a service until it is asked to stop or a part of it fails.
#[must_use]
pub fn run<S: Service>() -> ExitCode {
    let args = match ProcessArgs::parse(S::IDENTITY, S::ABOUT, &variables::<S>()) {
        Ok(args) => args,
        Err(exit) => return exit,
    };
    match run_with::<S>(args) {
        Ok(exit) => exit,
        Err(error) => {
            complain(S::IDENTITY, error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn run_with<S: Service>(args: ProcessArgs) -> Result<ExitCode, StartError> {
    let loaded = load::<S>(&Environment::of_process(), args.config, args.listen.as_deref())?;
    logs::start(loaded.config.log())?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    loaded.config.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(serve::<S>(loaded.config, args.address_file.as_deref()));
    // Blocking work that was given up on is not waited for again.
    runtime.shutdown_background();
    exit
}

async fn serve<S: Service>(config: S::Config, address_file: Option<&Path>) -> Result<ExitCode, StartError> {
    let metrics = Metrics::new(S::METRICS)?;
    let lifecycle = Lifecycle::new(S::IDENTITY, config.lifecycle().clone(), metrics);
    lifecycle.handle_signals()?;
    let server = HttpServer::bind(config.http()).await?;
    let address = server.local_addr();
    // Before the start, which may wait for a database: a probe that is not answered has the process killed.
    let port = server.start_with_probes(&lifecycle);
    if let Some(file) = address_file {
        write_address(file, address)?;
    }
    let routes = S::start(config, &lifecycle).await?.merge(probe_routes(&lifecycle)).merge(openapi_routes());
    port.open(with_standard_layers(routes, lifecycle.metrics()));
    lifecycle.set_ready();
    tracing::info!(%address, "ready");
    let report = lifecycle.run_until_stopped().await;
    for failure in &report.failures {
        complain(S::IDENTITY, StartError::from(failure.as_str()).as_ref());
    }
    Ok(report.exit_code())
}

/// Writes the address that was taken to a file: whoever waits for the file finds the whole address in it, or no file.
///
/// # Errors
/// Where the file cannot be written; names it.
pub fn write_address(file: &Path, address: SocketAddr) -> Result<(), StartError> {
    let temporary = file.with_extension("new");
    std::fs::write(&temporary, format!("{address}\n"))
        .and_then(|()| std::fs::rename(&temporary, file))
        .map_err(|error| format!("cannot write the address to {}: {error}", file.display()).into())
}

/// Says what went wrong, with its causes, to whoever started the process.
fn complain(identity: Identity, error: &(dyn std::error::Error + 'static)) {
    let mut text = format!("{}: {error}", identity.service);
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Nobody is left to tell where this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}
