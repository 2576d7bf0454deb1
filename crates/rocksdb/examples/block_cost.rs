//! What column blocks cost on one thread: microseconds of CPU time and bytes a sample for encoding, merging and scanning,
//! on the load of `luminate bench` made in memory. Arguments: samples (10000000), tenants (1), metrics (1).
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "prints a table for people")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use luminate_model::{Offset, SampleColumnsBuilder, TenantId};
use luminate_rocksdb::block::{
    BlockId, BlockReader, EncodedBlock, MergeInput, MergeOptions, MergeRules, PageReader, SectionRule, encode_batch,
    merge,
};
use luminate_storage::context::QueryLimits;
use luminate_storage::{
    BatchRecord, DimensionFilter, DimensionTest, QueryContext, ScanChunk, ScanRequest, StorageError,
};

const SERIES: u64 = 1_000_000;
const RECORD_SAMPLES: u64 = 2_000;
const BATCH_SAMPLES: u64 = 500_000;
const START: i64 = 1_767_225_600_000;
/// Batches that a first merge takes, and runs that a later one takes.
const FAN_IN: usize = 8;

struct KeepAll;

impl MergeRules for KeepAll {
    fn section(&self, _: BlockId, _: &TenantId, _: &str, _: u16) -> SectionRule {
        SectionRule::KeepFrom(i64::MIN)
    }
}

#[derive(Default)]
struct Pages {
    pages: HashMap<(BlockId, u32), Bytes>,
    next: u64,
    read: AtomicU64,
    bytes: AtomicU64,
}

