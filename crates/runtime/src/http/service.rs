//! What the services that answer requests have in common.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use luminate_auth::TokenVerifier;
use luminate_model::RetentionRules;

use super::budget::MemoryBudget;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::telemetry::metrics::Counter;

/// What a service needs of the process around it. Cheap to clone: services on one port share it.
#[derive(Clone)]
pub struct ServiceParts {
    /// Checks tokens.
    pub verifier: Arc<dyn TokenVerifier>,
    /// How long tenants keep their metrics.
    pub retention: Arc<RetentionRules>,
    /// Bytes of requests that the process may hold.
    pub budget: MemoryBudget,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// The time by which requests are judged and answered.
    pub clock: Clock,
    /// The process.
    pub lifecycle: Lifecycle,
}

/// Middleware that counts a request when it is answered, whatever the answer.
pub async fn count_answers(State(counter): State<Counter>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    counter.inc();
    response
}
