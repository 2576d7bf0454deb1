//! Tests of the routes of health and metrics.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use axum::body::Body;
use serde_json::Value;
use tower::ServiceExt as _;

use super::*;
use crate::lifecycle::{Identity, LifecycleConfig, StopReason};
use crate::telemetry::{Metrics, Process};

fn lifecycle() -> Lifecycle {
    let identity = Identity { service: "luminate-test", version: "1.2.3" };
    Lifecycle::new(identity, LifecycleConfig::default(), Metrics::new(&[Process::Writer]).unwrap())
}

async fn get_from(lifecycle: &Lifecycle, path: &str) -> (u16, String) {
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    let response = probe_routes(lifecycle).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn statuses(lifecycle: &Lifecycle) -> [u16; 4] {
    let mut statuses = [0; 4];
    for (status, path) in statuses.iter_mut().zip(["/healthz", "/startupz", "/readyz", "/api/v1/health"]) {
        *status = get_from(lifecycle, path).await.0;
    }
    statuses
}

#[tokio::test]
async fn the_probes_follow_the_phases() {
    let lifecycle = lifecycle();
    assert_eq!(statuses(&lifecycle).await, [200, 503, 503, 503]);
    lifecycle.set_ready();
    assert_eq!(statuses(&lifecycle).await, [200, 200, 200, 200]);
    lifecycle.request_stop(StopReason::Requested("test".to_owned()));
    assert_eq!(statuses(&lifecycle).await, [200, 200, 503, 503]);
}

#[tokio::test]
async fn a_dependency_that_is_down_degrades_health_and_nothing_else() {
    let lifecycle = lifecycle();
    lifecycle.set_ready();
    let store = lifecycle.health().dependency("store");
    store.down("the disk is full");
    assert_eq!(statuses(&lifecycle).await, [200, 200, 200, 200]);
    let body: Value = serde_json::from_str(&get_from(&lifecycle, "/api/v1/health").await.1).unwrap();
    assert_eq!(
        body,
        json!({
            "status": "degraded", "service": "luminate-test", "version": "1.2.3",
            "dependencies": {"store": {"status": "down", "detail": "the disk is full"}},
        })
    );
    store.up();
    let body: Value = serde_json::from_str(&get_from(&lifecycle, "/api/v1/health").await.1).unwrap();
    assert_eq!((&body["status"], &body["dependencies"]["store"]["status"]), (&json!("ok"), &json!("up")));
}

#[tokio::test(start_paused = true)]
async fn a_silent_loop_is_not_live() {
    let lifecycle = lifecycle();
    let heartbeat = lifecycle.heartbeats().register("writer", Duration::from_secs(10));
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(get_from(&lifecycle, "/healthz").await, (503, "silent: writer\n".to_owned()));
    heartbeat.beat();
    assert_eq!(get_from(&lifecycle, "/healthz").await.0, 200);
}

#[tokio::test]
async fn metrics_are_served_as_text() {
    let lifecycle = lifecycle();
    let (status, text) = get_from(&lifecycle, "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("# TYPE luminate_storage_writes_total counter"), "{text}");
    assert!(text.contains("process_resident_memory_bytes "), "{text}");
}
