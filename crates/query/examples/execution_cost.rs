//! What execution costs over chunks like those of the RocksDB store: 10 million samples, a million series of 10 samples.
//!
//! `cargo run --release -p luminate-query --example execution_cost`

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use luminate_model::{Receipt, SeriesId, StringTable, TimeRange};
use luminate_query::execute;
use luminate_query::plan::{AggregatePlan, Plan};
use luminate_storage::conformance::Dice;
use luminate_storage::conformance::generate::tenant;
use luminate_storage::{
    AggregateAnswer, AggregateFunction, AggregateRequest, CataloguePage, CatalogueRequest, ChunkConsumer,
    DictionaryColumn, Direction, GroupOrder, QueryContext, QueryLimits, ReachError, SampleSource, ScanChunk,
    ScanRequest, Step, StorageError,
};

const SERIES: usize = 1_000_000;
const SERIES_SAMPLES: usize = 10;
const CHUNK_SERIES: usize = 26_214;
const DAY: i64 = 86_400_000;

struct Prepared(Mutex<Vec<ScanChunk>>);

impl Prepared {
    /// Chunks with what a request asks for, so that no time is spent on making them.
    fn of(request: &ScanRequest) -> Self {
        let mut dice = Dice::new(1);
        let mut chunks = Vec::new();
        let mut first = 0;
        while first < SERIES {
            let series = CHUNK_SERIES.min(SERIES - first);
            chunks.push(chunk(request, first, series, &mut dice));
            first += series;
        }
        Self(Mutex::new(chunks))
    }
}

fn chunk(request: &ScanRequest, first: usize, series: usize, dice: &mut Dice) -> ScanChunk {
    let columns = &request.columns;
    let samples = series * SERIES_SAMPLES;
    let dimensions = columns.dimensions.iter().map(|key| {
        let values = match key.as_str() {
            "region" => 8,
            "endpoint" => 50,
            _ => series,
        };
        let dictionary: StringTable = (0..values)
            .map(
                |value| {
                    if values == series { format!("customer-{:08}", first + value) } else { format!("{key}-{value}") }
                },
            )
            .collect();
        let indexes = (0..series).map(|at| if values == series { at } else { dice.below(values) } as u32 + 1).collect();
        DictionaryColumn { key: key.as_str().into(), dictionary: Arc::new(dictionary), indexes }
    });
    let dimensions = dimensions.collect();
    ScanChunk {
        metric: "m".into(),
        runs: vec![SERIES_SAMPLES as u32; series],
        dimensions,
        series_ids: if columns.series_ids {
            (0..series).map(|_| SeriesId(u128::from(dice.any()) << 64 | u128::from(dice.any()))).collect()
        } else {
            Vec::new()
        },
        timestamps: if columns.timestamps {
            (0..samples).map(|at| (at % SERIES_SAMPLES) as i64 * 8_000_000 + dice.below(1_000_000) as i64).collect()
        } else {
            Vec::new()
        },
        values: if columns.values {
            (0..samples).map(|_| dice.below(10_000) as f64 / 10.0).collect()
        } else {
            Vec::new()
        },
    }
}

#[async_trait]
impl SampleSource for Prepared {
    async fn scan(
        &self,
        _: &ScanRequest,
        _: &QueryContext,
        consumer: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        let chunks = std::mem::take(&mut *self.0.lock().unwrap());
        chunks.into_iter().try_for_each(|chunk| consumer.consume(0, chunk))
    }

    async fn aggregate(&self, _: &AggregateRequest, _: &QueryContext) -> Result<Option<AggregateAnswer>, StorageError> {
        Ok(None)
    }

    async fn metrics(&self, _: &CatalogueRequest, _: &QueryContext) -> Result<CataloguePage, StorageError> {
        Ok(CataloguePage::default())
    }

    async fn dimension_keys(&self, _: &CatalogueRequest, _: &QueryContext) -> Result<CataloguePage, StorageError> {
        Ok(CataloguePage::default())
    }

    async fn dimension_values(
        &self,
        _: &str,
        _: &CatalogueRequest,
        _: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        Ok(CataloguePage::default())
    }

    async fn watermark(&self) -> Result<Receipt, StorageError> {
        Ok(Receipt::default())
    }

    async fn reach(&self, _: &Receipt) -> Result<(), ReachError> {
        Ok(())
    }

    fn readable(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Processor time of all threads so far.
fn processor_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// What the store would be asked: the dimensions and columns of the real scan.
fn scan_of(request: &AggregateRequest) -> ScanRequest {
    use AggregateFunction as F;
    let mut scan = request.scan.clone();
    scan.columns.dimensions.clone_from(&request.group_by);
    scan.columns.series_ids = request.function == F::Distinct { of: None };
    scan.columns.timestamps = request.step.is_some() || matches!(request.function, F::First | F::Last);
    scan.columns.values = !matches!(request.function, F::Count | F::Distinct { .. });
    scan
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    use AggregateFunction as F;
    let cases: [(&str, F, &[&str], Option<i64>); 11] = [
        ("avg by endpoint", F::Avg, &["endpoint"], None),
        ("count", F::Count, &[], None),
        ("stddev by endpoint", F::Stddev, &["endpoint"], None),
        ("p95 by region", F::Percentile(95.0), &["region"], None),
        ("p95 by endpoint, region", F::Percentile(95.0), &["endpoint", "region"], None),
        ("last by region", F::Last, &["region"], None),
        ("distinct series", F::Distinct { of: None }, &[], None),
        ("avg by endpoint, 5m steps", F::Avg, &["endpoint"], Some(300_000)),
        ("p95 by region, 1h steps", F::Percentile(95.0), &["region"], Some(3_600_000)),
        ("avg by customer", F::Avg, &["customer"], None),
        ("p95 by customer", F::Percentile(95.0), &["customer"], None),
    ];
    for (name, function, group_by, step) in cases {
        let mut scan = ScanRequest::new(tenant("acme"), "m", DAY);
        scan.time = TimeRange { start: 0, end: DAY };
        let mut request = AggregateRequest::new(scan, function);
        request.group_by = group_by.iter().map(|key| (*key).to_owned()).collect();
        request.step = step.map(|width| Step { width, origin: 0 });
        request.order = GroupOrder::Value(Direction::Descending);
        request.limit = Some(10);
        let source = Prepared::of(&scan_of(&request));
        let limits =
            QueryLimits { timeout: Duration::from_secs(600), memory_bytes: 4 << 30, samples: u64::MAX, workers: 1 };
        let context = QueryContext::new(limits);
        let plan = Plan::Aggregate(AggregatePlan { request, values: usize::MAX });
        let (began, spent) = (Instant::now(), processor_time());
        execute(plan, &source, &context).await.unwrap();
        let (wall, spent) = (began.elapsed(), processor_time() - spent);
        let held = context.memory_peak() >> 20;
        println!("{name:28} {:6.3} CPU-s, {:6.3} s, {held} MiB held", spent.as_secs_f64(), wall.as_secs_f64());
    }
}
