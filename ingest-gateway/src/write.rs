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
use crate::publish::{Idempotency, PublishRequest, publish};
use crate::validate::Validator;

/// Bodies of more bytes than this are decoded on a thread of their own, so that the event loop turns.
const INLINE_BYTES: usize = 256 << 10;

/// The same for compressed bodies, which may be much larger than they look.
const INLINE_COMPRESSED_BYTES: usize = 16 << 10;

/// Takes a write request: authenticate, limit, decode, validate, route, publish.
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

    let request = PublishRequest { routed: intake.routed, idempotency, deadline: state.config.publish_timeout.get() };
    let published = publish(state.producer.as_ref(), &state.metrics, tenant, request, &mut intake.rejects).await;
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
