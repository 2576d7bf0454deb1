//! The samples of a batch in the order of blocks: by tenant, metric, retention, series id, timestamp and value.
//!
//! A batch is larger than the processor's caches, and its samples arrive in an order that has nothing to do with the order
//! of blocks. So whatever touches all of them either goes from front to back, or within a bucket that fits a cache.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use luminate_model::TenantId;
use luminate_model::columns::ColumnParts;
use luminate_storage::BatchRecord;

use super::canonical::{CanonicalBytes, PrefixedStrings};
use super::order::SortedStrings;

/// Rows of a bucket, about.
const BUCKET_ROWS: usize = 1_024;
/// Most bits of a series' id that choose a bucket.
const MOST_BUCKET_BITS: u32 = 12;

/// A sample of the batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) series: u128,
    pub(super) timestamp: i64,
    pub(super) value: f64,
    /// Its section, as an index into the batch's sections.
    pub(super) section: u32,
    /// Where its dimensions begin among those of all rows.
    dimensions: u32,
    /// How many it has.
    dimension_count: u32,
}

impl Row {
    fn dimension_range(&self) -> Range<usize> {
        let start = self.dimensions as usize;
        start..start + self.dimension_count as usize
    }
}

/// Tenant, metric and retention in days.
pub(super) type SectionKey = (TenantId, Arc<str>, u16);

/// A batch whose samples are handed out in the order of blocks.
pub(super) struct SortedBatch<'a> {
    /// Ascending.
    pub(super) sections: Vec<SectionKey>,
    /// The keys, each with its distinct values, ascending.
    pub(super) keys: Vec<(Arc<str>, Vec<&'a str>)>,
    pub(super) rows: SortedRows,
}

/// Samples in the order of blocks.
pub(super) struct SortedRows {
    /// In the order in which they came.
    unsorted: Vec<Row>,
    /// The dimensions of these, one after another: keys as indexes into the batch's keys, values as indexes into the key's.
    unsorted_dimensions: Vec<(u32, u32)>,
    /// Indexes of the rows, bucket by bucket.
    scattered: Vec<u32>,
    buckets: Buckets,
    /// The bucket after the one at hand.
    next_bucket: usize,
    /// The rows of the bucket at hand, in the order of blocks.
    sorted: Vec<Row>,
    /// Their dimensions.
    dimensions: Vec<(u32, u32)>,
    /// How many of them were handed out.
    next: usize,
}

/// The order of two values: by size, and every bit counts.
pub(super) fn value_order(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// Sorts a batch.
pub(super) fn sort_batch(records: &[BatchRecord]) -> SortedBatch<'_> {
    let (sections, section_of) = sections_of(records);
    let samples = records.iter().map(|record| record.samples.len()).sum();
    let mut collector = Collector {
        rows: Vec::with_capacity(samples),
        dimensions: Vec::with_capacity(records.iter().map(|r| r.samples.parts().dimension_values.len()).sum()),
        key_names: Vec::new(),
        key_values: Vec::new(),
        key_numbers: HashMap::default(),
        canonical: CanonicalBytes::default(),
    };
    for (record, sections) in records.iter().zip(&section_of) {
        collector.push_record(record, sections);
    }
    let sorted: Vec<SortedStrings<'_>> =
        collector.key_values.iter().map(|values| SortedStrings::sort(values)).collect();
    for (key, value) in &mut collector.dimensions {
        *value = sorted[*key as usize].places[*value as usize];
    }
    let rows = SortedRows::new(collector.rows, collector.dimensions, sections.len());
    let keys = collector.key_names.into_iter().zip(sorted.into_iter().map(|sorted| sorted.distinct)).collect();
    SortedBatch { sections, keys, rows }
}

