//! The engines and services that are measured, and what each of them takes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use luminate_bench::workload::{LuminateJson, in_turns};
use luminate_bench::{Door, Request, Usage, Workload};
use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, Engine, ServiceProcess};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions};
use luminate_tests::server::token;
use serde_json::json;

/// Partitions of the topic that the gateway writes.
pub(crate) const PARTITIONS: u32 = 4;

/// Time between two looks at the store: each look is a query, which it would otherwise be charged for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a store must have neither merged nor changed its parts to count as quiet.
const QUIET: Duration = Duration::from_secs(5);

/// Says what happens now, with the seconds since the start.
pub(crate) fn say(what: &str) {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    let started = STARTED.get_or_init(Instant::now);
    eprintln!("[{:>4} s] {what}", started.elapsed().as_secs());
}

/// Engines and services. The services come and go.
pub(crate) struct Stage {
    /// The load.
    pub(crate) workload: Workload,
    /// Engines, topics and tables.
    pub(crate) cluster: Cluster,
    /// The gateway, where one runs.
    pub(crate) gateway: Option<ServiceProcess>,
    /// The writer, where one runs.
    pub(crate) writer: Option<ServiceProcess>,
    /// The query-api, where one runs.
    pub(crate) query: Option<ServiceProcess>,
    /// Samples beside the workload's that are stored.
    pub(crate) probes: u64,
}

impl Stage {
    /// Starts the engines and makes topics and tables. No service runs yet.
    pub(crate) fn prepare(workload: Workload) -> Self {
        // As in production: no tier of Java's compiler is left out.
        let kafka = Kafka::start(KafkaOptions { quick: false, heap_mib: 512, ..KafkaOptions::default() });
        let clickhouse = ClickHouse::start(ClickHouseOptions::default());
        let cluster = Cluster::prepare(ClusterOptions {
            kafka: Engine::Own(kafka),
            clickhouse: Engine::Own(clickhouse),
            partitions: PARTITIONS,
            // The defaults of the product, in place of the impatience of tests.
            kafka_section: json!({
                "consumer": {"sessionTimeout": "45s", "watchInterval": "5s", "discoveryInterval": "5s"},
                "librdkafka": {"heartbeat.interval.ms": "3000"},
            }),
            writer: json!({"writer": {"retry": {"maxDelay": "10s"}}}),
            ..ClusterOptions::default()
        });
        Self { workload, cluster, gateway: None, writer: None, query: None, probes: 0 }
    }

    /// Starts a writer that stores a batch at this age, in place of the one that runs.
    pub(crate) fn start_writer(&mut self, batch_age: Duration) {
        if let Some(mut writer) = self.writer.take() {
            writer.stop();
        }
        let batch = json!({"writer": {"batch": {"maxAge": format!("{}ms", batch_age.as_millis())}}});
        self.writer = Some(self.cluster.start_writer_with(&batch));
    }

    /// Stops all services; the engines go on.
    pub(crate) fn stop_services(&mut self) {
        for service in [&mut self.gateway, &mut self.writer, &mut self.query] {
            if let Some(mut service) = service.take() {
                service.stop();
            }
        }
    }

    /// The write requests of a round, of all tenants in turns.
    pub(crate) fn requests(&self, round: u64) -> Vec<Request> {
        in_turns(self.workload.bodies::<LuminateJson>(round))
    }

    /// Where the gateway takes samples of the workload's tenants.
    pub(crate) fn door(&self) -> anyhow::Result<Door> {
        let address = address(self.gateway.as_ref().context("no gateway runs")?)?;
        let tenants = (0..self.workload.tenants).map(Workload::tenant_name);
        let headers = tenants.map(|tenant| headers_of(&tenant)).collect();
        Ok(Door { name: "the gateway", address, path: "/api/v1/write", status: 202, headers })
    }

    /// Waits until ClickHouse has so many samples of the workload.
    pub(crate) fn wait_stored(&self, samples: u64) -> anyhow::Result<()> {
        let table = format!("{}.samples", self.cluster.database());
        wait_rows(&self.cluster.clickhouse, &table, samples + self.probes)
    }
}

/// What a process has taken so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    usage: Usage,
    began_at: f64,
}

