//! The routes of health and metrics: each process's own, added once by whoever composes its routes.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;

use super::codes;
use crate::lifecycle::{Lifecycle, Phase};

/// The routes of health and metrics.
///
/// | path | 200 while | else 503 |
/// |---|---|---|
/// | `/healthz` | the event loop and every registered loop turn | restart the process |
/// | `/startupz` | it has started | wait |
/// | `/readyz` | it takes work | send it none |
/// | `/api/v1/health` | it does its work or will again by itself (`ok`, `degraded`) | it is `starting` or `draining` |
/// | `/metrics` | always | |
pub fn probe_routes(lifecycle: &Lifecycle) -> Router {
    Router::new()
        .route("/healthz", get(live))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .route("/api/v1/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(lifecycle.clone())
}

async fn live(State(lifecycle): State<Lifecycle>) -> Response {
    let silent = lifecycle.heartbeats().silent();
    if silent.is_empty() {
        probe(true, "live".to_owned())
    } else {
        probe(false, format!("silent: {}", silent.join(", ")))
    }
}

async fn started(State(lifecycle): State<Lifecycle>) -> Response {
    probe(lifecycle.phase() != Phase::Starting, lifecycle.phase().as_str().to_owned())
}

async fn ready(State(lifecycle): State<Lifecycle>) -> Response {
    probe(lifecycle.phase() == Phase::Ready, lifecycle.phase().as_str().to_owned())
}

fn probe(good: bool, text: String) -> Response {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], text + "\n").into_response()
}

async fn health(State(lifecycle): State<Lifecycle>) -> Response {
    let (status, word) = match lifecycle.phase() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Ready if lifecycle.health().all_up() => (StatusCode::OK, "ok"),
        Phase::Ready => (StatusCode::OK, "degraded"),
        Phase::Draining | Phase::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
    };
    let identity = lifecycle.identity();
    let body = json!({
        "status": word,
        "service": identity.service,
        "version": identity.version,
        "dependencies": lifecycle.health().dependencies(),
    });
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn metrics(State(lifecycle): State<Lifecycle>) -> Response {
    match lifecycle.metrics().render() {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be rendered");
            codes::internal().into_response()
        }
    }
}

#[cfg(test)]
#[path = "probes_tests.rs"]
mod tests;
