//! A gateway, a queue, and requests.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use luminate_auth::{AuthError, Principal, Scope, Scopes, TokenVerifier};
use luminate_ingest_gateway::{GatewayConfig, build};
use luminate_model::{Offset, RetentionRules, Sample, TenantId};
use luminate_queue::memory::{MemoryQueue, MemoryQueueConfig};
use luminate_queue::{Assignment, ConsumedRecord, Consumer as _, IdempotencyHeaders, QueueAdmin as _, RecordKey};
use luminate_runtime::http::{MemoryBudget, ServiceParts};
use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig};
use luminate_runtime::telemetry::{Metrics, Process};
use tower::ServiceExt as _;

/// The gateway's time: 2024-12-31.
pub(crate) const NOW: i64 = 1_735_603_200_000;

pub(crate) struct Fixture {
    pub(crate) queue: MemoryQueue,
    pub(crate) metrics: Metrics,
    pub(crate) budget: MemoryBudget,
    routes: Router,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: serde_json::Value,
}

/// A record as the writer finds it.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) idempotency: Option<IdempotencyHeaders>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) retention_days: Vec<u16>,
}

/// Takes `tenant:scope` for a token.
struct PlainTokens;

#[allow(clippy::disallowed_methods)]
pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

impl TokenVerifier for PlainTokens {
    fn verify(&self, token: &str, _now: SystemTime) -> Result<Principal, AuthError> {
        let (name, scope) = token.split_once(':').ok_or(AuthError::SignatureInvalid)?;
        let scope = Scope::parse(scope).ok_or(AuthError::SignatureInvalid)?;
        Ok(Principal::new("test", Some(tenant(name)), Scopes::NONE.with(scope)).unwrap())
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(GatewayConfig::default(), RetentionRules::default(), MemoryQueueConfig::default())
    }

    pub(crate) fn configured(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let mut config = GatewayConfig::default();
        change(&mut config);
        Self::with(config, RetentionRules::default(), MemoryQueueConfig::default())
    }

    pub(crate) fn with(config: GatewayConfig, retention: RetentionRules, queue: MemoryQueueConfig) -> Self {
        let metrics = Metrics::new(&[Process::Gateway]).unwrap();
        let identity = Identity { service: "test", version: "0" };
        let lifecycle = Lifecycle::new(identity, LifecycleConfig::default(), metrics.clone());
        let queue = MemoryQueue::new(queue);
        let budget = MemoryBudget::new(256 << 20);
        let parts = ServiceParts {
            verifier: Arc::new(PlainTokens),
            retention: Arc::new(retention),
            budget: budget.clone(),
            body_timeout: Duration::from_secs(30),
            clock: Arc::new(|| NOW),
            lifecycle,
        };
        let routes = build(config, Arc::new(queue.clone()), parts).unwrap();
        Self { queue, metrics, budget, routes }
    }

    /// Sends a request and checks that it leaves no memory behind.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(serde_json::Value::Null);
        assert_eq!(self.budget.used(), 0, "every byte of the budget went back");
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The gateway's routes.
    pub(crate) fn routes(&self) -> Router {
        self.routes.clone()
    }

    /// Sends JSON for tenant `acme`.
    pub(crate) async fn json(&self, body: impl Into<Body>) -> Answer {
        self.send(post("application/json", &[], body)).await
    }

    /// Sends NDJSON for tenant `acme`.
    pub(crate) async fn ndjson(&self, body: impl Into<Body>) -> Answer {
        self.send(post("application/x-ndjson", &[], body)).await
    }

    /// Everything in the queue, by partition and offset.
    pub(crate) async fn stored(&self) -> Vec<Stored> {
        let mut consumer = self.queue.consumer();
        let mut stored = Vec::new();
        for (_, end) in self.queue.ends().await.unwrap() {
            let Assignment::Given(mut partition) = consumer.assignment().await.unwrap() else { panic!("not given") };
            let mut next = Offset(0);
            while next < end {
                for record in partition.poll(1 << 20).await.unwrap() {
                    next = record.offset.next();
                    stored.push(Stored::read(&record));
                }
            }
        }
        stored
    }

    /// All samples in the queue.
    pub(crate) async fn samples(&self) -> Vec<Sample> {
        self.stored().await.into_iter().flat_map(|record| record.samples).collect()
    }
}

impl Stored {
    fn read(record: &ConsumedRecord) -> Self {
        let columns = luminate_schemas::decode(&record.value).unwrap();
        let key = RecordKey::parse(&record.key).unwrap();
        Self {
            key: String::from_utf8(key.to_bytes()).unwrap(),
            idempotency: IdempotencyHeaders::read(&record.headers).unwrap(),
            samples: columns.rows().map(|row| row.to_sample()).collect(),
            retention_days: columns.rows().map(|row| row.retention_days()).collect(),
        }
    }
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("no code")
    }

    /// Index and code of every error.
    pub(crate) fn errors(&self) -> Vec<(u64, String)> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let error =
            |error: serde_json::Value| (error["index"].as_u64().unwrap(), error["code"].as_str().unwrap().to_owned());
        errors.into_iter().map(error).collect()
    }
}

pub(crate) fn post(content_type: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post("/api/v1/write").header("content-type", content_type);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", "Bearer acme:write");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

/// One valid metric as JSON.
pub(crate) fn metric(name: &str, value: f64) -> String {
    format!(r#"{{"name":"{name}","timestamp":{NOW},"value":{value},"dimensions":{{"host":"a"}}}}"#)
}

/// A body of these metrics.
pub(crate) fn metrics(metrics: &[String]) -> String {
    format!(r#"{{"metrics":[{}]}}"#, metrics.join(","))
}
