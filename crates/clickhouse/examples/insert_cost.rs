//! What storing costs: our side of an insert, the server's, and bytes on disk.
//!
//! `cargo run --release -p luminate-clickhouse --example insert_cost -- URL [batches] [samples a batch] [pid of the server]`
//!
//! Samples of six dimensions, each of a new series, values with one decimal. The server's cost is its process's CPU time, merges
//! included, where its pid is given.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people who measure")]

use std::time::Instant;

use luminate_clickhouse::{ClickHouseConfig, ClickHouseSink, Hosts, client::Statement, migrate};
use luminate_model::{Incarnation, Offset, SampleColumnsBuilder, Source, TenantId};
use luminate_runtime::clock::system_clock;
use luminate_storage::{Batch, BatchRecord, IntentSink as _, Permit};

const SAMPLES_A_RECORD: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "http://localhost:8123".to_owned());
    let batches: u64 = arguments.next().map_or(10, |text| text.parse().unwrap());
    let samples: usize = arguments.next().map_or(500_000, |text| text.parse().unwrap());
    let server: Option<u32> = arguments.next().map(|text| text.parse().unwrap());

    let database = format!("insert_cost_{}", std::process::id());
    let config = ClickHouseConfig { addresses: vec![url], database: database.clone(), ..ClickHouseConfig::default() };
    migrate(&config, "insert_cost", false).await.unwrap();
    let hosts = Hosts::new(&config).unwrap();
    let sink = ClickHouseSink::new(config, system_clock()).unwrap();
    let source = Source { incarnation: Incarnation([1; 16]), partition: 0 };
    let target = sink.target(&source).await.unwrap();

    let (mut ours, mut servers, mut elapsed) = (0.0, 0.0, 0.0);
    for number in 0..batches {
        let batch = batch(source, number, samples);
        let (begun, own, other) =
            (Instant::now(), cpu_seconds("self"), server.map(|pid| cpu_seconds(&pid.to_string())));
        sink.insert(&batch, &target, Permit::unlimited()).await.unwrap();
        elapsed += begun.elapsed().as_secs_f64();
        ours += cpu_seconds("self") - own;
        servers += server.map_or(0.0, |pid| cpu_seconds(&pid.to_string())) - other.unwrap_or_default();
    }
    let millions = (batches as usize * samples) as f64 / 1e6;
    println!(
        "our side     {:.3} CPU-s a million samples ({:.0} samples/s a core)",
        ours / millions,
        millions / ours * 1e6
    );
    println!("elapsed      {:.3} s a million samples", elapsed / millions);
    let before = server.map(|pid| cpu_seconds(&pid.to_string()));
    let optimize = Statement::new(format!("OPTIMIZE TABLE {database}.samples FINAL")).setting("max_execution_time", 0);
    hosts.execute(&optimize).await.unwrap();
    if let (Some(pid), Some(before)) = (server, before) {
        let merging = cpu_seconds(&pid.to_string()) - before;
        println!("server       {:.3} CPU-s a million samples while inserting", servers / millions);
        println!("             {:.3} CPU-s a million samples for the last merge of everything", merging / millions);
    }
    let sizes = format!(
        "SELECT sum(bytes_on_disk) / sum(rows), count() FROM system.parts WHERE active AND database = '{database}' AND table = 'samples'"
    );
    let sizes: Vec<(f64, u64)> = hosts.rows(&Statement::new(sizes)).await.unwrap();
    for (bytes, parts) in sizes {
        println!("on disk      {bytes:.2} bytes a sample in {parts} parts");
    }
    hosts.execute(&Statement::new(format!("DROP DATABASE {database} SYNC"))).await.unwrap();
}

/// One batch of records of 1000 samples: times a second apart, so that all lie in one day.
fn batch(source: Source, number: u64, samples: usize) -> Batch {
    let records = samples / SAMPLES_A_RECORD;
    let first = number * records as u64;
    #[allow(clippy::disallowed_methods, reason = "a tenant of our own")]
    let tenant = TenantId::parse("acme").unwrap();
    let midnight = 1_735_689_600_000;
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut columns = SampleColumnsBuilder::new();
    let records = (0..records).map(|record| {
        for at in 0..SAMPLES_A_RECORD {
            let time = midnight + ((number as i64 * 10 + record as i64 / 50) * 1000 + at as i64) % 86_400_000;
            let dimensions = [
                ("customer_id", format!("cust_{}", random(200_000))),
                ("endpoint", format!("/api/v1/resource{}", random(40))),
                ("host", format!("host-{:03}", random(200))),
                ("method", ["GET", "POST", "PUT", "DELETE"][random(4) as usize].to_owned()),
                ("region", format!("region-{}", random(8))),
                ("status", [200, 201, 404, 500][random(4) as usize].to_string()),
            ];
            let value = random(10_000) as f64 / 10.0;
            columns.push(["api_latency", "api_bytes"][at % 2], 0, time, value, &dimensions);
        }
        BatchRecord { tenant: tenant.clone(), offset: Offset(first + record as u64), samples: columns.finish() }
    });
    let records: Vec<_> = records.collect();
    let next = Offset(first + records.len() as u64);
    Batch { source, first: Offset(first), next, records, idempotency: Vec::new(), forget_idempotency_before: i64::MIN }
}

/// CPU time of a process so far, user and system.
fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}
