//! `POST /api/v1/query`: the native query.

use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use luminate_auth::ReadAccess;
use luminate_model::TenantId;
use luminate_query::plan::Asker;
use luminate_query::{Answer, QueryError, QueryRequest, Rows, execute, plan};
use luminate_runtime::http::{Authenticated, Problem, read_limited};
use luminate_storage::{QueryContext, StorageError};

use crate::problems;
use crate::receipt::await_receipts;
use crate::render;
use crate::service::QueryService;

/// Answers with more rows or values are written on another thread.
const LARGE_ANSWER: usize = 2000;

#[utoipa::path(
    post, path = "/api/v1/query", operation_id = "query", tag = "query",
    summary = "Query samples",
    description = "Aggregates by group and bucket of time, or raw samples page by page.",
    params(crate::openapi::ReceiptHeaders),
    request_body(content = crate::openapi::QueryBody, content_type = "application/json"),
    responses(
        (status = 200, description = "The answer", body = crate::openapi::AnswerBody),
        (status = 400, description = "The query or the receipt is invalid", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks the scope `read`", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "The receipt is of another queue", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is no JSON, or compressed", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The query hit a limit on memory, samples or rows", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "The tenant asks too much at once", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 500, description = "A fault of ours", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Too many queries, or the store is away", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
        (status = 504, description = "The query or the receipt took too long", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn query(
    Authenticated(access): Authenticated<ReadAccess>,
    State(service): State<QueryService>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let tenant = access.tenant();
    service.state().rate_limit.count(tenant)?;
    let request = parse(&service, &parts.headers, body).await?;
    let parsed = Instant::now();
    await_receipts(&parts.headers, service.state().source.as_ref(), &service.state().config).await?;
    let admitted = service.state().admission.admit(tenant).await?;
    let answer = answer(&service, tenant, &request).await?;
    let is_large = size(&answer) > LARGE_ANSWER;
    let response = render::json(answer, is_large).await;
    drop(admitted);
    service.state().metrics.query_latency.observe(parsed.elapsed().as_secs_f64());
    response
}

async fn parse(service: &QueryService, headers: &HeaderMap, body: Body) -> Result<QueryRequest, Problem> {
    check_content(headers)?;
    let body = read_limited(headers, body, &service.state().body_limits, &service.state().budget).await?;
    QueryRequest::parse(&body.bytes, &service.state().request_limits).map_err(|error| problems::of_query_error(&error))
}

fn check_content(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get_all(CONTENT_ENCODING).iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(
            Problem::new(&problems::CONTENT_ENCODING_UNSUPPORTED).detail("the body of a query is not compressed")
        );
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(&problems::CONTENT_TYPE_UNSUPPORTED).detail("a query is sent as application/json"))
}

/// Plans and executes. A dropped future, because the client went away, stops the query.
async fn answer(service: &QueryService, tenant: &TenantId, request: &QueryRequest) -> Result<Answer, Problem> {
    let state = service.state();
    let asker = Asker { tenant, retention: state.retention.of(tenant), now: (state.clock)() };
    let planned = plan(request, &asker, &state.request_limits).map_err(|error| problems::of_query_error(&error))?;
    let context = QueryContext::new(state.config.query_limits());
    service.run(&context, execute(planned, state.source.as_ref(), &context)).await
}

fn size(answer: &Answer) -> usize {
    match &answer.rows {
        Rows::Groups { groups, .. } => groups.len() + groups.iter().map(|group| group.steps.len()).sum::<usize>(),
        Rows::Samples { samples, .. } => samples.len(),
        _ => usize::MAX,
    }
}

impl QueryService {
    /// Awaits what a query does with the store, until the query's deadline, and counts what it cost.
    pub(crate) async fn run<T, E: Into<QueryError>>(
        &self,
        context: &QueryContext,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Problem> {
        let metrics = &self.state().metrics;
        // The store looks at the deadline itself; this is for one that hangs.
        let timeout = self.state().config.timeout.get();
        let result = match tokio::time::timeout(timeout + crate::service::GRACE, work).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => Err(StorageError::Timeout { limit_ms: timeout.as_millis() as u64 }.into()),
        };
        metrics.storage_query_duration.observe(context.elapsed().as_secs_f64());
        let read = context.counters().samples_read.load(std::sync::atomic::Ordering::Relaxed);
        metrics.query_samples_read.inc_by(read);
        result.map_err(|error| {
            use luminate_query::ErrorKind;
            if matches!(error.kind(), ErrorKind::Limit | ErrorKind::Timeout) {
                metrics.query_limits_hit.with([error.code()]).inc();
            }
            problems::of_query_error(&error)
        })
    }
}
