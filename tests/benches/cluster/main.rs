//! What a cluster takes for its work: gateway, Kafka, writer, ClickHouse and query-api as processes of this machine, and
//! ClickHouse's own Kafka engine in the same run. `make bench-cluster` builds what it needs and runs it.
//!
//! | module | what happens |
//! |---|---|
//! | `stage` | engines and services are started; what each of them takes is read |
//! | `ingest` | samples go to Kafka at full speed, then a writer moves all of them into ClickHouse |
//! | `paced` | samples come at a fixed rate through the whole cluster; how long until they can be read |
//! | `queries` | what users ask |
//! | `peer` | the same samples, from Kafka into ClickHouse by what a user would take instead |
//! | `report` | the figures as a table |
//!
//! Processor seconds are those of the kernel's account, so they hold on a busy machine as well; latencies do not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod ingest;
mod paced;
mod peer;
mod queries;
mod report;
mod stage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use serde::Serialize;

use self::ingest::{Ingest, Stored};
use self::paced::Paced;
use self::peer::Peer;
use self::queries::QueryCost;
use self::stage::{Stage, say};
use luminate_bench::Workload;

/// Measure the services of a cluster on this machine, beside ClickHouse's own Kafka engine
///
/// Starts Apache Kafka and ClickHouse (those of tests/engines), a gateway, a writer and a query-api on free ports of
/// 127.0.0.1 with their data in temporary folders, and ends all of them. Prints tables; --output writes the figures as JSON.
#[derive(Debug, Parser)]
#[command(name = "cluster")]
struct Args {
    /// Series in all; every round has one sample of each
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    series: u64,
    /// Rounds that are sent at full speed
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Tenants that write at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=100))]
    tenants: u64,
    /// Samples of one write request
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    samples_per_request: u64,
    /// Samples a second of the rounds at the fixed rate
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Ages at which a writer stores a batch, in ms; a round is sent at the fixed rate for each. 1000 is the default
    #[arg(long, value_delimiter = ',', default_values_t = [DEFAULT_BATCH_AGE_MS, 100])]
    batch_ages: Vec<u64>,
    /// Leave out the peer, and with it the ratios
    #[arg(long)]
    without_peer: bool,
    /// End after the rounds at full speed, without latencies, queries and the peer: for work on what they cost
    #[arg(long)]
    ingest_only: bool,
    /// Write all figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Cargo's own, which means nothing here
    #[arg(long, hide = true)]
    bench: bool,
}

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    /// Processors of the machine.
    processors: usize,
    /// Samples a second of the fixed rate.
    rate: u64,
    /// Samples from HTTP to Kafka, at full speed.
    ingest: Ingest,
    /// The same samples from Kafka into ClickHouse.
    stored: Stored,
    /// The fixed rate, by the age at which a writer stores a batch.
    paced: Vec<Paced>,
    /// What users ask.
    queries: Vec<QueryCost>,
    /// The peer.
    peer: Option<Peer>,
}

/// The age at which a writer stores a batch unless told otherwise, in ms.
const DEFAULT_BATCH_AGE_MS: u64 = 1000;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let workload = Workload {
        series: args.series,
        rounds: args.rounds + args.batch_ages.len() as u64,
        samples_a_request: args.samples_per_request,
        tenants: args.tenants,
        metrics: 1,
        has_status: true,
        start: yesterday(),
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut figures = Figures { processors, rate: args.rate, ..Figures::default() };

    say("starting Kafka and ClickHouse");
    let mut stage = Stage::prepare(workload);
    figures.ingest = ingest::to_kafka(&mut stage, args.rounds)?;
    figures.stored = ingest::to_store(&mut stage, args.rounds)?;
    if !args.ingest_only {
        for (round, age) in (args.rounds..).zip(&args.batch_ages) {
            figures.paced.push(paced::measure(&mut stage, round, args.rate, Duration::from_millis(*age))?);
        }
        figures.queries = queries::measure(&mut stage)?;
        stage.stop_services();
        if !args.without_peer {
            figures.peer = Some(peer::measure(&stage, args.rounds)?);
        }
    }
    println!("{}", report::tables(&figures));
    if let Some(file) = &args.output {
        let text = serde_json::to_string_pretty(&figures)?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// One in the morning of yesterday, UTC: all samples lie on one day and in the past.
fn yesterday() -> i64 {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    (now - now.rem_euclid(86_400) - 86_400 + 3600) * 1000
}
