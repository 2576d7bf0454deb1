//! Rows, blocks made of them, and what a scan must answer, by the plainest means.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::bytes::Bytes;
use luminate_model::{Offset, SampleColumnsBuilder, SeriesId, TenantId};
use luminate_storage::context::QueryLimits;
use luminate_storage::{BatchRecord, QueryContext, ScanChunk, ScanRequest, StorageError};
use proptest::prelude::*;

use crate::block::encode::{EncodedBlock, encode_batch_with};
use crate::block::index::Layout;
use crate::block::merge::{MergeReads, merge_with};
use crate::block::sort::value_order;
use crate::block::{
    BlockId, BlockReader, BlockSummary, MergeInput, MergeOptions, MergeReport, MergeRules, PageReader, SectionRule,
};

/// Small pieces, so that few rows make many of them.
pub(super) const SMALL: Layout = Layout {
    strip_samples: 8,
    strip_samples_of_section: 3,
    series_per_page: 5,
    ids_per_page: 4,
    dictionary_page_bytes: 16,
    collected_bytes: 1 << 20,
};

/// Late enough that no retention has passed unless a test says so.
pub(super) const NOW: i64 = 0;

/// A sample with all that belongs to it. Ordered as blocks order theirs, ties of ids aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) tenant: String,
    pub(super) metric: String,
    pub(super) days: u16,
    pub(super) series: u128,
    pub(super) timestamp: i64,
    pub(super) value_order: i64,
    pub(super) value_bits: u64,
    pub(super) dimensions: BTreeMap<String, String>,
}

impl Row {
    pub(super) fn new(
        tenant: &str,
        metric: &str,
        days: u16,
        dimensions: &[(&str, &str)],
        timestamp: i64,
        value: f64,
    ) -> Self {
        let dimensions: BTreeMap<String, String> =
            dimensions.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let pairs = dimensions.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let series = SeriesId::of(metric, pairs).0;
        let (tenant, metric) = (tenant.to_owned(), metric.to_owned());
        let (value_order, value_bits) = (value_order(value), value.to_bits());
        Self { tenant, metric, days, series, timestamp, value_order, value_bits, dimensions }
    }

    pub(super) fn dimension(&self, key: &str) -> &str {
        self.dimensions.get(key).map_or("", String::as_str)
    }
}

#[allow(clippy::disallowed_methods, reason = "a test names its tenants")]
pub(super) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// Records of at most `record_rows` rows of one tenant each.
pub(super) fn records(rows: &[Row], record_rows: usize) -> Vec<BatchRecord> {
    let mut by_tenant: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        by_tenant.entry(&row.tenant).or_default().push(row);
    }
    let mut records = Vec::new();
    for (name, rows) in by_tenant {
        for rows in rows.chunks(record_rows) {
            let mut builder = SampleColumnsBuilder::new();
            for row in rows {
                let dimensions: Vec<_> = row.dimensions.iter().collect();
                builder.push(&row.metric, row.days, row.timestamp, f64::from_bits(row.value_bits), &dimensions);
            }
            let offset = Offset(records.len() as u64);
            records.push(BatchRecord { tenant: tenant(name), offset, samples: builder.finish() });
        }
    }
    records
}

/// Blocks in memory. Counts what is read.
#[derive(Default)]
pub(super) struct Blocks {
    pages: HashMap<(BlockId, u32), Bytes>,
    next: u64,
    pub(super) pages_read: AtomicU64,
    /// The numbers of the pages that were read, whatever their block.
    pub(super) page_numbers_read: Mutex<Vec<u32>>,
}

impl PageReader for Blocks {
    fn page(&self, block: BlockId, page: u32) -> Result<Bytes, StorageError> {
        self.pages_read.fetch_add(1, Ordering::Relaxed);
        self.page_numbers_read.lock().unwrap().push(page);
        let found = self.pages.get(&(block, page)).cloned();
        found.ok_or_else(|| StorageError::Damaged(format!("block {block} has no page {page}")))
    }
}

impl Blocks {
    /// Keeps a block; its summary goes through its bytes.
    pub(super) fn add(&mut self, block: EncodedBlock) -> MergeInput {
        let summary = BlockSummary::decode(&block.summary.encode()).unwrap();
        assert_eq!(summary, block.summary);
        assert_eq!(summary.pages as usize, block.pages.len());
        assert_eq!(summary.page_bytes, block.pages.iter().map(|page| page.len() as u64).sum::<u64>());
        let id = BlockId(self.next);
        self.next += 1;
        for (page, bytes) in block.pages.into_iter().enumerate() {
            self.pages.insert((id, page as u32), Bytes::from(bytes));
        }
        MergeInput { id, summary: Arc::new(summary) }
    }

    pub(super) fn page_mut(&mut self, block: BlockId, page: u32) -> &mut Bytes {
        self.pages.get_mut(&(block, page)).unwrap()
    }

    /// Encodes an arriving batch in small pieces.
    pub(super) fn arrive(&mut self, rows: &[Row], block_samples: u32, layout: Layout) -> Vec<MergeInput> {
        let blocks = encode_batch_with(&records(rows, 7), block_samples, layout);
        blocks.into_iter().map(|block| self.add(block)).collect()
    }

