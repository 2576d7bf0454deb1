//! Publish: records to the queue. What is acknowledged here is durable.

use std::time::{Duration, Instant};

use luminate_model::{Receipt, Reject, RejectCode, TenantId};
use luminate_queue::{IdempotencyHeaders, Producer, PublishError, Record, RecordKey};
use luminate_runtime::http::Problem;
use luminate_runtime::telemetry::Metrics;
use tokio::time::timeout;

use crate::problems;
use crate::rejects::Rejects;
use crate::route::{Part, Routed};

/// After how long a request may come again whose records may or may not be stored, or that met a queue which is away.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What tells a repeated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// The hash of the client's key.
    pub key: u128,
    /// The hash of the body.
    pub body: u128,
}

/// What the queue has made durable of a write request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// How many samples.
    pub samples: u64,
    /// Where they stand.
    pub receipt: Receipt,
}

/// Publishes the parts of a write request, and answers when the queue has answered for every one of them. Samples of a record
/// that is larger than the queue takes become rejects.
///
/// # Errors
/// A [`Problem`] with 503 where a record was not taken, or where it is not known whether it was. Others of the same request
/// may be stored then: a repeat with an idempotency key stores each of them once.
pub async fn publish(
    producer: &dyn Producer,
    metrics: &Metrics,
    tenant: &TenantId,
    request: PublishRequest,
    rejects: &mut Rejects,
) -> Result<Published, Problem> {
    let PublishRequest { routed, idempotency, deadline } = request;
    let samples: u64 = routed.parts.iter().map(|part| part.indexes.len() as u64).sum();
    let records = routed.parts.iter().map(|part| record(tenant, part, routed.total_parts, idempotency)).collect();
    let in_doubt = InDoubt { samples, metrics };
    let began = Instant::now();
    let Ok(results) = timeout(deadline, producer.publish(records)).await else {
        tracing::warn!(tenant = %tenant, samples, "the queue did not answer in time");
        let detail = format!("the queue had not answered after {} s", deadline.as_secs_f64());
        return Err(Problem::new(&problems::QUEUE_OUTCOME_UNKNOWN).detail(detail).retry_after(RETRY_AFTER));
    };
    in_doubt.resolve();
    metrics.publish_duration.observe(began.elapsed().as_secs_f64());

    let mut published = Published::default();
    let mut failure = Failure::default();
    let mut results = results.into_iter();
    for part in &routed.parts {
        let unanswered = || Err(PublishError::Unknown { reason: "the queue gave no answer for a record".to_owned() });
        match results.next().unwrap_or_else(unanswered) {
            Ok(placement) => {
                published.samples += part.indexes.len() as u64;
                published.receipt.add(placement.source, placement.offset.next());
            }
            Err(PublishError::TooLarge { size, limit }) => reject_part(part, size, limit, rejects),
            Err(error) => failure.add(error, part.indexes.len() as u64),
        }
    }
    failure.problem(tenant, metrics, published.samples)?;
    Ok(published)
}

/// Samples that were given to the queue, which has not answered. Where nobody waits for its answer any more, because it takes too
/// long or the client has gone, they count as unknown.
struct InDoubt<'m> {
    samples: u64,
    metrics: &'m Metrics,
}

impl InDoubt<'_> {
    /// The queue has answered.
    fn resolve(mut self) {
        self.samples = 0;
    }
}

impl Drop for InDoubt<'_> {
    fn drop(&mut self) {
        self.metrics.samples_unknown.inc_by(self.samples);
    }
}

/// What is to be published, and how long that may take.
#[derive(Debug)]
pub struct PublishRequest {
    /// The parts.
    pub routed: Routed,
    /// What tells a repeat, where the client chose a key.
    pub idempotency: Option<Idempotency>,
    /// How long the queue may take.
    pub deadline: Duration,
}

fn record(tenant: &TenantId, part: &Part, parts: u32, idempotency: Option<Idempotency>) -> Record {
    let headers = idempotency
        .map(|Idempotency { key, body }| IdempotencyHeaders { key, body, part: part.number, parts }.to_headers());
    Record {
        key: RecordKey { tenant: tenant.clone(), shard: part.shard },
        headers: headers.unwrap_or_default(),
        value: part.value.clone(),
    }
}

fn reject_part(part: &Part, size: usize, limit: usize, rejects: &mut Rejects) {
    for &index in &part.indexes {
        let detail = format!("the sample's record has {size} bytes, the queue takes {limit}");
        rejects.add(index, Reject::new(RejectCode::RecordTooLarge, detail));
    }
}

/// The worst that happened to a record of a request: an unknown outcome is worse than an absent queue, and that worse than a
/// full one.
#[derive(Default)]
struct Failure {
    worst: Option<PublishError>,
    unknown_samples: u64,
}

impl Failure {
    fn add(&mut self, error: PublishError, samples: u64) {
        if matches!(error, PublishError::Unknown { .. }) {
            self.unknown_samples += samples;
        }
        if self.worst.as_ref().is_none_or(|worst| rank(&error) > rank(worst)) {
            self.worst = Some(error);
        }
    }

    /// The answer, if anything failed. Samples that are durable in the same request are not acknowledged by it, so to the
    /// client their fate is unknown too, and they count so.
    fn problem(self, tenant: &TenantId, metrics: &Metrics, durable_samples: u64) -> Result<(), Problem> {
        let Some(worst) = self.worst else { return Ok(()) };
        let unknown_samples = self.unknown_samples + durable_samples;
        metrics.samples_unknown.inc_by(unknown_samples);
        match worst {
            PublishError::Unknown { .. } => {
                tracing::warn!(tenant = %tenant, error = %worst, unknown_samples, "records were not acknowledged");
            }
            // Health and metrics say so already, and a client that repeats would fill the log.
            _ => tracing::debug!(tenant = %tenant, error = %worst, unknown_samples, "records were not acknowledged"),
        }
        let kind = problems::of_publish_error(&worst).unwrap_or(&problems::QUEUE_UNAVAILABLE);
        let retry_after = match worst {
            PublishError::Full { retry_after } => retry_after,
            _ => RETRY_AFTER,
        };
        let detail = match unknown_samples {
            0 => "none of the samples was stored",
            _ => "some of the samples may have been stored; a repeat with an Idempotency-Key stores them once",
        };
        Err(Problem::new(kind).detail(detail).retry_after(retry_after))
    }
}

fn rank(error: &PublishError) -> u8 {
    match error {
        PublishError::TooLarge { .. } => 0,
        PublishError::Full { .. } => 1,
        PublishError::Unavailable { .. } => 2,
        PublishError::Unknown { .. } => 3,
    }
}