/// Rows and values in the order in which they come. A value has a number for each record that uses it: so none is looked
/// up by its text.
struct Collector<'a> {
    rows: Vec<Row>,
    dimensions: Vec<(u32, u32)>,
    key_names: Vec<Arc<str>>,
    /// For each key the text of each of its numbers.
    key_values: Vec<Vec<&'a str>>,
    key_numbers: HashMap<&'a str, u32, RandomState>,
    canonical: CanonicalBytes,
}

/// The number that a value of a record has as a value of `key`.
#[derive(Debug, Clone, Copy)]
struct KnownValue {
    key: u32,
    number: u32,
}

impl<'a> Collector<'a> {
    fn push_record(&mut self, record: &'a BatchRecord, sections: &[u32]) {
        let parts = record.samples.parts();
        let keys: Vec<u32> = parts.keys.iter().map(|key| self.key_number(key)).collect();
        let key_bytes = PrefixedStrings::<()>::of(&parts.keys);
        let value_bytes = PrefixedStrings::<()>::of(&parts.values);
        let metric_bytes = PrefixedStrings::<()>::of(&parts.metrics);
        let mut known = vec![KnownValue { key: u32::MAX, number: 0 }; parts.values.len()];
        // Values that several keys have.
        let mut known_elsewhere: HashMap<(u32, u32), u32, RandomState> = HashMap::default();
        let mut next_value = 0;
        for (sample, (metric, shape)) in parts.sample_metric.iter().zip(&parts.sample_shape).enumerate() {
            let shape = record.samples.shape(*shape);
            let values = &parts.dimension_values[next_value..next_value + shape.len()];
            next_value += shape.len();
            let dimensions = self.dimensions.len() as u32;
            self.canonical.truncate(0);
            self.canonical.push(&metric_bytes, *metric);
            for (key_at, value) in shape.iter().zip(values) {
                self.canonical.push(&key_bytes, *key_at);
                self.canonical.push(&value_bytes, *value);
                let key = keys[*key_at as usize];
                let here = &mut known[*value as usize];
                if here.key == u32::MAX {
                    *here = KnownValue { key, number: push_value(&mut self.key_values, key, parts, *value) };
                }
                let number = if here.key == key {
                    here.number
                } else {
                    let number = known_elsewhere.entry((key, *value));
                    *number.or_insert_with(|| push_value(&mut self.key_values, key, parts, *value))
                };
                self.dimensions.push((key, number));
            }
            self.rows.push(Row {
                series: self.canonical.series_id(),
                timestamp: parts.timestamps[sample],
                value: parts.sample_values[sample],
                section: sections[*metric as usize],
                dimensions,
                dimension_count: shape.len() as u32,
            });
        }
    }

    fn key_number(&mut self, name: &'a str) -> u32 {
        let (names, values) = (&mut self.key_names, &mut self.key_values);
        *self.key_numbers.entry(name).or_insert_with(|| {
            names.push(Arc::from(name));
            values.push(Vec::new());
            values.len() as u32 - 1
        })
    }
}

/// Gives a value of a record a number as a value of `key`.
fn push_value<'a>(key_values: &mut [Vec<&'a str>], key: u32, parts: &'a ColumnParts, value: u32) -> u32 {
    let values = &mut key_values[key as usize];
    values.push(parts.values.get(value).unwrap_or_default());
    values.len() as u32 - 1
}

impl SortedRows {
    fn new(rows: Vec<Row>, dimensions: Vec<(u32, u32)>, sections: usize) -> Self {
        let buckets = Buckets::of(&rows, sections);
        let mut scattered = vec![0_u32; rows.len()];
        let mut places = buckets.starts.clone();
        for (at, row) in rows.iter().enumerate() {
            let place = &mut places[buckets.bucket(row)];
            scattered[*place] = at as u32;
            *place += 1;
        }
        Self {
            unsorted: rows,
            unsorted_dimensions: dimensions,
            scattered,
            buckets,
            next_bucket: 0,
            sorted: Vec::new(),
            dimensions: Vec::new(),
            next: 0,
        }
    }