impl Meter {
    /// From now on.
    pub(crate) fn start(pid: u32) -> anyhow::Result<Self> {
        let usage = Usage::of(pid);
        Ok(Self { usage, began_at: usage.cpu_seconds()? })
    }

    /// From the beginning of the process on.
    pub(crate) fn since_birth(pid: u32) -> Self {
        Self { usage: Usage::of(pid), began_at: 0.0 }
    }

    /// Processor seconds since, for a million of `samples`.
    pub(crate) fn per_million(&self, samples: u64) -> anyhow::Result<f64> {
        Ok((self.usage.cpu_seconds()? - self.began_at) / (samples as f64 / 1e6))
    }

    /// The most memory that the process has held, in MiB.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<f64> {
        Ok(self.usage.peak_memory_bytes()? as f64 / 1048576.0)
    }
}

/// A meter of the first node of an engine.
pub(crate) fn meter_of(pid: Option<u32>) -> anyhow::Result<Meter> {
    Meter::start(pid.context("the engine does not run")?)
}

/// Where a service listens.
pub(crate) fn address(service: &ServiceProcess) -> anyhow::Result<SocketAddr> {
    Ok(service.url().trim_start_matches("http://").parse()?)
}

/// Header lines of a request with JSON for a tenant.
pub(crate) fn headers_of(tenant: &str) -> String {
    format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", token(tenant, "read,write"))
}

/// Waits until a table has so many rows, and no more.
pub(crate) fn wait_rows(clickhouse: &ClickHouse, table: &str, rows: u64) -> anyhow::Result<()> {
    // Answered from what is known of the parts, without a look into them.
    let sql = format!("SELECT count() FROM {table}");
    let (began, mut told) = (Instant::now(), Instant::now());
    loop {
        let found: u64 = clickhouse.query(&sql).trim().parse()?;
        if found == rows {
            return Ok(());
        }
        if found > rows || began.elapsed() > Duration::from_secs(300) {
            bail!("{found} samples are stored of {rows}");
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            say(&format!("  {found} of {rows} samples are stored"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Waits until the store has done what it put off: no merge runs, and parts have not changed for a while.
pub(crate) fn wait_merged(clickhouse: &ClickHouse) -> anyhow::Result<()> {
    let state = || {
        clickhouse.query(
            "SELECT (SELECT count() FROM system.merges), groupArray(name) FROM \
             (SELECT name FROM system.parts WHERE active AND database NOT IN ('system') ORDER BY name)",
        )
    };
    let (began, mut last, mut since) = (Instant::now(), state(), Instant::now());
    while since.elapsed() < QUIET {
        if began.elapsed() > Duration::from_secs(300) {
            bail!("ClickHouse still merges after five minutes");
        }
        std::thread::sleep(LOOK_EVERY);
        let now = state();
        if now != last || !now.starts_with("0\t") {
            since = Instant::now();
        }
        last = now;
    }
    Ok(())
}

/// Bytes a row of a table in its active parts, and how many parts there are.
pub(crate) fn stored_size(clickhouse: &ClickHouse, database: &str, table: &str) -> anyhow::Result<(f64, u64)> {
    let answer = clickhouse.query(&format!(
        "SELECT sum(bytes_on_disk) / sum(rows), count() FROM system.parts \
         WHERE active AND database = '{database}' AND table = '{table}'"
    ));
    let (bytes, parts) = answer.trim().split_once('\t').context("bytes and parts")?;
    Ok((bytes.parse()?, parts.parse()?))
}

/// Bytes that a topic's records take in the brokers' logs, indexes aside.
pub(crate) fn log_bytes(kafka: &Kafka, topic: &str) -> anyhow::Result<u64> {
    fn of_folder(folder: &Path, topic: &str, is_topic: bool) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder)? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            let name = name.to_string_lossy();
            if path.is_dir() {
                let is_partition = name.rsplit_once('-').is_some_and(|(of, _)| of == topic);
                bytes += of_folder(&path, topic, is_partition)?;
            } else if is_topic && name.ends_with(".log") {
                bytes += path.metadata()?.len();
            }
        }
        Ok(bytes)
    }
    of_folder(&kafka.folder(), topic, false)
}
