//! The samples of a batch in the order of blocks: by tenant, metric, retention, series id, timestamp and value.

use std::cmp::Ordering;
use std::sync::Arc;

use hashbrown::HashMap;
use luminate_model::series::write_canonical_bytes;
use luminate_model::{SampleColumns, SeriesId, StringTable, TenantId};
use luminate_storage::BatchRecord;

use super::draft::BlockDraft;

/// A sample of the batch.
#[derive(Debug, Clone, Copy)]
struct Row {
    series: u128,
    /// Its section, as an index into the batch's sections.
    section: u32,
    /// Its record, as an index into the batch.
    record: u32,
    /// Its place in the record.
    sample: u32,
    /// Where its dimension values begin in the record.
    dimensions: u32,
}

/// The sorted samples of a batch, which are handed out block by block.
pub(super) struct BatchRows<'a> {
    records: &'a [BatchRecord],
    sections: Vec<(TenantId, Arc<str>, u16)>,
    rows: Vec<Row>,
    /// The first row that was not handed out.
    next: usize,
    /// For each record what its keys are in the draft that is being filled.
    keys: Vec<Vec<Option<u32>>>,
    /// For each record what its values are in the draft that is being filled.
    values: Vec<Vec<KnownValue>>,
}

/// What a value of a record is in a draft, as a dimension of the key by which it was used last.
#[derive(Debug, Clone, Copy)]
struct KnownValue {
    key: u32,
    number: u32,
}

impl KnownValue {
    const NONE: Self = Self { key: u32::MAX, number: 0 };
}

/// The order of two values: by size, and every bit counts.
pub(super) fn value_order(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

impl<'a> BatchRows<'a> {
    /// Sorts a batch.
    pub(super) fn sorted(records: &'a [BatchRecord]) -> Self {
        let (sections, section_of) = sections_of(records);
        let mut rows = Vec::with_capacity(records.iter().map(|record| record.samples.len()).sum());
        for (at, (record, sections)) in records.iter().zip(&section_of).enumerate() {
            push_rows(&mut rows, &record.samples, at as u32, sections);
        }
        let mut sorted = Self { records, sections, rows, next: 0, keys: Vec::new(), values: Vec::new() };
        sorted.sort();
        sorted
    }

    fn sort(&mut self) {
        let (rows, records) = (&self.rows, self.records);
        // What nearly always decides, small enough to be moved about.
        let mut order: Vec<(u32, u64, u32)> =
            rows.iter().enumerate().map(|(at, row)| (row.section, (row.series >> 64) as u64, at as u32)).collect();
        let measured = |row: &Row| {
            let parts = records[row.record as usize].samples.parts();
            (parts.timestamps[row.sample as usize], value_order(parts.sample_values[row.sample as usize]))
        };
        order.sort_unstable_by(|a, b| {
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| {
                let (a, b) = (&rows[a.2 as usize], &rows[b.2 as usize]);
                match a.series.cmp(&b.series) {
                    Ordering::Equal => measured(a).cmp(&measured(b)),
                    unequal => unequal,
                }
            })
        });
        self.rows = order.into_iter().map(|(_, _, at)| self.rows[at as usize]).collect();
    }

    /// Appends the rows of the next block to an empty draft; false where none is left.
    pub(super) fn fill(&mut self, draft: &mut BlockDraft, block_samples: u32) -> bool {
        self.forget_numbers();
        let mut before: Option<Row> = None;
        while let Some(row) = self.rows.get(self.next).copied() {
            let same_section = before.is_some_and(|before| before.section == row.section);
            let same_series = same_section && before.is_some_and(|before| before.series == row.series);
            let full = if same_series { draft.room(block_samples) == 0 } else { draft.is_full(block_samples) };
            if full {
                return true;
            }
            if !same_section && let Some((tenant, metric, days)) = self.sections.get(row.section as usize) {
                draft.begin_section(tenant.clone(), metric.clone(), *days);
            }
            if !same_series {
                draft.begin_series(row.series);
                self.push_dimensions(draft, row);
            }
            let parts = self.records[row.record as usize].samples.parts();
            let sample = row.sample as usize;
            draft.push_samples(&parts.timestamps[sample..=sample], &parts.sample_values[sample..=sample]);
            before = Some(row);
            self.next += 1;
        }
        before.is_some()
    }

    fn forget_numbers(&mut self) {
        let parts = || self.records.iter().map(|record| record.samples.parts());
        self.keys = parts().map(|parts| vec![None; parts.keys.len()]).collect();
        self.values = parts().map(|parts| vec![KnownValue::NONE; parts.values.len()]).collect();
    }

    fn push_dimensions(&mut self, draft: &mut BlockDraft, row: Row) {
        let record = row.record as usize;
        let samples = &self.records[record].samples;
        let parts = samples.parts();
        let shape = samples.shape(parts.sample_shape[row.sample as usize]);
        let values = &parts.dimension_values[row.dimensions as usize..][..shape.len()];
        for (key, value) in shape.iter().zip(values) {
            let key_number = *self.keys[record][*key as usize]
                .get_or_insert_with(|| draft.key_number(&Arc::from(parts.keys.get(*key).unwrap_or_default())));
            let known = &mut self.values[record][*value as usize];
            if known.key != key_number {
                let number = draft.value_number(key_number, parts.values.get(*value).unwrap_or_default());
                *known = KnownValue { key: key_number, number };
            }
            draft.push_dimension(key_number, known.number);
        }
    }
}

