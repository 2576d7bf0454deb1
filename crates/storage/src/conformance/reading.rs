//! What a scan finds, yields and costs.

use std::sync::Arc;
use std::time::Duration;

use luminate_model::time::{DAY_MS, END_TIMESTAMP, MIN_TIMESTAMP};
use luminate_model::{Sample, TenantRetention, TimeRange};

use super::batches::{batch, sample};
use super::collect::{Collecting, all_columns, in_order, read};
use super::generate::tenant;
use super::{NOW, StoreFactory, ample, source};
use crate::chunk::{ChunkConsumer, ScanChunk};
use crate::context::{QueryContext, QueryLimits};
use crate::error::StorageError;
use crate::filter::{DimensionFilter, DimensionTest};
use crate::pattern::Pattern;
use crate::request::{Earliest, ScanColumns, ScanRequest};
use crate::sink::SampleSink;
use crate::source::SampleSource;

fn request() -> ScanRequest {
    ScanRequest::new(tenant("acme"), "m", NOW)
}

/// Opens a store that holds these samples of acme, spread over several batches.
async fn holding<F: StoreFactory>(factory: &mut F, samples: &[Sample]) -> Arc<F::Store> {
    let store = factory.open().await;
    for (at, part) in (0..).zip(samples.chunks(3)) {
        store.write(batch(source(0), at, at + 1).with_record(&tenant("acme"), at, 0, part)).await.unwrap();
    }
    store
}

/// Samples that differ in one dimension; the value is their place in the list.
fn hosts() -> Vec<Sample> {
    let hosts = ["", "a", "ab", "b", "B", "ä", "a\nb", "10.0.0.1"];
    let numbered = hosts.iter().zip(0_i64..);
    numbered.map(|(host, at)| sample("m", NOW - at, at as f64, &[("host", host), ("other", "x")])).collect()
}