    /// The next row and its dimensions; the same until [`SortedRows::advance`].
    pub(super) fn peek(&mut self) -> Option<(&Row, &[(u32, u32)])> {
        while self.next == self.sorted.len() {
            self.sort_bucket()?;
        }
        let row = self.sorted.get(self.next)?;
        Some((row, &self.dimensions[row.dimension_range()]))
    }

    /// Goes to the next row.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    fn sort_bucket(&mut self) -> Option<()> {
        let (start, end) = (self.buckets.starts[self.next_bucket], *self.buckets.starts.get(self.next_bucket + 1)?);
        self.next_bucket += 1;
        // What lies far apart is fetched in loops that do nothing else: so the processor fetches many at a time.
        self.sorted.clear();
        self.sorted.extend(self.scattered[start..end].iter().map(|at| self.unsorted[*at as usize]));
        self.sorted.sort_unstable_by(compare_rows);
        self.dimensions.clear();
        for row in &mut self.sorted {
            let range = row.dimension_range();
            row.dimensions = self.dimensions.len() as u32;
            self.dimensions.extend_from_slice(&self.unsorted_dimensions[range]);
        }
        self.next = 0;
        Some(())
    }
}

/// Rows parted by section and the first bits of the series' id: in the order of blocks, but for the order within a bucket.
struct Buckets {
    bits: u32,
    /// For each bucket the number of rows before it, and at the end the number of all.
    starts: Vec<usize>,
}

impl Buckets {
    fn of(rows: &[Row], sections: usize) -> Self {
        let bits = (rows.len() / BUCKET_ROWS / sections.max(1)).max(1).ilog2().min(MOST_BUCKET_BITS);
        let mut buckets = Self { bits, starts: vec![0; (sections << bits) + 1] };
        for row in rows {
            let bucket = buckets.bucket(row);
            buckets.starts[bucket + 1] += 1;
        }
        for bucket in 1..buckets.starts.len() {
            buckets.starts[bucket] += buckets.starts[bucket - 1];
        }
        buckets
    }

    fn bucket(&self, row: &Row) -> usize {
        let first_bits = (row.series >> 64) as u64 >> 1 >> (63 - self.bits);
        ((row.section as usize) << self.bits) + first_bits as usize
    }
}

/// The order of rows of one section.
fn compare_rows(a: &Row, b: &Row) -> Ordering {
    (a.series, a.timestamp, value_order(a.value)).cmp(&(b.series, b.timestamp, value_order(b.value)))
}

/// The distinct sections of a batch, ascending, and for each record what its metrics are among them.
fn sections_of(records: &[BatchRecord]) -> (Vec<SectionKey>, Vec<Vec<u32>>) {
    let mut keys: Vec<(&TenantId, &str, u16)> = Vec::new();
    for record in records {
        let parts = record.samples.parts();
        let metrics = parts.metrics.iter().zip(&parts.retention_days);
        keys.extend(metrics.map(|(metric, days)| (&record.tenant, metric, *days)));
    }
    keys.sort_unstable();
    keys.dedup();
    let mut of_records = Vec::with_capacity(records.len());
    for record in records {
        let parts = record.samples.parts();
        let metrics = parts.metrics.iter().zip(&parts.retention_days);
        let place =
            |(metric, days): (&str, &u16)| keys.partition_point(|key| *key < (&record.tenant, metric, *days)) as u32;
        of_records.push(metrics.map(place).collect());
    }
    let sections = keys.into_iter().map(|(tenant, metric, days)| (tenant.clone(), Arc::from(metric), days)).collect();
    (sections, of_records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_ordered_by_size_and_bits() {
        let ascending = [f64::MIN, -1.5, -1.0, -f64::MIN_POSITIVE, -0.0, 0.0, f64::MIN_POSITIVE, 1.0, 1.5, f64::MAX];
        assert!(ascending.map(value_order).is_sorted_by(|a, b| a < b));
    }
}
