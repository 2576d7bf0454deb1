//! Every metric of Luminate: this table is the metrics reference, and no metric can be made beside it.

use super::description::MetricDescription;
use super::description::Process::{self, EmbeddedQueue, Gateway, OwnStore, QueryApi, Writer};
use super::family::{CounterFamily, GaugeFamily, HistogramFamily, Metric};
use prometheus::{Gauge, Histogram, IntCounter, Registry};

const EVERY_PROCESS: &[Process] = &Process::SERVICES;

/// Seconds, from a look-up in memory to a long query.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Seconds, from a batch at full load to one that waited for its age.
const AGE_SECONDS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Samples of a batch.
const BATCH_SAMPLES: &[f64] = &[1.0, 10.0, 100.0, 1e3, 5e3, 1e4, 5e4, 1e5, 2.5e5, 5e5, 1e6];

/// Bytes of a batch, from 1 KiB to 256 MiB.
const BATCH_BYTES: &[f64] =
    &[1024.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0, 268_435_456.0];

macro_rules! metrics {
    ($(
        $(#[doc = $meaning:literal])+
        $field:ident: $type:ty {
            name: $name:literal, unit: $unit:literal, labels: [$($label:literal),*], of: $processes:expr
            $(, buckets: $buckets:expr)?
        }
    )*) => {
        /// The metrics of a process: one field for each that Luminate has. What the process does not export can be counted
        /// all the same and is not scraped, so shared code need not ask where it runs.
        pub struct MetricSet {
            $(
                $(#[doc = $meaning])+
                #[doc = concat!("\n\nScraped as `", $name, "`, in ", $unit, ".")]
                pub $field: $type,
            )*
        }

        /// The metrics reference.
        pub const DESCRIPTIONS: &[MetricDescription] = &[$(
            MetricDescription {
                name: $name,
                meaning: concat!($($meaning),+).trim_ascii(),
                kind: <$type as Metric>::KIND,
                unit: $unit,
                labels: {
                    const LABELS: &[&str] = &[$($label),*];
                    assert!(LABELS.len() == <$type as Metric>::LABELS, "as many labels as the type says");
                    LABELS
                },
                processes: $processes,
                buckets: { const NONE: &[f64] = &[]; let _buckets = NONE; $( let _buckets: &[f64] = $buckets; )? _buckets },
            }
        ),*];

        impl MetricSet {
            /// Makes every metric and registers those that one of the processes exports.
            pub(super) fn new(registry: &Registry, processes: &[Process]) -> prometheus::Result<Self> {
                let mut descriptions = DESCRIPTIONS.iter();
                Ok(Self {$(
                    // Fields and descriptions come from the same lines, in the same order.
                    $field: match descriptions.next() {
                        Some(description) => {
                            let exported = description.processes.iter().any(|process| processes.contains(process));
                            Metric::make(description, exported.then_some(registry))?
                        }
                        None => return Err(prometheus::Error::Msg(concat!("no description of ", $name).to_owned())),
                    },
                )*})
            }
        }
    };
}

metrics! {
    // HTTP, every process.

    /// Requests answered, by status, route template and method; `path` is `unmatched` where no route fits, `status` 499 where
    /// the client left before the answer.
    http_requests: CounterFamily<3> {
        name: "luminate_http_requests_total", unit: "requests", labels: ["status", "path", "method"], of: EVERY_PROCESS
    }
    /// Time from a request's head to the head of its answer. At the gateway this is what a producer waits for.
    http_request_duration: HistogramFamily<2> {
        name: "luminate_http_request_duration_seconds", unit: "seconds", labels: ["path", "method"], of: EVERY_PROCESS,
        buckets: SECONDS
    }
    /// Problems answered, by their stable code.
    http_problems: CounterFamily<1> {
        name: "luminate_http_problems_total", unit: "answers", labels: ["code"], of: EVERY_PROCESS
    }
    /// Connections open now.
    http_connections: Gauge {
        name: "luminate_http_connections", unit: "connections", labels: [], of: EVERY_PROCESS
    }
    /// Bytes of request bodies held in memory now.
    http_body_bytes_in_flight: Gauge {
        name: "luminate_http_body_bytes_in_flight", unit: "bytes", labels: [], of: &[Gateway, QueryApi]
    }
    /// Requests refused by a rate limit.
    rate_limit_exceeded: IntCounter {
        name: "luminate_rate_limit_exceeded_total", unit: "requests", labels: [], of: &[Gateway, QueryApi]
    }
    /// Requests refused by a rate limit, by tenant; the first 1,000 tenants that are refused are named, the rest are `_other`.
    rate_limit_rejected: CounterFamily<1> {
        name: "luminate_rate_limit_rejected_total", unit: "requests", labels: ["tenant_id"], of: &[Gateway, QueryApi]
    }

    // Gateway.

    /// Write requests answered, whatever the answer.
    write_requests: IntCounter {
        name: "luminate_write_requests_total", unit: "requests", labels: [], of: &[Gateway]
    }
    /// Samples acknowledged as durable.
    samples_accepted: IntCounter {
        name: "luminate_samples_accepted_total", unit: "samples", labels: [], of: &[Gateway]
    }
    /// Samples rejected, by their reject code.
    samples_rejected: CounterFamily<1> {
        name: "luminate_samples_rejected_total", unit: "samples", labels: ["code"], of: &[Gateway]
    }
    /// Samples whose fate the gateway does not know: the queue failed or timed out after it was given them.
    samples_unknown: IntCounter {
        name: "luminate_samples_unknown_total", unit: "samples", labels: [], of: &[Gateway]
    }
    /// Time from giving records to the queue to their being durable.
    publish_duration: Histogram {
        name: "luminate_publish_duration_seconds", unit: "seconds", labels: [], of: &[Gateway], buckets: SECONDS
    }

    // Writer.

    /// Batches that the store took.
    storage_writes: IntCounter {
        name: "luminate_storage_writes_total", unit: "batches", labels: [], of: &[Writer]
    }
    /// Time of one attempt to store a batch, successful or not: all its slices, and counting where it was in doubt.
    storage_write_duration: Histogram {
        name: "luminate_storage_write_duration_seconds", unit: "seconds", labels: [], of: &[Writer], buckets: SECONDS
    }
    /// Attempts to store a batch that failed.
    storage_write_failures: IntCounter {
        name: "luminate_storage_write_failures_total", unit: "attempts", labels: [], of: &[Writer]
    }
    /// Samples stored.
    samples_stored: IntCounter {
        name: "luminate_samples_stored_total", unit: "samples", labels: [], of: &[Writer]
    }
    /// Samples that were not stored because an earlier request with the same idempotency key had brought them.
    samples_repeated: IntCounter {
        name: "luminate_samples_repeated_total", unit: "samples", labels: [], of: &[Writer]
    }
    /// Records with an idempotency key that were forgotten within their ten minutes, because there were too many: their
    /// repeats are stored again.
    idempotency_forgotten: IntCounter {
        name: "luminate_idempotency_forgotten_total", unit: "records", labels: [], of: &[Writer]
    }
    /// Samples dropped because their tenant's erasure covers them.
    samples_erased: IntCounter {
        name: "luminate_samples_erased_total", unit: "samples", labels: [], of: &[Writer]
    }
    /// Dead letters written, by reason code.
    dead_letters: CounterFamily<1> {
        name: "luminate_dead_letters_total", unit: "dead letters", labels: ["code"], of: &[Writer]
    }
    /// Records between the watermark and the end of a partition, shown as `incarnation/partition`.
    consumer_lag: GaugeFamily<1> {
        name: "luminate_consumer_lag_records", unit: "records", labels: ["partition"], of: &[Writer]
    }
    /// Age of the oldest record that was read and is not stored; where none was read yet, the time since this writer first
    /// missed it. 0 where all are stored.
    consumer_delay: GaugeFamily<1> {
        name: "luminate_consumer_delay_seconds", unit: "seconds", labels: ["partition"], of: &[Writer]
    }
    /// Samples of a batch when it was stored.
    batch_samples: Histogram {
        name: "luminate_batch_samples", unit: "samples", labels: [], of: &[Writer], buckets: BATCH_SAMPLES
    }
    /// Decoded bytes of a batch when it was stored.
    batch_bytes: Histogram {
        name: "luminate_batch_bytes", unit: "bytes", labels: [], of: &[Writer], buckets: BATCH_BYTES
    }
    /// Time from a batch's first record to its being stored.
    batch_age: Histogram {
        name: "luminate_batch_age_seconds", unit: "seconds", labels: [], of: &[Writer], buckets: AGE_SECONDS
    }
    /// Partitions that stand still until an operator has looked.
    partitions_stopped: Gauge {
        name: "luminate_partitions_stopped", unit: "partitions", labels: [], of: &[Writer]
    }
    /// Partitions assigned to this writer that it cannot begin with yet, because brokers do not tell enough of them. It tries
    /// again by itself; the log says why.
    partitions_unopened: Gauge {
        name: "luminate_partitions_unopened", unit: "partitions", labels: [], of: &[Writer]
    }
    /// Intents written down whose batches are not settled.
    intents_open: Gauge {
        name: "luminate_intents_open", unit: "intents", labels: [], of: &[Writer]
    }

    // Query-api.

    /// Queries answered, whatever the answer.
    query_requests: IntCounter {
        name: "luminate_query_requests_total", unit: "requests", labels: [], of: &[QueryApi]
    }
    /// Time from a parsed query to its rendered answer.
    query_latency: Histogram {
        name: "luminate_query_latency_seconds", unit: "seconds", labels: [], of: &[QueryApi], buckets: SECONDS
    }
    /// Time of one read of the store by a query.
    storage_query_duration: Histogram {
        name: "luminate_storage_query_duration_seconds", unit: "seconds", labels: [], of: &[QueryApi], buckets: SECONDS
    }
    /// Samples that queries looked at.
    query_samples_read: IntCounter {
        name: "luminate_query_samples_read_total", unit: "samples", labels: [], of: &[QueryApi]
    }
    /// Queries that ended at a limit, by the limit's code.
    query_limits_hit: CounterFamily<1> {
        name: "luminate_query_limits_hit_total", unit: "requests", labels: ["code"], of: &[QueryApi]
    }

    // Store and queue of a single node.

    /// Stored samples that were removed because their retention was over.
    samples_expired: IntCounter {
        name: "luminate_samples_expired_total", unit: "samples", labels: [], of: &[OwnStore]
    }
    /// Series that have samples in the last hour. Of each tenant at least this many, exactly this many when merged.
    active_series: Gauge {
        name: "luminate_active_series", unit: "series", labels: [], of: &[OwnStore]
    }
    /// Bytes on disk, by part (`queue`, `store`).
    disk_bytes: GaugeFamily<1> {
        name: "luminate_disk_bytes", unit: "bytes", labels: ["part"], of: &[OwnStore, EmbeddedQueue]
    }
    /// Bytes of dead letters that are kept.
    dead_letter_bytes: Gauge {
        name: "luminate_dead_letter_bytes", unit: "bytes", labels: [], of: &[EmbeddedQueue]
    }
    /// Blocks in the store.
    store_blocks: Gauge {
        name: "luminate_store_blocks", unit: "blocks", labels: [], of: &[OwnStore]
    }
    /// Background merges of blocks.
    store_merges: IntCounter {
        name: "luminate_store_merges_total", unit: "merges", labels: [], of: &[OwnStore]
    }
    /// Syncs of the queue's log.
    queue_syncs: IntCounter {
        name: "luminate_queue_syncs_total", unit: "syncs", labels: [], of: &[EmbeddedQueue]
    }

    // The process.

    /// Resident memory of the process.
    memory_usage: Gauge {
        name: "luminate_memory_usage_bytes", unit: "bytes", labels: [], of: EVERY_PROCESS
    }
    /// Whether a dependency answers: 1 or 0.
    dependency_up: GaugeFamily<1> {
        name: "luminate_dependency_up", unit: "1", labels: ["dependency"], of: EVERY_PROCESS
    }
    /// Supervised tasks that run now, by name.
    tasks_alive: GaugeFamily<1> {
        name: "luminate_tasks_alive", unit: "tasks", labels: ["task"], of: EVERY_PROCESS
    }
    /// Always 1; the version is in the label.
    build_info: GaugeFamily<1> {
        name: "luminate_build_info", unit: "1", labels: ["version"], of: EVERY_PROCESS
    }
}
