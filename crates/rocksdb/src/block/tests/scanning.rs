//! What was encoded comes back, and a scan answers what a look at every row would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use luminate_model::TimeRange;
use luminate_model::time::DAY_MS;
use luminate_storage::{DimensionFilter, DimensionTest, Pattern, ScanRequest, StorageError};
use proptest::prelude::*;

use super::support::*;
use crate::block::index::Layout;
use crate::block::{BlockReader, MergeOptions};

fn arbitrary_test() -> impl Strategy<Value = DimensionTest> {
    let value =
        || prop::sample::select(vec!["", "x", "y", "longer value", "customer-0003", "absent"]).prop_map(str::to_owned);
    let values = || prop::collection::btree_set(value(), 0..4);
    prop_oneof![
        value().prop_map(DimensionTest::Equal),
        value().prop_map(DimensionTest::NotEqual),
        values().prop_map(DimensionTest::In),
        values().prop_map(DimensionTest::NotIn),
        any::<bool>().prop_map(DimensionTest::Exists),
        prop::sample::select(vec!["", "cust", "l", "zz"]).prop_map(|prefix| DimensionTest::Prefix(prefix.to_owned())),
        prop::sample::select(vec!["x|y", "customer-.*", "", "c.*[0-4]"])
            .prop_map(|text| DimensionTest::Regex(Pattern::compile(text).unwrap())),
    ]
}

fn arbitrary_request() -> impl Strategy<Value = ScanRequest> {
    let filter = (prop::sample::select(vec!["a", "customer", "endpoint", "absent"]), arbitrary_test())
        .prop_map(|(key, test)| DimensionFilter { key: key.to_owned(), test });
    let edge = || prop_oneof![Just(0), Just(5), Just(DAY_MS), (-DAY_MS..3 * DAY_MS)];
    (prop::collection::vec(filter, 0..3), edge(), edge(), any::<bool>(), 0..10_i64).prop_map(
        |(filters, start, end, all_times, as_of_days)| {
            let mut request = ScanRequest::new(tenant("t1"), "m1", as_of_days * DAY_MS);
            request.filters = filters;
            request.columns.all_dimensions = true;
            request.columns.series_ids = true;
            request.columns.timestamps = true;
            request.columns.values = true;
            if !all_times {
                request.time = TimeRange { start, end };
            }
            request
        },
    )
}

