//! `luminate bench`: what ingest, disk, memory and queries cost, beside a peer in the same run.

mod measure;
mod report;
mod target;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use luminate_bench::Workload;
use luminate_bench::process::free_address;

use self::measure::{Plan, measure};
use self::target::{LuminateServer, VictoriaServer};
use crate::failure::CommandFailure;
use crate::output;

/// Measure ingest, disk, memory and queries on this machine, beside VictoriaMetrics
///
/// Starts this binary's own server and VictoriaMetrics, one after the other, on free ports of 127.0.0.1 with their data in
/// a temporary folder, writes the same samples to both over HTTP, starts them again, counts the samples back, and asks
/// both the same questions. Prints a table with the ratios; --output writes all figures as JSON.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  luminate bench                              # the whole: some 11 million samples, about 15 minutes
  luminate bench --series 50000 --rounds 5    # a small one
  luminate bench --output figures.json")]
pub(crate) struct BenchArgs {
    /// Series in all
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    series: u64,
    /// Samples of each series; one round more is sent at the fixed rate
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..))]
    rounds: u64,
    /// Samples of one write request
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    samples_per_request: u64,
    /// Samples a second of the round at the fixed rate
    #[arg(long, default_value_t = 100_000)]
    rate: u64,
    /// Leave out VictoriaMetrics, and with it the ratios
    #[arg(long)]
    without_peer: bool,
    /// Leave out the second workload (100 tenants, 50 metrics each)
    #[arg(long)]
    without_spread: bool,
    /// Write all figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep data and logs in this folder, which must be empty or missing; else a temporary folder is used and removed
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Runs all measurements.
pub(crate) fn run(args: &BenchArgs) -> Result<(), CommandFailure> {
    if !args.without_peer {
        VictoriaServer::check_installed()?;
    }
    let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
    let folder = args.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let empty = std::fs::read_dir(&folder).map(|mut entries| entries.next().is_none()).unwrap_or(false);
    if !empty {
        return Err(CommandFailure::Usage(format!("{} is not empty", folder.display())));
    }

    let workload = Workload {
        series: args.series,
        rounds: args.rounds + 1,
        samples_a_request: args.samples_per_request,
        tenants: 1,
        metrics: 1,
        has_status: false,
        start: yesterday(),
    };
    let plan = Plan { workload, paced_rate: Some(args.rate), queries: true };
    output::message(&format!("{} series, {} samples, one tenant and metric", args.series, workload.samples()));
    let ours = measure(&LuminateServer::new(&folder, 1, free_address()?)?, &plan, &folder)?;
    let peer = if args.without_peer {
        None
    } else {
        Some(measure(&VictoriaServer::new(&folder, free_address()?), &plan, &folder)?)
    };
    output::data(&report::comparison(&ours, peer.as_ref()))?;

    let many = if args.without_spread {
        None
    } else {
        let folder = folder.join("spread");
        let tenants = 100.min(args.series / 100).max(1);
        let workload = Workload { tenants, metrics: 50, ..workload };
        output::message(&format!("the same amount over {tenants} tenants and 50 metrics"));
        let plan = Plan { workload, paced_rate: None, queries: false };
        let many = measure(&LuminateServer::new(&folder, tenants, free_address()?)?, &plan, &folder)?;
        output::data(&report::spread(&ours, &many))?;
        Some(many)
    };

    if let Some(file) = &args.output {
        let figures = serde_json::json!({
            "samples": workload.samples(), "series": workload.series,
            "luminate": ours, "peer": peer, "luminateSpread": many,
        });
        let text = serde_json::to_string_pretty(&figures).context("figures")?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// One in the morning of yesterday, UTC: the whole load lies on one day and in the past.
fn yesterday() -> i64 {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    (now - now.rem_euclid(86_400) - 86_400 + 3600) * 1000
}
