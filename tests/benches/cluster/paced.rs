//! At a fixed rate through the whole cluster: how long write requests take, and how long until their samples can be read.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use luminate_bench::{Connection, Latencies, send_paced};
use luminate_tests::cluster::ServiceProcess;
use serde::Serialize;
use serde_json::{Value, json};

use crate::stage::{Stage, address, headers_of, meter_of, say, wait_merged};

/// Threads that each write one sample and wait until they can read it, over and over.
const PROBES: usize = 2;

/// ClickHouse's place among the processes that are measured.
const STORE: usize = 2;

/// What the fixed rate took.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Paced {
    /// The age at which the writer stores a batch, in ms.
    pub(crate) batch_age_ms: u64,
    /// Write requests, from the moment each was due, in ms.
    pub(crate) write: Times,
    /// From the answer 2xx until a query with its receipt was answered, in ms.
    pub(crate) readable: Times,
    /// Samples of a batch on average.
    pub(crate) samples_per_batch: f64,
    /// Processor seconds for a million samples.
    pub(crate) gateway_cpu_s_per_million: f64,
    /// The same.
    pub(crate) writer_cpu_s_per_million: f64,
    /// The same, merges included.
    pub(crate) store_cpu_s_per_million: f64,
    /// The same.
    pub(crate) kafka_cpu_s_per_million: f64,
}

/// How long something took, in ms.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Times {
    /// How often it was measured.
    pub(crate) count: usize,
    /// Half of them took at most this long.
    pub p50_ms: f64,
    /// 95 of 100 took at most this long.
    pub p95_ms: f64,
    /// The slowest.
    pub(crate) max_ms: f64,
}

impl From<Latencies> for Times {
    fn from(latencies: Latencies) -> Self {
        let [p50_ms, p95_ms, max_ms] = [0.5, 0.95, 1.0].map(|share| latencies.quantile_ms(share));
        Self { count: latencies.count(), p50_ms, p95_ms, max_ms }
    }
}

/// Sends one round at `rate` samples a second, with a writer that stores a batch at this age.
pub(crate) fn measure(stage: &mut Stage, round: u64, rate: u64, batch_age: Duration) -> anyhow::Result<Paced> {
    say(&format!("{rate} samples a second, batches at most {} ms old", batch_age.as_millis()));
    stage.start_writer(batch_age);
    if stage.query.is_none() {
        stage.query = Some(stage.cluster.start_query());
    }
    let probe = Probe::new(stage)?;
    let (door, requests) = (stage.door()?, stage.requests(round));
    // Whatever the writer has to do at its start is over once a first sample can be read.
    probe.run_once()?;

    let pid = |service: &Option<ServiceProcess>| service.as_ref().map(ServiceProcess::pid);
    let engines = &stage.cluster;
    // In the order of `STORE`.
    let pids = [pid(&stage.gateway), pid(&stage.writer), engines.clickhouse.pid(1), engines.kafka.pid(1)];
    let mut meters = Vec::new();
    for pid in pids {
        meters.push(meter_of(pid)?);
    }
    let batches_before = batches(stage)?;
    let sending = AtomicBool::new(true);
    let (write, readable) = std::thread::scope(|scope| {
        let probes = scope.spawn(|| probe.run_while(&sending));
        let write = send_paced(&door, &requests, rate);
        sending.store(false, Ordering::Relaxed);
        (write, probes.join())
    });
    let Ok(readable) = readable else { bail!("a probe panicked") };
    let samples = stage.workload.series;
    stage.probes += probe.next.load(Ordering::Relaxed);
    stage.wait_stored((round + 1) * samples)?;
    let batches = batches(stage)? - batches_before;
    // The others have nothing left to do while the store merges.
    let costs = || meters.iter().map(|meter| meter.per_million(samples)).collect::<anyhow::Result<Vec<_>>>();
    let stored = costs()?;
    wait_merged(&stage.cluster.clickhouse)?;
    let merged = costs()?;
    let [gateway, writer, _, kafka] = stored[..] else { bail!("four processes are measured") };
    Ok(Paced {
        batch_age_ms: batch_age.as_millis() as u64,
        write: write?.into(),
        readable: readable?.into(),
        samples_per_batch: samples as f64 / batches.max(1.0),
        gateway_cpu_s_per_million: gateway,
        writer_cpu_s_per_million: writer,
        store_cpu_s_per_million: merged[STORE],
        kafka_cpu_s_per_million: kafka,
    })
}