/// The distinct sections of a batch, ascending, and for each record what its metrics are among them.
fn sections_of(records: &[BatchRecord]) -> (Vec<(TenantId, Arc<str>, u16)>, Vec<Vec<u32>>) {
    let mut keys: Vec<(&TenantId, &str, u16)> = Vec::new();
    for record in records {
        let parts = record.samples.parts();
        let metrics = parts.metrics.iter().zip(&parts.retention_days);
        keys.extend(metrics.map(|(metric, days)| (&record.tenant, metric, *days)));
    }
    keys.sort_unstable();
    keys.dedup();
    let place: HashMap<(&TenantId, &str, u16), u32> =
        keys.iter().enumerate().map(|(at, key)| (*key, at as u32)).collect();
    let of_records = records
        .iter()
        .map(|record| {
            let parts = record.samples.parts();
            let metrics = parts.metrics.iter().zip(&parts.retention_days);
            metrics
                .map(|(metric, days)| place.get(&(&record.tenant, metric, *days)).copied().unwrap_or_default())
                .collect()
        })
        .collect();
    let sections = keys.into_iter().map(|(tenant, metric, days)| (tenant.clone(), Arc::from(metric), days)).collect();
    (sections, of_records)
}

/// Appends the samples of a record.
fn push_rows(rows: &mut Vec<Row>, samples: &SampleColumns, record: u32, sections: &[u32]) {
    let parts = samples.parts();
    let mut bytes = Vec::with_capacity(256);
    let keys = PrefixedStrings::of(&parts.keys);
    let values = PrefixedStrings::of(&parts.values);
    let metrics = PrefixedStrings::of(&parts.metrics);
    let mut dimensions = 0_u32;
    for (sample, (metric, shape)) in parts.sample_metric.iter().zip(&parts.sample_shape).enumerate() {
        let shape = samples.shape(*shape);
        bytes.clear();
        bytes.extend_from_slice(metrics.get(*metric));
        for (key, value) in shape.iter().zip(&parts.dimension_values[dimensions as usize..]) {
            bytes.extend_from_slice(keys.get(*key));
            bytes.extend_from_slice(values.get(*value));
        }
        let section = sections.get(*metric as usize).copied().unwrap_or_default();
        let series = SeriesId::of_canonical_bytes(&bytes).0;
        rows.push(Row { series, section, record, sample: sample as u32, dimensions });
        dimensions += shape.len() as u32;
    }
}

/// The strings of a table as they stand in canonical bytes.
pub(super) struct PrefixedStrings {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl PrefixedStrings {
    pub(super) fn of(table: &StringTable) -> Self {
        let mut prefixed = Self {
            bytes: Vec::with_capacity(table.text_bytes() + 2 * table.len()),
            ends: Vec::with_capacity(table.len() + 1),
        };
        prefixed.ends.push(0);
        for string in table.iter() {
            // The canonical bytes of a series without dimensions are its prefixed name.
            write_canonical_bytes(&mut prefixed.bytes, string, []);
            prefixed.ends.push(prefixed.bytes.len() as u32);
        }
        prefixed
    }

    pub(super) fn get(&self, string: u32) -> &[u8] {
        let at = string as usize;
        &self.bytes[self.ends[at] as usize..self.ends[at + 1] as usize]
    }
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