impl PageReader for Pages {
    fn page(&self, block: BlockId, page: u32) -> Result<Bytes, StorageError> {
        let bytes = self.pages.get(&(block, page)).cloned();
        let bytes = bytes.ok_or_else(|| StorageError::Damaged(format!("no page {page} of block {block}")))?;
        self.read.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Pages {
    fn add(&mut self, block: EncodedBlock) -> MergeInput {
        let id = BlockId(self.next);
        self.next += 1;
        for (page, bytes) in block.pages.into_iter().enumerate() {
            self.pages.insert((id, page as u32), Bytes::from(bytes));
        }
        MergeInput { id, summary: Arc::new(block.summary) }
    }

    fn remove(&mut self, runs: &[Vec<MergeInput>]) {
        for input in runs.iter().flatten() {
            (0..input.summary.pages).for_each(|page| drop(self.pages.remove(&(input.id, page))));
        }
    }

    /// Merges runs into one a tenant and day.
    fn merge(&mut self, runs: &[Vec<MergeInput>], cost: &mut Cost) -> Vec<(String, Vec<MergeInput>)> {
        let mut merged = Vec::new();
        let samples = runs.iter().flatten().map(|input| u64::from(input.summary.samples)).sum();
        cost.measure(samples, || {
            merge(runs, self, &KeepAll, &MergeOptions::default(), &mut |block| {
                merged.push(block);
                Ok(())
            })
            .unwrap();
        });
        self.remove(runs);
        let mut by_tenant: Vec<(String, Vec<MergeInput>)> = Vec::new();
        for block in merged {
            cost.bytes += block.summary.page_bytes + block.summary.encode().len() as u64;
            let tenant = block.summary.sections[0].tenant.to_string();
            let input = self.add(block);
            match by_tenant.last_mut() {
                Some((last, run)) if *last == tenant => run.push(input),
                _ => by_tenant.push((tenant, vec![input])),
            }
        }
        by_tenant
    }
}

#[derive(Default)]
struct Cost {
    samples: u64,
    bytes: u64,
    cpu: Duration,
    /// The smallest cost of one call, in us a sample: what it costs on a machine that does nothing else.
    best: Option<f64>,
}

impl Cost {
    fn measure<T>(&mut self, samples: u64, work: impl FnOnce() -> T) -> T {
        let before = cpu_time();
        let result = work();
        let cpu = cpu_time() - before;
        self.cpu += cpu;
        self.samples += samples;
        let us = cpu.as_secs_f64() * 1e6 / samples as f64;
        self.best = Some(self.best.map_or(us, |best| best.min(us)));
        result
    }

    fn print(&self, what: &str) {
        let us = self.cpu.as_secs_f64() * 1e6 / self.samples as f64;
        let bytes = self.bytes as f64 / self.samples as f64;
        let best = self.best.unwrap_or_default();
        println!(
            "{what:<44} {us:>8.3} us/sample (best {best:.3}) {bytes:>8.2} bytes/sample {:>9.3} CPU-s",
            self.cpu.as_secs_f64()
        );
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's CPU time");
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Numbers that look random and are the same every time.
fn mix(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[allow(clippy::disallowed_methods, reason = "a bench names its tenants")]
fn tenant(n: u64) -> TenantId {
    TenantId::parse(&format!("tenant-{n}")).unwrap()
}

/// The samples `from..to` of the load: all series in turn, again and again, 10,000 a second.
fn batch(from: u64, to: u64, tenants: u64, metrics: u64) -> Vec<BatchRecord> {
    let mut records = Vec::new();
    let mut builder = SampleColumnsBuilder::new();
    for start in (from..to).step_by(RECORD_SAMPLES as usize) {
        let owner = start / RECORD_SAMPLES % tenants;
        for n in start..(start + RECORD_SAMPLES).min(to) {
            let series = n % SERIES;
            let dimensions = [
                ("customer_id", format!("cust_{series:07}")),
                ("endpoint", format!("/api/v1/resource_{}", series % 20)),
                ("host", format!("host-{:03}", series / 7 % 100)),
                (
                    "region",
                    ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1"][(series % 5) as usize]
                        .to_owned(),
                ),
                ("status", ["200", "201", "400", "404", "500"][(mix(series) % 5) as usize].to_owned()),
            ];
            let value = (mix(n) % 10_000) as f64 / 10.0;
            let metric =
                if metrics == 1 { "api_latency".to_owned() } else { format!("metric_{:02}", series % metrics) };
            builder.push(&metric, 0, START + n as i64 / 10, value, &dimensions);
        }
        records.push(BatchRecord {
            tenant: tenant(owner),
            offset: Offset(records.len() as u64),
            samples: builder.finish(),
        });
    }
    records
}

fn context() -> QueryContext {
    let timeout = Duration::from_secs(600);
    QueryContext::new(QueryLimits { timeout, memory_bytes: 1 << 40, samples: u64::MAX, workers: 1 })
}

/// Scans until it has taken long enough to be measured, and prints what one scan costs.
fn scan(pages: &Pages, runs: &[Vec<MergeInput>], request: &ScanRequest, what: &str, take: &mut dyn FnMut(ScanChunk)) {
    let enough = Duration::from_millis(400);
    let (mut scans, before) = (0_u32, cpu_time());
    let mut context = context();
    while cpu_time() - before < enough {
        pages.read.store(0, Ordering::Relaxed);
        pages.bytes.store(0, Ordering::Relaxed);
        context = self::context();
        for input in runs.iter().flatten() {
            let block = BlockReader::new(input.id, input.summary.clone(), pages);
            let taken = &mut |chunk| {
                take(chunk);
                Ok(())
            };
            block.scan(request, &context, taken).unwrap();
        }
        scans += 1;
    }
    let cpu = (cpu_time() - before) / scans;
    let counters = context.counters();
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{what:<44} {:>9.3} CPU-ms {:>9} samples {:>5} pages {:>10} bytes {:>4} blocks read {:>4} skipped",
        cpu.as_secs_f64() * 1e3,
        of(&counters.samples_read),
        of(&pages.read),
        of(&pages.bytes),
        of(&counters.blocks_read),
        of(&counters.blocks_skipped),
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let samples = arguments.next().unwrap_or(10_000_000);
    let tenants = arguments.next().unwrap_or(1);
    let metrics = arguments.next().unwrap_or(1);
    println!("{samples} samples, {SERIES} series, {tenants} tenants, {metrics} metrics");
    let mut pages = Pages::default();
    let (mut encode, mut first, mut later, mut last) =
        (Cost::default(), Cost::default(), Cost::default(), Cost::default());
    let mut arrivals = Vec::new();
    let mut merged: HashMap<String, Vec<Vec<MergeInput>>> = HashMap::new();
    for start in (0..samples).step_by(BATCH_SAMPLES as usize) {
        let end = (start + BATCH_SAMPLES).min(samples);
        let records = batch(start, end, tenants, metrics);
        let blocks = encode.measure(end - start, || encode_batch(&records));
        encode.bytes +=
            blocks.iter().map(|block| block.summary.page_bytes + block.summary.encode().len() as u64).sum::<u64>();
        arrivals.push(blocks.into_iter().map(|block| pages.add(block)).collect::<Vec<_>>());
        if arrivals.len() == FAN_IN || end == samples {
            for (tenant, run) in pages.merge(&std::mem::take(&mut arrivals), &mut first) {
                merged.entry(tenant).or_default().push(run);
            }
        }
    }
    encode.print("sort and encode a batch of 500,000");
    first.print("merge 8 batches");
    let mut all = Vec::new();
    for runs in merged.into_values() {
        for (_, run) in pages.merge(&runs, &mut later) {
            all.push(run);
        }
    }
    later.print("merge all runs of a tenant");
    for run in &mut all {
        let runs = [std::mem::take(run)];
        *run = pages.merge(&runs, &mut last).into_iter().flat_map(|(_, run)| run).collect();
    }
    last.print("encode again (a merge of one run)");
    let (mut summaries, mut memory, mut blocks) = (0, 0, 0);
    for input in all.iter().flatten() {
        summaries += input.summary.encode().len();
        memory += input.summary.memory_bytes();
        blocks += 1;
    }
    println!("{blocks} blocks, summaries {summaries} bytes encoded, {memory} bytes in memory");
    let metric = if metrics == 1 { "api_latency" } else { "metric_07" };
    let request = || ScanRequest::new(tenant(0), metric, START);

    let mut by_endpoint = request();
    by_endpoint.columns.dimensions = vec!["endpoint".to_owned()];
    by_endpoint.columns.values = true;
    let mut sums = [(0.0, 0_u64); 64];
    scan(&pages, &all, &by_endpoint, "average by endpoint", &mut |chunk| {
        let mut values = chunk.values.iter();
        for (index, run) in chunk.dimensions[0].indexes.iter().zip(&chunk.runs) {
            let group = &mut sums[*index as usize % 64];
            group.0 += values.by_ref().take(*run as usize).sum::<f64>();
            group.1 += u64::from(*run);
        }
    });
    let (sum, count) = sums.iter().fold((0.0, 0), |all, group| (all.0 + group.0, all.1 + group.1));
    println!("{:<44} average of all groups {:.3}", "", sum / count as f64);

    let mut plain = request();
    plain.columns.values = true;
    scan(&pages, &all, &plain, "values alone", &mut |_| {});
    plain.columns.timestamps = true;
    scan(&pages, &all, &plain, "values and timestamps", &mut |_| {});
    plain.columns.series_ids = true;
    scan(&pages, &all, &plain, "values, timestamps and ids", &mut |_| {});
    plain.columns.all_dimensions = true;
    scan(&pages, &all, &plain, "everything", &mut |_| {});
    let mut needle = request();
    needle.columns.values = true;
    needle.columns.timestamps = true;
    for customer in ["cust_0000000", "cust_0123457", "cust_9999999"] {
        let test = DimensionTest::Equal(customer.to_owned());
        needle.filters = vec![DimensionFilter { key: "customer_id".to_owned(), test }];
        scan(&pages, &all, &needle, customer, &mut |_| {});
    }
    let mut hour = by_endpoint.clone();
    hour.time.start = START + 500_000;
    hour.time.end = START + 600_000;
    scan(&pages, &all, &hour, "average by endpoint, a tenth of the time", &mut |_| {});
}
