//! The peer: the same samples from Kafka into ClickHouse by ClickHouse's own Kafka engine, which is what a user would take
//! without Luminate. Its producers write JSON rows, as many a record as our gateway, compressed alike.
//!
//! What it leaves out: it delivers at least once (a crash between insert and commit doubles a block), checks no token and no
//! sample, and gives no receipt. Its table has no columns that say where a row came from, and syncs nothing to disk.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use luminate_bench::Request;
use luminate_bench::workload::{JsonRows, in_turns};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions, unique_name};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use serde::Serialize;

use crate::stage::{PARTITIONS, Stage, log_bytes, meter_of, say, stored_size, wait_merged, wait_rows};

const TABLES: [&str; 2] = [
    "CREATE DATABASE peer",
    "CREATE TABLE peer.samples (
        tenant LowCardinality(String), metric LowCardinality(String),
        ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)), value Float64 CODEC(ZSTD(1)),
        dimensions Map(LowCardinality(String), String) CODEC(ZSTD(1))
    ) ENGINE = MergeTree PARTITION BY toYYYYMMDD(ts) ORDER BY (tenant, metric, ts)",
];

const VIEW: &str = "CREATE MATERIALIZED VIEW peer.mover TO peer.samples AS
    SELECT tenant, metric, fromUnixTimestamp64Milli(timestamp, 'UTC') AS ts, value, dimensions FROM peer.queue";

/// What the peer took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Peer {
    /// How many samples.
    pub(crate) samples: u64,
    /// Samples a second, by the clock, until the last one was stored.
    pub(crate) samples_per_second: f64,
    /// Processor seconds of ClickHouse for a million samples, reading from Kafka and merges included.
    pub(crate) cpu_s_per_million: f64,
    /// Bytes a sample in the broker's log.
    pub(crate) kafka_bytes_per_sample: f64,
    /// Bytes a sample in ClickHouse when no merge was left to do.
    pub(crate) store_bytes_per_sample: f64,
    /// The most memory of ClickHouse, in MiB.
    pub(crate) peak_mib: f64,
}

/// Writes the rounds to a topic of JSON rows and lets a new ClickHouse read it.
pub(crate) fn measure(stage: &Stage, rounds: u64) -> anyhow::Result<Peer> {
    let topic = unique_name("peer");
    let kafka = &stage.cluster.kafka;
    let partitions = PARTITIONS.to_string();
    let topic_tool = ["--create", "--topic", &topic, "--partitions", &partitions];
    kafka.tool("org.apache.kafka.tools.TopicCommand", &topic_tool);
    for round in 0..rounds {
        say(&format!("peer: round {} of {rounds} as JSON rows to Kafka", round + 1));
        produce(&kafka.brokers(), &topic, &in_turns(stage.workload.bodies::<JsonRows>(round)))?;
    }
    let samples = stage.workload.series * rounds;
    let kafka_bytes = log_bytes(kafka, &topic)?;

    say("peer: from Kafka into ClickHouse");
    let clickhouse = ClickHouse::start(ClickHouseOptions::default());
    TABLES.iter().for_each(|statement| drop(clickhouse.query(statement)));
    let queue = format!(
        "CREATE TABLE peer.queue (tenant String, metric String, timestamp Int64, value Float64, dimensions Map(String, String))
         ENGINE = Kafka SETTINGS kafka_broker_list = '{}', kafka_topic_list = '{topic}', kafka_group_name = '{topic}',
         kafka_format = 'JSONEachRow'",
        kafka.brokers()
    );
    // The test engine answers this statement with an error though it has carried it out; whether it has is seen below.
    let answer = clickhouse.try_query_on(1, &queue);
    ensure!(clickhouse.query("EXISTS TABLE peer.queue").trim() == "1", "no table of the Kafka engine: {answer:?}");
    let meter = meter_of(clickhouse.pid(1))?;
    let began = Instant::now();
    clickhouse.query(VIEW);
    wait_rows(&clickhouse, "peer.samples", samples)?;
    let took = began.elapsed();
    say("peer: waiting for ClickHouse's merges");
    wait_merged(&clickhouse)?;
    let (store_bytes_per_sample, _) = stored_size(&clickhouse, "peer", "samples")?;
    Ok(Peer {
        samples,
        samples_per_second: samples as f64 / took.as_secs_f64(),
        cpu_s_per_million: meter.per_million(samples)?,
        kafka_bytes_per_sample: kafka_bytes as f64 / samples as f64,
        store_bytes_per_sample,
        peak_mib: meter.peak_mib()?,
    })
}

/// Writes each request's rows as one record, keyed by its tenant.
fn produce(brokers: &str, topic: &str, requests: &[Request]) -> anyhow::Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("compression.codec", "zstd")
        .set("compression.level", "1")
        .create()
        .context("a producer")?;
    for request in requests {
        let key = request.tenant.to_string();
        loop {
            match producer.send(BaseRecord::to(topic).key(&key).payload(&request.body)) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err((error, _)) => return Err(error).context("a record of the peer"),
            }
        }
    }
    producer.flush(Duration::from_secs(60)).context("records of the peer")
}
