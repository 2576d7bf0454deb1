//! The parts of the server, composed: what is opened and started, in this order, and how it ends.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use luminate_auth::{Hs256Verifier, SecretOrigin, TokenVerifier, load_or_create_secret};
use luminate_ingest_gateway as gateway;
use luminate_model::RetentionRules;
use luminate_query_api as query_api;
use luminate_runtime::clock::system_clock;
use luminate_runtime::config::AuthConfig;
use luminate_runtime::http::{
    HttpServer, MemoryBudget, ServiceParts, openapi_routes, probe_routes, with_standard_layers,
};
use luminate_runtime::lifecycle::{Identity, Lifecycle, StopReport};
use luminate_runtime::telemetry::Metrics;
use luminate_writer::{self as writer, WriterParts};

use super::backends::{self, Backends};
use super::config::ServeConfig;
use super::folder;
use super::load::LoadedConfig;
use super::modes::Mode;

const IDENTITY: Identity = Identity { service: "luminate", version: env!("CARGO_PKG_VERSION") };

/// The running server.
pub(crate) struct Node {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Whether the secret of tokens was made by this start.
    pub(crate) made_secret: bool,
    lifecycle: Lifecycle,
}

impl Node {
    /// Runs until the process is asked to stop, or a part fails, and then stops in order.
    pub(crate) async fn run(self) -> StopReport {
        self.lifecycle.run_until_stopped().await
    }
}

/// Starts the server; it answers requests when this returns.
///
/// # Errors
/// Where a part cannot be opened; says which and what to do.
pub(crate) async fn start(loaded: LoadedConfig) -> anyhow::Result<Node> {
    let LoadedConfig { config, data_dir, retention, skip_to, .. } = loaded;
    let mode = Mode::of(&config);
    let metrics = Metrics::new(&mode.processes())?;
    let lifecycle = Lifecycle::new(IDENTITY, config.lifecycle.clone(), metrics);
    lifecycle.handle_signals().context("cannot handle signals")?;

    // First the port: where another server has it, this one shall not touch the data.
    let server = HttpServer::bind(&config.http).await?;
    let address = server.local_addr();
    folder::make(&data_dir)?;
    folder::claim(&data_dir, mode)?;
    let (verifier, made_secret) = verifier(&config.auth, &data_dir)?;

    // Whoever asks is told that it starts: what a crash left is recovered first.
    let port = server.start_with_probes(&lifecycle);

    // Then what is durable.
    let backends = backends::open(&config, &data_dir, &retention, skip_to, &lifecycle).await?;

    // Requests last, so that none finds a part missing.
    let parts = Parts { verifier, backends, retention: Arc::new(retention) };
    let routes = routes(config, parts, &lifecycle)?;
    port.open(with_standard_layers(routes, lifecycle.metrics()));
    lifecycle.set_ready();
    tracing::info!(%address, data = %data_dir.display(), %mode, "ready");
    Ok(Node { address, made_secret, lifecycle })
}

/// What the services share.
pub(super) struct Parts {
    pub(super) verifier: Arc<dyn TokenVerifier>,
    pub(super) backends: Backends,
    pub(super) retention: Arc<RetentionRules>,
}

/// Starts the three services, which know queue and store by their traits only, and puts all routes of the port together.
pub(super) fn routes(config: ServeConfig, parts: Parts, lifecycle: &Lifecycle) -> anyhow::Result<Router> {
    let Parts { verifier, backends, retention } = parts;
    let budget = MemoryBudget::new(config.http.max_body_bytes_in_flight.get());
    budget.show_in(lifecycle.metrics());
    let service_parts = ServiceParts {
        verifier: Arc::clone(&verifier),
        retention,
        budget,
        body_timeout: config.http.body_timeout.get(),
        clock: system_clock(),
        lifecycle: lifecycle.clone(),
    };
    let writer = writer::build(
        config.writer,
        WriterParts {
            verifier,
            consumer: backends.consumer,
            schema_registry: backends.schema_registry,
            dead_letters: backends.dead_letters,
            queue: backends.admin,
            own_ends: backends.own_ends,
            // Whatever this process stores, its one writer does.
            watermarks: None,
            sink: backends.sink,
            progress: backends.progress,
            clock: system_clock(),
            lifecycle: lifecycle.clone(),
        },
    )?;
    let write_routes = gateway::build(config.gateway, backends.producer, service_parts.clone())?;
    let query_routes = query_api::build(config.query, backends.source, service_parts)?;
    let of_services = write_routes.merge(query_routes).merge(writer.admin);
    Ok(of_services.merge(probe_routes(lifecycle)).merge(openapi_routes()))
}

/// The verifier of tokens, and whether its secret was made now.
fn verifier(config: &AuthConfig, data_dir: &Path) -> anyhow::Result<(Arc<dyn TokenVerifier>, bool)> {
    if let Some(verifier) = config.verifier().context("the secret of tokens (JWT_SECRET) cannot be used")? {
        return Ok((verifier, false));
    }
    let (secret, origin) = load_or_create_secret(data_dir).context("cannot use the secret of the data folder")?;
    let made = match &origin {
        SecretOrigin::Created(path) => {
            tracing::info!(file = %path.display(), "made a secret for tokens; only its owner can read it");
            true
        }
        SecretOrigin::Existing(path) => {
            tracing::info!(file = %path.display(), "tokens are checked with the secret in this file");
            false
        }
    };
    Ok((Arc::new(Hs256Verifier::new(&secret)?), made))
}
