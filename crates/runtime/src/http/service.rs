//! What the services that answer requests have in common.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use luminate_auth::TokenVerifier;
use luminate_model::RetentionRules;

use super::HttpConfig;
use super::budget::MemoryBudget;
use crate::clock::{Clock, system_clock};
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

impl ServiceParts {
    /// The parts of a process with one port, whose bodies in flight are bounded by `http` and shown in the metrics.
    #[must_use]
    pub fn of_process(
        http: &HttpConfig,
        verifier: Arc<dyn TokenVerifier>,
        retention: RetentionRules,
        lifecycle: &Lifecycle,
    ) -> Self {
        let budget = MemoryBudget::new(http.max_body_bytes_in_flight.get());
        budget.show_in(lifecycle.metrics());
        Self {
            verifier,
            retention: Arc::new(retention),
            budget,
            body_timeout: http.body_timeout.get(),
            clock: system_clock(),
            lifecycle: lifecycle.clone(),
        }
    }
}

/// Middleware that counts a request when it is answered, whatever the answer.
pub async fn count_answers(State(counter): State<Counter>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    counter.inc();
    response
}
