//! One server's measurements: load it round by round, at full speed and at a fixed rate, start it again, ask it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use luminate_bench::usage::disk_bytes;
use luminate_bench::{Connection, MeasuredProcess, Workload, send_all, send_paced};
use serde::Serialize;

use super::target::{BenchQuery, Target};
use crate::output;

/// What one server took.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measurements {
    /// The server's name.
    pub(super) name: &'static str,
    /// Samples that it held at the end, counted back after a restart.
    pub(super) samples: u64,
    /// Processor seconds a million samples of series that it had not seen, merges included.
    pub(super) new_series_cpu_s_per_million: f64,
    /// The same for series that it knew.
    pub(super) known_series_cpu_s_per_million: f64,
    /// Samples a second of both phases while requests were being answered.
    pub(super) samples_per_second: f64,
    /// Bytes a sample on disk, all files, after a restart.
    pub(super) disk_bytes_per_sample: f64,
    /// The most memory held while loading, in bytes.
    pub(super) peak_memory_bytes: u64,
    /// Time from start to ready with all samples stored, in ms.
    pub(super) start_ms: f64,
    /// Write requests at the fixed rate.
    pub(super) paced: Option<Paced>,
    /// What queries cost.
    pub(super) queries: Vec<QueryCost>,
}

/// Latency of write requests at a fixed rate of samples, from the moment each was due.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Paced {
    /// Samples a second asked for.
    pub(super) rate: u64,
    /// Half of the requests took at most this long, in ms.
    pub(super) p50_ms: f64,
    /// 95 of 100 took at most this long, in ms.
    pub(super) p95_ms: f64,
    /// The slowest, in ms.
    pub(super) max_ms: f64,
}

/// What one query cost.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryCost {
    /// The query's name.
    pub(super) name: &'static str,
    /// Processor seconds a run.
    pub(super) cpu_s: f64,
    /// Median time to the answer, in ms.
    pub(super) median_ms: f64,
}

/// Which measurements are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The load; its last round is sent at the fixed rate.
    pub(super) workload: Workload,
    /// Samples a second of the last round; `None` sends it like the others.
    pub(super) paced_rate: Option<u64>,
    /// Whether queries are measured.
    pub(super) queries: bool,
}

/// Takes all measurements of one server; its log goes into `folder`.
pub(super) fn measure<T: Target>(target: &T, plan: &Plan, folder: &Path) -> anyhow::Result<Measurements> {
    let say = |what: &str| output::message(&format!("  {}: {what}", T::NAME));
    let log = folder.join(format!("{}.log", T::NAME));
    let workload = &plan.workload;
    let door = target.door();
    let bodies = |round| workload.bodies::<T::Format>(round);
    let mut result = Measurements { name: T::NAME, ..Measurements::default() };
    let million = 1e6;

    std::fs::create_dir_all(target.data())?;
    let mut server = MeasuredProcess::start(T::NAME, target.command(), &log)?;
    server.wait_until(|| target.is_ready())?;

    say("new series");
    let before = server.usage().cpu_seconds()?;
    let mut sending = send_all(&door, &bodies(0))?;
    let after_new = server.wait_until_quiet()?;
    result.new_series_cpu_s_per_million = (after_new - before) / (workload.series as f64 / million);

    let last = workload.rounds - 1;
    for round in 1..last {
        say(&format!("known series, round {round} of {last}"));
        sending += send_all(&door, &bodies(round))?;
    }
    let after_known = server.wait_until_quiet()?;
    let known_samples = (last.max(1) - 1) * workload.series;
    if known_samples > 0 {
        result.known_series_cpu_s_per_million = (after_known - after_new) / (known_samples as f64 / million);
    }
    let at_full_speed = workload.series * last;
    result.samples_per_second = at_full_speed as f64 / sending.as_secs_f64();
    if let Some(rate) = plan.paced_rate {
        say(&format!("{rate} samples a second"));
        let latencies = send_paced(&door, &bodies(last), rate)?;
        let [p50_ms, p95_ms, max_ms] = [0.5, 0.95, 1.0].map(|share| latencies.quantile_ms(share));
        result.paced = Some(Paced { rate, p50_ms, p95_ms, max_ms });
    } else {
        send_all(&door, &bodies(last))?;
    }
    server.wait_until_quiet()?;
    result.peak_memory_bytes = server.usage().peak_memory_bytes()?;
    say("restart");
    server.stop()?;

    let mut server = MeasuredProcess::start(T::NAME, target.command(), &log)?;
    result.start_ms = server.wait_until(|| target.is_ready())?.as_secs_f64() * 1e3;
    result.samples = target.count_samples(workload)?;
    if result.samples != workload.samples() {
        bail!("{} holds {} samples of {} that it acknowledged", T::NAME, result.samples, workload.samples());
    }
    server.wait_until_quiet()?;
    result.disk_bytes_per_sample = disk_bytes(target.data())? as f64 / workload.samples() as f64;
    if plan.queries {
        for query in BenchQuery::ALL {
            say(query.title());
            result.queries.push(measure_query(target, &server, query, workload)?);
        }
    }
    server.stop()?;
    Ok(result)
}

fn measure_query<T: Target>(
    target: &T,
    server: &MeasuredProcess,
    query: BenchQuery,
    workload: &Workload,
) -> anyhow::Result<QueryCost> {
    let call = target.query(query, workload);
    let mut connection = Connection::open(target.address())?;
    let mut run = || -> anyhow::Result<f64> {
        let began = Instant::now();
        let answer = connection.request(call.method, &call.path, &call.headers, &call.body)?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        if answer.status != 200 {
            let body = String::from_utf8_lossy(&answer.body);
            bail!("{} answered {} with {}: {body}", T::NAME, query.title(), answer.status);
        }
        Ok(took)
    };
    // The first run fills caches; as many more as fit some seconds are measured.
    let first = run()?;
    let runs = (4000.0 / first.max(1.0)).clamp(3.0, 100.0) as usize;
    let before = server.usage().cpu_seconds()?;
    let mut times = (0..runs).map(|_| run()).collect::<anyhow::Result<Vec<f64>>>()?;
    let cpu_s = (server.usage().cpu_seconds()? - before) / runs as f64;
    times.sort_unstable_by(f64::total_cmp);
    let median_ms = times.get(runs / 2).copied().context("no run")?;
    Ok(QueryCost { name: query.title(), cpu_s, median_ms })
}
