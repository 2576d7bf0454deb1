//! `POST /api/v1/write`: the steps of a write request, in their order.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;
use luminate_model::TenantId;
use luminate_runtime::http::{Authenticated, LimitedBody, MemoryPermit, Problem, codes, read_limited};

use crate::answer::{WriteAnswer, nothing_valid};
use crate::authenticate::Writer;
use crate::decompress::decompress;
use crate::gateway::{Gateway, GatewayState};
use crate::head::{BodyEncoding, RequestHead};
use crate::intake::{Intake, Taker};
use crate::publish::{Idempotency, PublishRequest, Published, publish};
use crate::validate::Validator;

/// Bodies of more bytes than this are decoded on a thread of their own, so that the event loop turns.
const INLINE_BYTES: usize = 256 << 10;

/// The same for compressed bodies, which may be much larger than they look.
const INLINE_COMPRESSED_BYTES: usize = 16 << 10;

/// Takes a write request: authenticate, limit, decode, validate, route, publish.
#[utoipa::path(
    post, path = "/api/v1/write", operation_id = "write", tag = "write",
    summary = "Write samples",
    description = "Valid samples are stored, invalid ones are named by index. 202 means that the accepted samples are durable.",
    params(crate::openapi::WriteHeaders),
    request_body(
        description = "JSON in UTF-8: one document, or one metric a line.",
        content((crate::openapi::WriteBody = "application/json"), (crate::openapi::MetricBody = "application/x-ndjson")),
    ),
    responses(
        (status = 202, description = "Samples are durable; those named in `errors` are not", body = crate::openapi::WriteAnswerBody),
        (status = 400, description = "Nothing is valid, or the body or the idempotency key cannot be read", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The token lacks the scope `write`", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large, as sent or decompressed, or has too many samples", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The content type or encoding is not supported", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "The tenant is over its rate limit", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 500, description = "A fault of ours", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The queue is full, away or did not answer in time, or the server is overloaded: try again after `Retry-After` seconds", body = crate::openapi::WriteProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn write(
    State(gateway): State<Gateway>,
    Authenticated(access): Writer,
    headers: HeaderMap,
    body: Body,
) -> Result<WriteAnswer, Problem> {
    let state = gateway.state();
    let tenant = access.tenant();
    state.limits.request(tenant)?;

    let head = RequestHead::read(&headers)?;
    let body = read_limited(&headers, body, &state.body_limits, &state.budget).await?;
    let DecodedBody { mut intake, idempotency, permit } = decode(&gateway, tenant, head, body).await?;
    state.limits.samples(tenant, intake.samples)?;

    let published = if intake.routed.parts.is_empty() {
        Ok(Published::default())
    } else {
        let deadline = state.config.publish_timeout.get();
        let request = PublishRequest { routed: std::mem::take(&mut intake.routed), idempotency, deadline };
        publish(state.producer.as_ref(), &state.metrics, tenant, request, &mut intake.rejects).await
    };
    drop(permit);

    for (code, count) in intake.rejects.counts() {
        state.metrics.samples_rejected.with([code.code()]).inc_by(*count);
    }
    let published = published?;
    state.metrics.samples_accepted.inc_by(published.samples);
    if published.samples == 0 {
        return Err(nothing_valid(intake.rejects));
    }
    Ok(WriteAnswer::new(published.samples, intake.rejects, &published.receipt))
}

/// What a body became, and its share of the memory budget.
struct DecodedBody {
    intake: Intake,
    idempotency: Option<Idempotency>,
    permit: MemoryPermit,
}

/// Decompresses, decodes, validates and routes: here, or for a large body on a thread of its own.
async fn decode(
    gateway: &Gateway,
    tenant: &TenantId,
    head: RequestHead,
    body: LimitedBody,
) -> Result<DecodedBody, Problem> {
    let inline_bytes = if head.encoding == BodyEncoding::Identity { INLINE_BYTES } else { INLINE_COMPRESSED_BYTES };
    if body.bytes.len() <= inline_bytes {
        return decode_here(gateway.state(), tenant, head, body);
    }
    // As many as there are cores: more would only take turns, and hold their memory meanwhile.
    let turn = Arc::clone(&gateway.state().decoding).acquire_owned().await.map_err(|_| codes::internal())?;
    let (gateway, tenant) = (gateway.clone(), tenant.clone());
    let decoding = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        decode_here(gateway.state(), &tenant, head, body)
    });
    decoding.await.unwrap_or_else(|error| {
        tracing::error!(%error, "decoding a body failed");
        Err(codes::internal())
    })
}

fn decode_here(
    state: &GatewayState,
    tenant: &TenantId,
    head: RequestHead,
    body: LimitedBody,
) -> Result<DecodedBody, Problem> {
    let LimitedBody { bytes, mut permit } =
        decompress(body, head.encoding, state.config.max_decompressed_bytes.as_usize())?;
    // The records that are made of a body are smaller than the body: a sample in Avro is smaller than in JSON.
    permit.grow(bytes.len() as u64)?;
    let validator =
        Validator { limits: state.config.sample_limits(), retention: state.retention.of(tenant), now: (state.clock)() };
    let taker = Taker::new(validator, state.config.shards_of(tenant), state.config.max_samples);
    let intake = taker.take_all(head.format.decoder(), &bytes)?;
    let idempotency = head.idempotency_key.map(|key| Idempotency { key, body: head.format.body_hash(&bytes) });
    drop(bytes);
    permit.shrink_to(intake.routed.memory_bytes());
    Ok(DecodedBody { intake, idempotency, permit })
}