/// What a scan must yield, in the order of blocks.
fn expected(rows: &[Row], request: &ScanRequest) -> Vec<Row> {
    let wanted = |row: &&Row| {
        let filters_pass = request.filters.iter().all(|filter| filter.test.matches(row.dimension(&filter.key)));
        row.tenant == request.tenant().as_str()
            && row.metric == request.metric
            && (request.floor(row.days)..request.time.end).contains(&row.timestamp)
            && filters_pass
    };
    plain(&rows.iter().filter(wanted).cloned().collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(crate::block::seeded_proptest())]

    #[test]
    fn arrival_blocks_hold_their_rows_in_order(rows in arbitrary_rows(120), block_samples in 1_u32..80) {
        let mut blocks = Blocks::default();
        let run = blocks.arrive(&rows, block_samples, SMALL);
        prop_assert_eq!(run.iter().map(|input| input.summary.samples as usize).sum::<usize>(), rows.len());
        let stored = blocks.rows(&run);
        let mut sorted = rows.clone();
        sorted.sort();
        // Chunks do not tell the retention, which is part of the order.
        let shown: Vec<Row> = sorted.iter().map(|row| Row { days: 0, ..row.clone() }).collect();
        prop_assert_eq!(stored, shown);
        for (input, next) in run.iter().zip(run.iter().skip(1)) {
            let (last, first) = (input.summary.sections.last().unwrap(), next.summary.sections.first().unwrap());
            prop_assert!(last.key() <= first.key());
        }
    }

    #[test]
    fn a_scan_answers_what_a_look_at_every_row_would(
        rows in arbitrary_rows(150),
        request in arbitrary_request(),
        dimensions in prop::sample::subsequence(vec!["zone", "absent", "customer", "a"], 0..4),
        merged in any::<bool>(),
    ) {
        let mut blocks = Blocks::default();
        let mut run = blocks.arrive(&rows, 60, SMALL);
        if merged {
            run = blocks.merge(&[run], &KeepAll, MergeOptions::default(), SMALL).0.concat();
        }
        let wanted = expected(&rows, &request);
        let context = context();
        let mut found = Vec::new();
        let mut narrow = request.clone();
        narrow.columns = luminate_storage::ScanColumns::default();
        narrow.columns.dimensions = dimensions.iter().map(|key| (*key).to_owned()).collect();
        for input in &run {
            let full = blocks.scan_counted(input, &request, &context).unwrap();
            for chunk in &full {
                found.extend(chunk_rows(request.tenant(), chunk));
            }
            // The same with few columns: other columns are left out, and nothing else changes.
            let few = blocks.scan(input, &narrow).unwrap();
            prop_assert_eq!(few.len(), full.len());
            for (few, full) in few.iter().zip(&full) {
                prop_assert_eq!(&few.runs, &full.runs);
                prop_assert!(few.timestamps.is_empty() && few.values.is_empty() && few.series_ids.is_empty());
                prop_assert_eq!(few.dimensions.len(), dimensions.len());
                for column in &few.dimensions {
                    let of_full = full.dimensions.iter().find(|other| other.key == column.key);
                    for series in 0..full.runs.len() {
                        prop_assert_eq!(column.value(series), of_full.and_then(|other| other.value(series)));
                    }
                }
            }
        }
        found.sort();
        prop_assert_eq!(&found, &wanted);
        let counters = context.counters();
        let relaxed = Ordering::Relaxed;
        prop_assert!(counters.samples_read.load(relaxed) >= wanted.len() as u64);
        prop_assert_eq!(counters.blocks_read.load(relaxed) + counters.blocks_skipped.load(relaxed), run.len() as u64);
        let distinct: BTreeSet<u128> = wanted.iter().map(|row| row.series).collect();
        prop_assert!(counters.series_read.load(relaxed) >= distinct.len() as u64);
        // A scan accounts for the memory it takes, and gives all of it back.
        prop_assert!(context.reserve_memory(1 << 40).is_ok());
    }
}

/// Large enough for several pages of everything, packed by `pco`, with filters.
#[test]
fn blocks_of_standard_sizes_hold_their_rows() {
    let rows: Vec<Row> = (0..36_000_i64)
        .map(|n| {
            let (customer, zone) = (format!("customer-{:06}", n % 18_000 * 7), format!("zone-{}", n % 11));
            let dimensions = [("customer", customer.as_str()), ("zone", zone.as_str())];
            Row::new("t", "m", 0, &dimensions, n * n % 86_400_000, (n * 31 % 1_000) as f64 / 10.0)
        })
        .collect();
    let mut blocks = Blocks::default();
    let run = blocks.arrive(&rows, 40_000, Layout::ARRIVAL);
    let wanted = plain(&rows);
    assert_eq!(blocks.rows(&run), wanted);
    let (merged, _) = blocks.merge(&[run], &KeepAll, MergeOptions::default(), Layout::STANDARD);
    assert_eq!(blocks.rows(&merged.concat()), wanted);
    let (again, _) = blocks.merge(&merged, &KeepAll, MergeOptions::default(), Layout::STANDARD);
    assert_eq!(blocks.rows(&again.concat()), wanted);
    let bytes: u64 = again.concat().iter().map(|input| input.summary.page_bytes).sum();
    assert!(bytes < rows.len() as u64 * 8, "{bytes} bytes for {} samples", rows.len());
}

#[test]
fn a_series_longer_than_strips_and_blocks_comes_back_whole() {
    let long: Vec<Row> =
        (0..50_000).map(|n| Row::new("t", "m", 0, &[("k", "long")], n * 1_000, (n % 7) as f64)).collect();
    let short = (0..100).map(|n| Row::new("t", "m", 0, &[("k", &n.to_string())], n, 0.5));
    let rows: Vec<Row> = long.into_iter().chain(short).collect();
    let mut blocks = Blocks::default();
    let run = blocks.arrive(&rows, 10_000, Layout::STANDARD);
    assert!(run.len() >= 3);
    assert!(run.iter().all(|input| input.summary.samples <= 20_000));
    assert_eq!(blocks.rows(&run), plain(&rows));
    let options = MergeOptions { block_samples: 12_000, ..MergeOptions::default() };
    let (merged, report) = blocks.merge(&[run], &KeepAll, options, Layout::STANDARD);
    assert_eq!(report.kept, rows.len() as u64);
    assert_eq!(blocks.rows(&merged.concat()), plain(&rows));
    assert!(merged.concat().iter().all(|input| input.summary.samples <= 24_000));
}