async fn found(store: &impl SampleSource, filters: &[(&str, DimensionTest)]) -> Vec<f64> {
    let mut request = request();
    let filter = |(key, test): &(&str, DimensionTest)| DimensionFilter { key: (*key).to_owned(), test: test.clone() };
    request.filters = filters.iter().map(filter).collect();
    let mut values: Vec<f64> = read(store, &request).await.iter().map(|sample| sample.value).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Every kind of filter, also on a dimension that nothing has. A missing dimension is the empty string.
pub async fn each_filter_finds_its_samples(factory: &mut impl StoreFactory) {
    use DimensionTest::{Equal, Exists, In, NotEqual, NotIn, Prefix, Regex};
    let store = holding(factory, &hosts()).await;
    let text = str::to_owned;
    let set = |values: &[&str]| values.iter().map(|value| text(value)).collect();
    let regex = |pattern: &str| Regex(Pattern::compile(pattern).unwrap());
    let all = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
    let cases: [(DimensionTest, &[f64]); 21] = [
        (Equal(text("a")), &[1.0]),
        (Equal(text("")), &[0.0]),
        (Equal(text("c")), &[]),
        (NotEqual(text("a")), &[0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
        (NotEqual(text("")), &all[1..]),
        (In(set(&["a", "b", "c"])), &[1.0, 3.0]),
        (In(set(&["a", ""])), &[0.0, 1.0]),
        (In(set(&[])), &[]),
        (NotIn(set(&["a", "b", "c"])), &[0.0, 2.0, 4.0, 5.0, 6.0, 7.0]),
        (NotIn(set(&["", "a"])), &[2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
        (NotIn(set(&[])), &all),
        (Exists(true), &all[1..]),
        (Exists(false), &[0.0]),
        (Prefix(text("a")), &[1.0, 2.0, 6.0]),
        (Prefix(text("")), &all),
        (Prefix(text("ä")), &[5.0]),
        (regex("a.*"), &[1.0, 2.0]),
        (regex("(?i)b"), &[3.0, 4.0]),
        (regex("b|"), &[0.0, 3.0]),
        (regex(r"[\d.]+"), &[7.0]),
        (regex("(?s)a.*b"), &[2.0, 6.0]),
    ];
    for (test, expected) in cases {
        assert_eq!(found(store.as_ref(), &[("host", test.clone())]).await, expected, "{test:?}");
    }
    let of_nowhere: [(DimensionTest, &[f64]); 5] = [
        (Equal(text("a")), &[]),
        (Equal(text("")), &all),
        (NotEqual(text("a")), &all),
        (Exists(false), &all),
        (regex(".+"), &[]),
    ];
    for (test, expected) in of_nowhere {
        assert_eq!(found(store.as_ref(), &[("nowhere", test.clone())]).await, expected, "{test:?}");
    }
}

/// Filters narrow each other, also two on the same dimension.
pub async fn all_filters_must_hold(factory: &mut impl StoreFactory) {
    use DimensionTest::{Equal, NotEqual, Prefix};
    let store = holding(factory, &hosts()).await;
    let text = str::to_owned;
    let both = [("host", Prefix(text("a"))), ("host", NotEqual(text("ab")))];
    assert_eq!(found(store.as_ref(), &both).await, [1.0, 6.0]);
    let with_other = [("host", Prefix(text("a"))), ("other", Equal(text("x")))];
    assert_eq!(found(store.as_ref(), &with_other).await, [1.0, 2.0, 6.0]);
    let contradiction = [("host", Equal(text("a"))), ("other", Equal(text("y")))];
    assert_eq!(found(store.as_ref(), &contradiction).await, [0.0; 0]);
}

/// The start is inside, the end is not, from the first to the last timestamp there can be.
pub async fn ranges_of_time_are_half_open(factory: &mut impl StoreFactory) {
    let times = [MIN_TIMESTAMP, -DAY_MS, -1, 0, 1, DAY_MS - 1, DAY_MS, NOW, END_TIMESTAMP - 1];
    let samples: Vec<Sample> = times.iter().map(|time| sample("m", *time, 1.0, &[("host", "a")])).collect();
    let store = holding(factory, &samples).await;
    let ranges = [
        TimeRange::ALL,
        TimeRange { start: 0, end: 1 },
        TimeRange { start: -1, end: DAY_MS },
        TimeRange { start: DAY_MS, end: NOW },
        TimeRange { start: 2, end: DAY_MS - 1 },
        TimeRange { start: MIN_TIMESTAMP, end: 0 },
        TimeRange { start: NOW, end: END_TIMESTAMP },
        TimeRange { start: 5, end: 5 },
        TimeRange { start: 7, end: 3 },
    ];
    for time in ranges {
        let mut request = request();
        request.time = time;
        let found: Vec<i64> = read(store.as_ref(), &request).await.iter().map(|sample| sample.timestamp).collect();
        let expected: Vec<i64> = times.into_iter().filter(|timestamp| time.contains(*timestamp)).collect();
        assert_eq!(found, expected, "{time:?}");
    }
}

/// What is wanted of a scan is yielded whole; what else there is may be.
pub async fn the_earliest_samples_are_yielded(factory: &mut impl StoreFactory) {
    let ages = [9, 8, 8, 7, 6, 6, 6, 5, 4, 4, 3];
    let samples: Vec<Sample> =
        ages.iter().zip(0_i64..).map(|(age, at)| sample("m", NOW - age, at as f64, &[("host", "a")])).collect();
    let store = holding(factory, &samples).await;
    // How many, after which age, and the age up to which all is wanted.
    let cases =
        [(1, None, 9), (2, None, 8), (5, None, 6), (11, None, 3), (50, None, 0), (1, Some(8), 7), (3, Some(7), 6)];
    for (count, after, last) in cases {
        let mut request = request();
        request.earliest = Some(Earliest { samples: count, after: after.map(|age: i64| NOW - age) });
        let found = read(store.as_ref(), &request).await;
        let wanted: Vec<Sample> = samples.iter().filter(|sample| sample.timestamp <= NOW - last).cloned().collect();
        assert!(found.len() >= wanted.len() && found.starts_with(&in_order(wanted)), "{count} after {after:?}");
        assert!(
            samples.len() >= found.len() && in_order(samples.clone()).starts_with(&found),
            "{count} after {after:?}"
        );
    }
}

/// Two samples of one series at one time are two samples, also equal ones, also in different batches.
pub async fn ties_and_duplicates_are_samples_of_their_own(factory: &mut impl StoreFactory) {
    let at = |value: f64| sample("m", NOW, value, &[("host", "a")]);
    let samples = [at(1.0), at(1.0), at(2.0), at(1.0), at(0.5), at(2.0), at(1.0)];
    let store = holding(factory, &samples).await;
    assert_eq!(read(store.as_ref(), &request()).await, in_order(samples.to_vec()));
}

/// The shorter of what was written and what is set now counts, by the time of the request.
pub async fn retention_hides_what_has_expired(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let days = |days: i64, retention: f64| sample("m", NOW - days * DAY_MS, retention, &[("host", "a")]);
    let for_ever = [days(1, 0.0), days(5, 0.0), days(400, 0.0)];
    let a_week = [days(1, 7.0), days(5, 7.0)];
    let written = batch(source(0), 0, 1).with_record(&tenant("acme"), 0, 0, &for_ever);
    store.write(written.with_record(&tenant("acme"), 0, 7, &a_week)).await.unwrap();
    let ages = async |as_of: i64, default_days: u16, of_metric: Option<u16>| -> Vec<(i64, f64)> {
        let mut request = ScanRequest::new(tenant("acme"), "m", as_of);
        request.retention = TenantRetention {
            default_days,
            metrics: of_metric.map(|days| ("m".to_owned(), days)).into_iter().collect(),
        };
        let found = read(store.as_ref(), &request).await;
        found.iter().map(|sample| ((NOW - sample.timestamp) / DAY_MS, sample.value)).collect()
    };
    let all = [(400, 0.0), (5, 0.0), (5, 7.0), (1, 0.0), (1, 7.0)];
    assert_eq!(ages(NOW, 0, None).await, all);
    assert_eq!(ages(NOW + 3 * DAY_MS, 0, None).await, [(400, 0.0), (5, 0.0), (1, 0.0), (1, 7.0)]);
    assert_eq!(ages(NOW, 5, None).await, [(5, 0.0), (5, 7.0), (1, 0.0), (1, 7.0)], "the last millisecond is kept");
    assert_eq!(ages(NOW + 1, 5, None).await, [(1, 0.0), (1, 7.0)]);
    assert_eq!(ages(NOW, 1, Some(0)).await, all, "a metric's own rule stands before the tenant's");
    assert_eq!(ages(NOW, 0, Some(2)).await, [(1, 0.0), (1, 7.0)]);
}

/// Nothing of another tenant or metric is found, however alike the names are.
pub async fn tenants_and_metrics_are_apart(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let names = [("acme", "m"), ("acme", "mm"), ("acm", "m"), ("acmem", "m"), ("ACME", "m"), ("acme", "M")];
    let mut written = batch(source(0), 0, names.len() as u64);
    for (at, (owner, metric)) in (0..).zip(names) {
        written = written.with_record(&tenant(owner), at, 0, &[sample(metric, NOW, at as f64, &[("host", "a")])]);
    }
    store.write(written).await.unwrap();
    for (at, (owner, metric)) in (0..).zip(names) {
        let found = read(store.as_ref(), &ScanRequest::new(tenant(owner), metric, NOW)).await;
        assert_eq!(found, [sample(metric, NOW, f64::from(at), &[("host", "a")])], "{owner} {metric}");
    }
    assert_eq!(read(store.as_ref(), &ScanRequest::new(tenant("other"), "m", NOW)).await, []);
}

/// Columns that were not asked for are empty; the samples are counted all the same.
pub async fn only_what_is_asked_for_is_yielded(factory: &mut impl StoreFactory) {
    let samples = hosts();
    let store = holding(factory, &samples).await;
    let nothing = ScanColumns::default();
    let columns = [
        nothing.clone(),
        ScanColumns { timestamps: true, ..nothing.clone() },
        ScanColumns { values: true, ..nothing.clone() },
        ScanColumns { series_ids: true, ..nothing.clone() },
        ScanColumns { dimensions: vec!["host".to_owned()], ..nothing.clone() },
        ScanColumns { all_dimensions: true, ..nothing },
    ];
    for columns in columns {
        let mut request = request();
        request.columns = columns;
        request.filters = vec![DimensionFilter { key: "other".to_owned(), test: DimensionTest::Equal("x".to_owned()) }];
        // What is wrong with a chunk is found by who takes it.
        let consumer = Arc::new(Collecting::new(&request, ample().workers()));
        store.scan(&request, &ample(), Arc::clone(&consumer) as Arc<dyn ChunkConsumer>).await.unwrap();
        assert_eq!(consumer.take().len(), samples.len(), "{:?}", request.columns);
    }
}

/// Also where no series has one of them.
pub async fn named_dimensions_come_in_the_order_asked_for(factory: &mut impl StoreFactory) {
    let store = holding(factory, &hosts()).await;
    let mut request = request();
    let keys = ["other", "nowhere", "host"];
    request.columns = ScanColumns {
        dimensions: keys.iter().map(|key| (*key).to_owned()).collect(),
        all_dimensions: false,
        ..all_columns()
    };
    let consumer = Arc::new(Collecting::new(&request, ample().workers()));
    store.scan(&request, &ample(), Arc::clone(&consumer) as Arc<dyn ChunkConsumer>).await.unwrap();
    assert_eq!(in_order(consumer.take()), in_order(hosts()));
}

/// Fails at its first chunk.
struct Refusing;

impl ChunkConsumer for Refusing {
    fn consume(&self, _: usize, _: ScanChunk) -> Result<(), StorageError> {
        Err(StorageError::RowsLimit { limit: 7 })
    }
}

/// With the consumer's own error.
pub async fn a_consumer_can_end_a_scan(factory: &mut impl StoreFactory) {
    let store = holding(factory, &hosts()).await;
    let mut request = request();
    request.columns = all_columns();
    let ended = store.scan(&request, &ample(), Arc::new(Refusing)).await;
    assert!(matches!(ended, Err(StorageError::RowsLimit { limit: 7 })), "{ended:?}");
}

/// And one whose time has run out.
pub async fn a_cancelled_query_ends(factory: &mut impl StoreFactory) {
    let store = holding(factory, &hosts()).await;
    let mut request = request();
    request.columns = all_columns();
    let cancelled = ample();
    cancelled.cancel();
    let consumer = || Arc::new(Collecting::new(&request, 2));
    let ended = store.scan(&request, &cancelled, consumer()).await;
    assert!(matches!(ended, Err(StorageError::Cancelled)), "{ended:?}");
    let late = limited(Duration::ZERO, u64::MAX >> 1);
    let ended = store.scan(&request, &late, consumer()).await;
    assert!(matches!(ended, Err(StorageError::Timeout { .. })), "{ended:?}");
}

/// What is looked at is counted, and bounded.
pub async fn a_query_reads_no_more_than_it_may(factory: &mut impl StoreFactory) {
    let store = holding(factory, &hosts()).await;
    let mut request = request();
    request.columns = all_columns();
    let enough = limited(Duration::from_secs(60), 8);
    store.scan(&request, &enough, Arc::new(Collecting::new(&request, 1))).await.unwrap();
    let read = enough.counters().samples_read.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(read, 8);
    let too_few = limited(Duration::from_secs(60), 7);
    let ended = store.scan(&request, &too_few, Arc::new(Collecting::new(&request, 1))).await;
    assert!(matches!(ended, Err(StorageError::SamplesLimit { limit: 7 })), "{ended:?}");
}

fn limited(timeout: Duration, samples: u64) -> QueryContext {
    QueryContext::new(QueryLimits { timeout, memory_bytes: 1 << 30, samples, workers: 1 })
}
