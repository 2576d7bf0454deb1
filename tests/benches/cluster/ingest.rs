//! At full speed: samples from HTTP to Kafka, then from Kafka into ClickHouse. One after the other, so that each has the
//! machine to itself.

use std::time::{Duration, Instant};

use luminate_bench::send_all;
use serde::Serialize;

use crate::DEFAULT_BATCH_AGE_MS;
use crate::stage::{Meter, Stage, log_bytes, meter_of, say, stored_size, wait_merged};

/// Samples from HTTP to Kafka.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ingest {
    /// How many.
    pub(crate) samples: u64,
    /// Samples a second, by the clock; load, gateway and broker share the machine.
    pub(crate) samples_per_second: f64,
    /// Processor seconds of the gateway for a million samples, its Kafka client included.
    pub(crate) gateway_cpu_s_per_million: f64,
    /// Processor seconds of the broker for a million samples.
    pub(crate) kafka_cpu_s_per_million: f64,
    /// Bytes a sample in the broker's log.
    pub(crate) kafka_bytes_per_sample: f64,
    /// The most memory of the gateway, in MiB.
    pub(crate) gateway_peak_mib: f64,
}

/// Samples from Kafka into ClickHouse.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    /// How many.
    pub(crate) samples: u64,
    /// Samples a second, by the clock, until the last one was stored.
    pub(crate) samples_per_second: f64,
    /// Processor seconds of the writer for a million samples, its clients of Kafka and ClickHouse included.
    pub(crate) writer_cpu_s_per_million: f64,
    /// Processor seconds of ClickHouse for a million samples, merges included.
    pub(crate) store_cpu_s_per_million: f64,
    /// The same until the last sample was stored, with the merges of that time alone.
    pub(crate) store_cpu_s_per_million_before_merges: f64,
    /// Samples of a batch on average.
    pub(crate) samples_per_batch: f64,
    /// Bytes a sample in ClickHouse when no merge was left to do.
    pub(crate) store_bytes_per_sample: f64,
    /// Parts that were left then.
    pub(crate) parts: u64,
    /// The most memory of the writer, in MiB.
    pub(crate) writer_peak_mib: f64,
    /// The most memory of ClickHouse, in MiB.
    pub(crate) store_peak_mib: f64,
}

/// Writes the first rounds to the gateway. No writer runs.
pub(crate) fn to_kafka(stage: &mut Stage, rounds: u64) -> anyhow::Result<Ingest> {
    let gateway = stage.cluster.start_gateway();
    let pid = gateway.pid();
    stage.gateway = Some(gateway);
    let door = stage.door()?;
    let samples = stage.workload.series * rounds;
    let (own, broker) = (Meter::start(pid)?, meter_of(stage.cluster.kafka.pid(1))?);
    let mut sending = Duration::ZERO;
    for round in 0..rounds {
        say(&format!("gateway: round {} of {rounds} at full speed", round + 1));
        sending += send_all(&door, &stage.requests(round))?;
    }
    Ok(Ingest {
        samples,
        samples_per_second: samples as f64 / sending.as_secs_f64(),
        gateway_cpu_s_per_million: own.per_million(samples)?,
        kafka_cpu_s_per_million: broker.per_million(samples)?,
        kafka_bytes_per_sample: log_bytes(&stage.cluster.kafka, &stage.cluster.samples_topic())? as f64
            / samples as f64,
        gateway_peak_mib: own.peak_mib()?,
    })
}

/// Starts a writer, which finds all of it in the topic, and waits until it is stored and merged.
pub(crate) fn to_store(stage: &mut Stage, rounds: u64) -> anyhow::Result<Stored> {
    let samples = stage.workload.series * rounds;
    say("writer: from Kafka into ClickHouse at full speed");
    let store = meter_of(stage.cluster.clickhouse.pid(1))?;
    let began = Instant::now();
    stage.start_writer(Duration::from_millis(DEFAULT_BATCH_AGE_MS));
    stage.wait_stored(samples)?;
    let took = began.elapsed();
    let before_merges = store.per_million(samples)?;
    let writer = stage.writer.as_ref().expect("it was started");
    let own = Meter::since_birth(writer.pid());
    let writer_cpu_s_per_million = own.per_million(samples)?;
    let batches = writer.metric("luminate_batch_samples_count", "");
    say("writer: waiting for ClickHouse's merges");
    wait_merged(&stage.cluster.clickhouse)?;
    let (bytes, parts) = stored_size(&stage.cluster.clickhouse, stage.cluster.database(), "samples")?;
    Ok(Stored {
        samples,
        samples_per_second: samples as f64 / took.as_secs_f64(),
        writer_cpu_s_per_million,
        store_cpu_s_per_million: store.per_million(samples)?,
        store_cpu_s_per_million_before_merges: before_merges,
        samples_per_batch: samples as f64 / batches.max(1.0),
        store_bytes_per_sample: bytes,
        parts,
        writer_peak_mib: own.peak_mib()?,
        store_peak_mib: store.peak_mib()?,
    })
}