/// Series of one sample each fill strips beyond the end of their metric, unless a strip is closed there.
#[test]
fn a_query_for_one_metric_reads_no_strip_of_others() {
    const METRICS: i64 = 6;
    const SERIES: i64 = 5_000;
    let row = |metric: i64, n: i64| Row::new("t", &format!("metric_{metric}"), 0, &[("k", &n.to_string())], n, 1.0);
    let rows: Vec<Row> = (0..METRICS).flat_map(|metric| (0..SERIES).map(move |n| row(metric, n))).collect();
    let mut blocks = Blocks::default();
    let run = blocks.arrive(&rows, 100_000, Layout::STANDARD);
    let mut readers = BTreeMap::<u32, Vec<i64>>::new();
    for metric in 0..METRICS {
        let mut request = ScanRequest::new(tenant("t"), format!("metric_{metric}"), NOW);
        request.columns.values = true;
        blocks.page_numbers_read.lock().unwrap().clear();
        let chunks = blocks.scan(&run[0], &request).unwrap();
        assert_eq!(chunks.iter().map(|chunk| chunk.samples() as i64).sum::<i64>(), SERIES);
        for page in &*blocks.page_numbers_read.lock().unwrap() {
            readers.entry(*page).or_default().push(metric);
        }
    }
    // The index, and the samples per series of all metrics.
    let shared_pages = 1 + ((METRICS * SERIES) as u32).div_ceil(Layout::STANDARD.series_per_page);
    let of_strips: Vec<_> = readers.range(shared_pages..).collect();
    assert_eq!(of_strips.len() as i64, METRICS, "{readers:?}");
    assert!(of_strips.iter().all(|(_, metrics)| metrics.len() == 1), "{readers:?}");
}

#[test]
fn a_cancelled_query_ends_at_the_next_strip() {
    let rows: Vec<Row> = (0..100).map(|n| Row::new("t", "m", 0, &[], n, 1.0)).collect();
    let mut blocks = Blocks::default();
    let run = blocks.arrive(&rows, 1_000, SMALL);
    let context = context();
    let mut chunks = 0;
    let request = ScanRequest::new(tenant("t"), "m", NOW);
    let reader = BlockReader::new(run[0].id, run[0].summary.clone(), &blocks);
    let result = reader.scan(&request, &context, &mut |_| {
        chunks += 1;
        context.cancel();
        Ok(())
    });
    assert!(matches!(result, Err(StorageError::Cancelled)));
    assert_eq!(chunks, 1);
}

#[test]
fn keys_of_one_section_cost_other_sections_nothing() {
    let row = |metric: usize, n: usize| {
        let key = format!("key_of_{metric}");
        Row::new("t", &format!("metric_{metric:03}"), 0, &[(&key, &format!("v{}", n % 5))], n as i64, 1.0)
    };
    let rows: Vec<Row> = (0..100).flat_map(|metric| (0..50).map(move |n| row(metric, n))).collect();
    let mut blocks = Blocks::default();
    let run = blocks.arrive(&rows, 100_000, Layout::STANDARD);
    let (merged, _) = blocks.merge(&[run], &KeepAll, MergeOptions::default(), Layout::STANDARD);
    let merged = merged.concat();
    assert_eq!(blocks.rows(&merged), plain(&rows));
    let bytes: u64 = merged.iter().map(|input| input.summary.page_bytes).sum();
    // With a reference a series for each of the 100 keys it would be 50 bytes a sample.
    assert!(bytes < rows.len() as u64 * 6, "{bytes} bytes for {} samples", rows.len());
    let mut request = ScanRequest::new(tenant("t"), "metric_007", NOW);
    request.columns.all_dimensions = true;
    let chunks = blocks.scan(&merged[0], &request).unwrap();
    assert!(chunks.iter().all(|chunk| chunk.dimensions.len() == 1 && &*chunk.dimensions[0].key == "key_of_7"));
}