    /// Merges runs into runs, one a tenant and window.
    pub(super) fn merge(
        &mut self,
        runs: &[Vec<MergeInput>],
        rules: &dyn MergeRules,
        options: MergeOptions,
        layout: Layout,
    ) -> (Vec<Vec<MergeInput>>, MergeReport) {
        let mut merged = Vec::new();
        let report = merge_with(runs, MergeReads { pages: self, rules }, &options, layout, &mut |block| {
            merged.push(block);
            Ok(())
        });
        let mut by_window: BTreeMap<(String, i64), Vec<MergeInput>> = BTreeMap::new();
        for block in merged {
            let window = |timestamp: i64| timestamp.div_euclid(options.window_ms);
            let summary = &block.summary;
            let first = window(summary.first_timestamp);
            assert_eq!(first, window(summary.last_timestamp), "a block crosses its window");
            let tenant = summary.sections[0].tenant.clone();
            assert!(summary.sections.iter().all(|section| section.tenant == tenant), "a block crosses its tenant");
            let input = self.add(block);
            by_window.entry((tenant.to_string(), first)).or_default().push(input);
        }
        (by_window.into_values().collect(), report.unwrap())
    }

    pub(super) fn scan(&self, input: &MergeInput, request: &ScanRequest) -> Result<Vec<ScanChunk>, StorageError> {
        self.scan_counted(input, request, &context())
    }

    pub(super) fn scan_counted(
        &self,
        input: &MergeInput,
        request: &ScanRequest,
        context: &QueryContext,
    ) -> Result<Vec<ScanChunk>, StorageError> {
        let mut chunks = Vec::new();
        BlockReader::new(input.id, input.summary.clone(), self).scan(request, context, &mut |chunk| {
            chunks.push(chunk);
            Ok(())
        })?;
        Ok(chunks)
    }

    /// All rows of some blocks, in the order in which they stand there.
    pub(super) fn rows(&self, inputs: &[MergeInput]) -> Vec<Row> {
        let mut rows = Vec::new();
        for input in inputs {
            let mut metrics: Vec<_> =
                input.summary.sections.iter().map(|section| (&section.tenant, &section.metric)).collect();
            metrics.dedup();
            for (tenant, metric) in metrics {
                let mut request = ScanRequest::new(tenant.clone(), &**metric, NOW);
                request.columns.all_dimensions = true;
                request.columns.series_ids = true;
                request.columns.timestamps = true;
                request.columns.values = true;
                for chunk in self.scan(input, &request).unwrap() {
                    rows.extend(chunk_rows(tenant, &chunk));
                }
            }
        }
        rows
    }
}

/// The rows of a chunk that has all columns; of no retention, since chunks do not tell it.
pub(super) fn chunk_rows(tenant: &TenantId, chunk: &ScanChunk) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut sample = 0;
    assert_eq!((chunk.timestamps.len(), chunk.values.len()), (chunk.samples(), chunk.samples()));
    assert_eq!(chunk.series_ids.len(), chunk.runs.len());
    for (series, run) in chunk.runs.iter().enumerate() {
        assert!(*run > 0);
        let dimensions: Vec<(&str, &str)> =
            chunk.dimensions.iter().filter_map(|column| Some((&*column.key, column.value(series)?))).collect();
        for _ in 0..*run {
            let (timestamp, value) = (chunk.timestamps[sample], chunk.values[sample]);
            let row = Row::new(tenant.as_str(), &chunk.metric, 0, &dimensions, timestamp, value);
            assert_eq!(row.series, chunk.series_ids[series].0);
            rows.push(row);
            sample += 1;
        }
    }
    rows
}

/// Rows as [`Blocks::rows`] shows them: without retention, sorted.
pub(super) fn plain(rows: &[Row]) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.iter().map(|row| Row { days: 0, ..row.clone() }).collect();
    rows.sort();
    rows
}

pub(super) fn context() -> QueryContext {
    let timeout = Duration::from_secs(600);
    QueryContext::new(QueryLimits { timeout, memory_bytes: 1 << 40, samples: u64::MAX, workers: 1 })
}

/// Leaves nothing out.
pub(super) struct KeepAll;

impl MergeRules for KeepAll {
    fn section(&self, _: BlockId, _: &TenantId, _: &str, _: u16) -> SectionRule {
        SectionRule::KeepFrom(i64::MIN)
    }
}

/// Names from so few that ties, repeats and gaps occur.
pub(super) fn arbitrary_row() -> impl Strategy<Value = Row> {
    let dimensions = prop::collection::btree_map(
        prop::sample::select(vec!["a", "customer", "endpoint", "zone"]),
        prop_oneof![
            prop::sample::select(vec!["x", "y", "longer value", "ä"]).prop_map(str::to_owned),
            (0..40).prop_map(|n| format!("customer-{n:04}")),
        ],
        0..4,
    );
    let day = luminate_model::time::DAY_MS;
    let timestamp = (-1_i64..3, prop_oneof![Just(0), Just(day - 1), 0..20_i64, 0..day]);
    let value = prop_oneof![
        prop::sample::select(vec![0.0, -0.0, 1.0, 2.5, -3.25, 1e300]),
        (0..1_000).prop_map(|n| f64::from(n) / 10.0),
    ];
    let names = (prop::sample::select(vec!["t1", "t2"]), prop::sample::select(vec!["m1", "m2", "m3"]));
    (names, prop::sample::select(vec![0_u16, 7]), dimensions, timestamp, value).prop_map(
        move |((tenant, metric), days, dimensions, (days_after, time), value)| {
            let dimensions: Vec<_> = dimensions.iter().map(|(key, value)| (*key, value.as_str())).collect();
            Row::new(tenant, metric, days, &dimensions, days_after * day + time, value)
        },
    )
}

pub(super) fn arbitrary_rows(most: usize) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(arbitrary_row(), 0..most)
}
