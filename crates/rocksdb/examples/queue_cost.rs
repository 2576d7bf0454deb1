//! What the embedded queue costs: clients publish records while a consumer reads and commits them.
//!
//! `cargo run --release -p luminate-rocksdb --example queue_cost -- [clients] [records] [bytes a record] [folder]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use luminate_model::{Offset, TenantId};
use luminate_queue::{Assignment, Consumer as _, Producer as _, Record, RecordKey};
use luminate_rocksdb::queue::{EmbeddedQueue, EmbeddedQueueConfig};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(default, |text| text.parse().expect("a number"));
    let (clients, records, bytes) = (number(0, 64), number(1, 5000), number(2, 40_000));
    let folder = arguments.get(3).map_or_else(|| std::env::temp_dir().join("queue-cost"), PathBuf::from);
    let config = EmbeddedQueueConfig { partitions: Some(1), ..EmbeddedQueueConfig::default() };
    let queue = EmbeddedQueue::open(&folder, &config).expect("an open queue");
    let first = queue.stats().records;

    let (began, cpu_before) = (Instant::now(), cpu_seconds());
    let consumer = tokio::spawn(consume(queue.clone(), records));
    let mut publishing = tokio::task::JoinSet::new();
    for client in 0..clients {
        let queue = queue.clone();
        let share = records / clients + usize::from(client < records % clients);
        publishing.spawn(async move { publish(&queue, share, bytes).await });
    }
    let mut latencies: Vec<Duration> = publishing.join_all().await.concat();
    let published = began.elapsed();
    consumer.await.expect("a consumer");
    let cpu = cpu_seconds() - cpu_before;

    latencies.sort_unstable();
    let stats = queue.stats();
    let megabytes = (records * bytes) as f64 / 1e6;
    println!("{records} records of {bytes} bytes by {clients} clients (the queue held {first})");
    println!(
        "{:.2} s, {:.0} MB/s, {cpu:.2} CPU-s, {:.1} CPU-ms/MB",
        published.as_secs_f64(),
        megabytes / published.as_secs_f64(),
        cpu * 1e3 / megabytes
    );
    println!("{:.3} syncs a publish", stats.syncs as f64 / stats.publishes as f64);
    println!(
        "latency p50 {:?}, p95 {:?}, max {:?}",
        latencies[records / 2],
        latencies[records * 95 / 100],
        latencies[records - 1]
    );
    println!("on disk {:.1} MB, drained", stats.disk_bytes as f64 / 1e6);
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("on disk {:.1} MB, after three quiet seconds", queue.stats().disk_bytes as f64 / 1e6);
    queue.close().await;
    println!("on disk {:.1} MB, closed; resident at most {}", queue.stats().disk_bytes as f64 / 1e6, peak_memory());
}

async fn publish(queue: &EmbeddedQueue, records: usize, bytes: usize) -> Vec<Duration> {
    let value = bytes::Bytes::from((0..bytes).map(|at| (at * at % 251) as u8).collect::<Vec<_>>());
    let key = RecordKey { tenant: TenantId::parse("acme").unwrap(), shard: 0 };
    let mut latencies = Vec::with_capacity(records);
    for _ in 0..records {
        let began = Instant::now();
        let record = Record { key: key.clone(), headers: Vec::new(), value: value.clone() };
        queue.publish(vec![record]).await.remove(0).expect("published");
        latencies.push(began.elapsed());
    }
    latencies
}

/// Reads as a writer does, and commits once a second or every 16 MB.
async fn consume(queue: EmbeddedQueue, records: usize) {
    let Assignment::Given(mut partition) = queue.consumer().assignment().await.unwrap() else { panic!("revoked") };
    let (mut read, mut bytes, mut committed) = (0, 0, Instant::now());
    let mut next = Offset(0);
    while read < records {
        let some = partition.poll(4 << 20).await.expect("records");
        read += some.len();
        bytes += some.iter().map(luminate_queue::ConsumedRecord::size).sum::<usize>();
        next = some.last().map_or(next, |record| record.offset.next());
        if bytes > 16 << 20 || committed.elapsed() > Duration::from_secs(1) {
            partition.commit(next, "").await.expect("a commit");
            (bytes, committed) = (0, Instant::now());
        }
    }
    partition.commit(next, "").await.expect("a commit");
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default().trim().to_owned()
}