/// Batches that the writer has stored.
fn batches(stage: &Stage) -> anyhow::Result<f64> {
    Ok(stage.writer.as_ref().context("no writer runs")?.metric("luminate_batch_samples_count", ""))
}

/// Writes single samples, each of a series of its own, and reads each of them by its receipt.
struct Probe {
    gateway: std::net::SocketAddr,
    query: std::net::SocketAddr,
    headers: String,
    timestamp: i64,
    next: AtomicU64,
    name: String,
}

impl Probe {
    fn new(stage: &Stage) -> anyhow::Result<Self> {
        Ok(Self {
            gateway: address(stage.gateway.as_ref().context("no gateway")?)?,
            query: address(stage.query.as_ref().context("no query-api")?)?,
            headers: headers_of("probe"),
            // On the day of all other samples, so that no batch has a slice more.
            timestamp: stage.workload.start,
            next: AtomicU64::new(0),
            name: format!("probe_{}", stage.writer.as_ref().context("no writer")?.pid()),
        })
    }

    /// Probes in some threads as long as the load goes on.
    fn run_while(&self, sending: &AtomicBool) -> anyhow::Result<Latencies> {
        let times = Mutex::new(Vec::new());
        let probe = |number: u64| -> anyhow::Result<()> {
            // Out of step with one another, and with the batches.
            std::thread::sleep(Duration::from_millis(370 * number));
            while sending.load(Ordering::Relaxed) {
                let time = self.run_once()?;
                times.lock().expect("no probe panics").push(time);
                std::thread::sleep(Duration::from_millis(37));
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..PROBES as u64).map(|number| scope.spawn(move || probe(number))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("no probe panics"))
        })?;
        Ok(Latencies::new(times.into_inner().expect("no probe panics")))
    }

    /// Writes a sample; returns how long after the answer it could be read.
    fn run_once(&self) -> anyhow::Result<Duration> {
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let body = json!({"metrics": [
            {"name": self.name, "timestamp": self.timestamp, "value": 1, "dimensions": {"number": number}},
        ]});
        let (mut gateway, mut query) = (Connection::open(self.gateway)?, Connection::open(self.query)?);
        let answer = gateway.request("POST", "/api/v1/write", &self.headers, body.to_string().as_bytes())?;
        ensure!(answer.status == 202, "a probe was answered with {}", answer.status);
        let acknowledged = Instant::now();
        let answer: Value = serde_json::from_slice(&answer.body)?;
        let receipt = answer["receipt"].as_str().context("a receipt")?;
        let headers = format!("{}X-Luminate-Receipt: {receipt}\r\n", self.headers);
        let body = json!({
            "queryType": "aggregate", "metricName": self.name, "aggregation": "count",
            "timeRange": {"start": self.timestamp, "end": self.timestamp + 1},
            "filters": [{"dimension": "number", "op": "eq", "value": number}],
        });
        let answer = query.request("POST", "/api/v1/query", &headers, body.to_string().as_bytes())?;
        let time = acknowledged.elapsed();
        ensure!(answer.status == 200, "a probe's query was answered with {}", answer.status);
        let answer: Value = serde_json::from_slice(&answer.body)?;
        ensure!(answer["results"][0]["value"] == 1.0, "a probe's sample is not there, though its receipt is: {answer}");
        Ok(time)
    }
}
