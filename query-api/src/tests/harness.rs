//! A query-api over a store of the test's, and requests to it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, StatusCode};
use luminate_auth::{Hs256Signer, Hs256Verifier, Principal, Scope, Scopes, Secret, Validity};
use luminate_model::{Incarnation, Offset, Receipt, RetentionRules, SampleColumnsBuilder, Source, TenantId};
use luminate_runtime::http::{MemoryBudget, ServiceParts, with_standard_layers};
use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig};
use luminate_runtime::telemetry::{Metrics, Process};
use luminate_storage::conformance::generate::tenant;
use luminate_storage::memory::MemoryStore;
use luminate_storage::{Batch, BatchRecord, SampleSink, SampleSource};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{QueryConfig, build};

/// The time of every test: 2025-01-01T00:00:00Z in ms since 1970.
pub(super) const NOW: i64 = 1_735_689_600_000;

pub(super) const INCARNATION: Incarnation = Incarnation([9; 16]);

pub(super) struct TestApi {
    pub(super) routes: Router,
    pub(super) metrics: Metrics,
    // Held, so that the tasks of the service live on.
    _lifecycle: Lifecycle,
}

pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) retry_after: bool,
    pub(super) body: Value,
}

impl Answered {
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The body without what differs from run to run.
    pub(super) fn stable(mut self) -> Value {
        if let Some(stats) = self.body.get_mut("stats") {
            stats["elapsedMs"] = 0.into();
        }
        self.body
    }
}

impl TestApi {
    pub(super) fn new(config: QueryConfig, source: Arc<dyn SampleSource>) -> Self {
        let metrics = Metrics::new(&Process::ALL).unwrap();
        let identity = Identity { service: "test", version: "0" };
        let lifecycle = Lifecycle::new(identity, LifecycleConfig::default(), metrics.clone());
        let parts = ServiceParts {
            verifier: Arc::new(Hs256Verifier::new(&secret()).unwrap()),
            retention: Arc::new(RetentionRules::default()),
            budget: MemoryBudget::new(1 << 24),
            body_timeout: Duration::from_secs(1),
            clock: Arc::new(|| NOW),
            lifecycle: lifecycle.clone(),
        };
        let routes = with_standard_layers(build(config, source, parts).unwrap(), &metrics);
        Self { routes, metrics, _lifecycle: lifecycle }
    }

    pub(super) fn over(source: Arc<dyn SampleSource>) -> Self {
        Self::new(QueryConfig::default(), source)
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let retry_after = response.headers().contains_key(http::header::RETRY_AFTER);
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answered { status, retry_after, body }
    }

    /// A query of the tenant acme.
    pub(super) async fn query(&self, body: &str) -> Answered {
        self.send(query_of("acme", body)).await
    }

    /// A GET of the tenant acme.
    pub(super) async fn get(&self, path: &str) -> Answered {
        self.send(Request::get(path).header(AUTHORIZATION, token("acme", Scope::Read)).body(Body::empty()).unwrap())
            .await
    }
}

pub(super) fn query_of(tenant: &str, body: &str) -> Request<Body> {
    Request::post("/api/v1/query")
        .header(AUTHORIZATION, token(tenant, Scope::Read))
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

fn secret() -> Secret {
    Secret::new("0123456789abcdef0123456789abcdef")
}

pub(super) fn token(of: &str, scope: Scope) -> String {
    let principal = Principal::new("robot", Some(tenant(of)), Scopes::NONE.with(scope)).unwrap();
    let validity = Validity { not_before: None, expires: SystemTime::now() + Duration::from_secs(60) };
    format!("Bearer {}", Hs256Signer::new(&secret()).unwrap().sign(&principal, &validity).unwrap())
}

/// One sample: metric, seconds before now, value, dimensions.
pub(super) type Written<'a> = (&'a str, i64, f64, &'a [(&'a str, &'a str)]);

/// Stores samples as the next record of the one partition, and returns their receipt.
pub(super) async fn store(store: &MemoryStore, owner: &TenantId, samples: &[Written<'_>]) -> Receipt {
    let source = Source { incarnation: INCARNATION, partition: 0 };
    let first = store.resume(&source).await.unwrap().next.unwrap_or_default();
    let mut columns = SampleColumnsBuilder::new();
    for (metric, seconds_ago, value, dimensions) in samples {
        columns.push(metric, 0, NOW - seconds_ago * 1000, *value, dimensions);
    }
    let record = BatchRecord { tenant: owner.clone(), offset: first, samples: columns.finish() };
    let records = vec![record];
    let next = first.next();
    let batch = Batch { source, first, next, records, idempotency: Vec::new(), forget_idempotency_before: 0 };
    store.write(batch).await.unwrap();
    receipt(next)
}

/// A receipt for everything before `next` of the one partition.
pub(super) fn receipt(next: Offset) -> Receipt {
    let mut receipt = Receipt::default();
    receipt.add(Source { incarnation: INCARNATION, partition: 0 }, next);
    receipt
}

/// Samples of acme: latencies of three endpoints (one of them missing) over an hour.
pub(super) async fn latencies() -> Arc<MemoryStore> {
    let memory = Arc::new(MemoryStore::of_incarnation(INCARNATION));
    let samples: [Written<'_>; 6] = [
        ("api_latency", 3600, 10.0, &[("endpoint", "/api/users"), ("region", "eu")]),
        ("api_latency", 1800, 20.0, &[("endpoint", "/api/users"), ("region", "us")]),
        ("api_latency", 1800, 20.0, &[("endpoint", "/api/users"), ("region", "us")]),
        ("api_latency", 600, 45.5, &[("endpoint", "/login"), ("region", "eu")]),
        ("api_latency", 300, 7.0, &[("region", "eu")]),
        ("http_requests", 300, 1.0, &[("region", "eu")]),
    ];
    store(&memory, &tenant("acme"), &samples).await;
    memory
}
