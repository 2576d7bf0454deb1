//! A batch as rows of the table: sorted as the table is, and cut into slices.

use std::collections::BTreeMap;
use std::ops::Range;

use luminate_model::time::{MIN_TIMESTAMP, utc_day};
use luminate_model::{Offset, SampleColumns, TenantId};
use luminate_storage::{Batch, StorageError};

/// Bits of a row's number in its sort key.
const ROW_BITS: u32 = 28;
/// Bits of a timestamp from the earliest possible on.
const TIME_BITS: u32 = 44;
/// Bits of a metric's rank.
const METRIC_BITS: u32 = 32;
/// The most rows of a batch.
const MAX_ROWS: usize = 1 << ROW_BITS;

/// What an erasure means for a batch: the offset before which nothing of the tenant is stored.
pub(super) type ErasedEnds = BTreeMap<TenantId, Offset>;

/// Rows of a batch that are to be stored, without those that an erasure covers.
pub(super) struct Plan<'a> {
    /// Tenants, ascending; rows name them by their place.
    pub(super) tenants: Vec<&'a str>,
    /// Metrics, ascending; rows name them by their place.
    pub(super) metrics: Vec<&'a str>,
    /// Keys of dimensions, ascending.
    pub(super) keys: Vec<&'a str>,
    /// Where the rows stand, one for each record.
    pub(super) records: Vec<RecordRows<'a>>,
    /// All rows, in the order of the records.
    rows: Vec<Row>,
    /// The rows of each UTC day, days ascending.
    pub(super) slices: Vec<Slice>,
    /// Samples that an erasure covers.
    pub(super) erased: u64,
}

/// The rows of one record.
pub(super) struct RecordRows<'a> {
    pub(super) columns: &'a SampleColumns,
    /// Place in [`Plan::tenants`].
    pub(super) tenant: u32,
    /// What the rows say in their column `batch`.
    pub(super) batch: u64,
    /// Whether an erasure of the tenant ends within the batch.
    pub(super) is_cut: bool,
    /// For each of the record's metrics its place in [`Plan::metrics`].
    pub(super) metrics: Vec<u32>,
    /// For each of the record's keys its place in [`Plan::keys`].
    pub(super) keys: Vec<u32>,
}

/// Where one row stands.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Place in [`Plan::records`].
    pub(super) record: u32,
    /// Place among the record's samples.
    pub(super) sample: u32,
    /// Where the sample's dimension values begin in the record's.
    pub(super) values: u32,
}

/// The part of a batch that lands in one partition of the table.
pub(super) struct Slice {
    /// Days since 1970.
    pub(super) day: i64,
    /// Numbers of rows, sorted by tenant, metric, time.
    rows: Vec<u32>,
}

impl<'a> Plan<'a> {
    /// Plans the rows of a batch. The same batch and erasures give the same rows in the same order.
    ///
    /// A row's `batch` is the first offset of the batch; where an erasure of its tenant ends within the batch, it is that end. So
    /// rows with a `batch` before the end are exactly those that the erasure found stored, and a batch's rows are those whose
    /// `batch` lies within its range.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where the batch is larger than any writer makes it.
    pub(super) fn new(batch: &'a Batch, erased: &ErasedEnds) -> Result<Self, StorageError> {
        let samples = batch.samples();
        if samples > MAX_ROWS {
            return Err(StorageError::Damaged(format!(
                "a batch of {samples} samples; at most {MAX_ROWS} are stored at once"
            )));
        }
        let end_of = |tenant: &TenantId| erased.get(tenant).copied().unwrap_or_default();
        let (kept, covered): (Vec<_>, Vec<_>) =
            batch.records.iter().partition(|record| record.offset >= end_of(&record.tenant));
        let tenants = ranked(kept.iter().map(|record| record.tenant.as_str()));
        let metrics = ranked(kept.iter().flat_map(|record| record.samples.parts().metrics.iter()));
        let keys = ranked(kept.iter().flat_map(|record| record.samples.parts().keys.iter()));
        let records = kept.iter().map(|record| {
            let parts = record.samples.parts();
            let end = end_of(&record.tenant);
            RecordRows {
                columns: &record.samples,
                tenant: rank(&tenants, record.tenant.as_str()),
                batch: batch.first.max(end).0,
                is_cut: end > batch.first,
                metrics: parts.metrics.iter().map(|name| rank(&metrics, name)).collect(),
                keys: parts.keys.iter().map(|key| rank(&keys, key)).collect(),
            }
        });
        let records: Vec<_> = records.collect();
        let erased = covered.iter().map(|record| record.samples.len() as u64).sum();
        let mut plan = Self { tenants, metrics, keys, records, rows: Vec::new(), slices: Vec::new(), erased };
        plan.number_rows(samples);
        plan.cut();
        Ok(plan)
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows of a slice, from a range of their places in it, with their records.
    pub(super) fn rows_of<'s>(
        &'s self,
        slice: &'s Slice,
        range: Range<usize>,
    ) -> impl Iterator<Item = (&'s RecordRows<'a>, Row)> + 's {
        slice.rows[range].iter().map(|row| {
            let row = self.rows[*row as usize];
            (&self.records[row.record as usize], row)
        })
    }

    fn number_rows(&mut self, samples: usize) {
        self.rows.reserve_exact(samples);
        for (record, rows) in self.records.iter().enumerate() {
            let parts = rows.columns.parts();
            let widths: Vec<u32> =
                (0..parts.shape_ends.len() as u32).map(|shape| rows.columns.shape(shape).len() as u32).collect();
            let mut values = 0_u32;
            for (sample, shape) in parts.sample_shape.iter().enumerate() {
                self.rows.push(Row { record: record as u32, sample: sample as u32, values });
                values += widths[*shape as usize];
            }
        }
    }

    /// Sorts the rows and cuts them into days. A sort key is one number, from the left: tenant, metric, time, number of the row.
    fn cut(&mut self) {
        let mut keys = Vec::with_capacity(self.rows.len());
        let mut number = 0_u128;
        for record in &self.records {
            let parts = record.columns.parts();
            for (metric, timestamp) in parts.sample_metric.iter().zip(&parts.timestamps) {
                let metric = record.metrics[*metric as usize];
                let time = (timestamp - MIN_TIMESTAMP) as u128;
                let place = (u128::from(record.tenant) << METRIC_BITS) | u128::from(metric);
                keys.push((((place << TIME_BITS) | time) << ROW_BITS) | number);
                number += 1;
            }
        }
        keys.sort_unstable();
        let mut days = BTreeMap::<i64, Vec<u32>>::new();
        let mut last: Option<(i64, Vec<u32>)> = None;
        let rows = keys.len();
        for key in keys {
            let time = ((key >> ROW_BITS) as u64 & ((1 << TIME_BITS) - 1)) as i64;
            let day = utc_day(time + MIN_TIMESTAMP);
            let row = key as u32 & (MAX_ROWS as u32 - 1);
            // Neighbours are mostly of one day: the map is asked only where the day changes.
            match &mut last {
                Some((current, rows)) if *current == day => rows.push(row),
                _ => {
                    let next = days.remove(&day).unwrap_or_else(|| Vec::with_capacity(rows.min(1024)));
                    if let Some((current, rows)) = last.replace((day, next)) {
                        days.insert(current, rows);
                    }
                    if let Some((_, rows)) = &mut last {
                        rows.push(row);
                    }
                }
            }
        }
        days.extend(last);
        self.slices = days.into_iter().map(|(day, rows)| Slice { day, rows }).collect();
    }
}

impl Slice {
    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Its name: the partition's, as `yyyymmdd`.
    pub(super) fn name(&self) -> u32 {
        yyyymmdd(self.day)
    }
}

/// The distinct ones of some strings, ascending by their bytes.
fn ranked<'a>(strings: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let distinct: hashbrown::HashSet<&str> = strings.collect();
    let mut strings: Vec<&str> = distinct.into_iter().collect();
    strings.sort_unstable();
    strings
}

/// The place of a string that is known to be there.
fn rank(ranked: &[&str], string: &str) -> u32 {
    ranked.partition_point(|other| *other < string) as u32
}

/// A day since 1970 as the number that `toYYYYMMDD` makes of it.
fn yyyymmdd(day: i64) -> u32 {
    // Days are counted from 1 March of the year 0, so that the day that leap years have is the last of its year.
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year * 10_000 + month * 100 + day_of_month) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_names_of_their_partitions() {
        for (day, name) in [
            (0, 19_700_101),
            (-1, 19_691_231),
            (-25_567, 19_000_101),
            (-25_509, 19_000_228),
            (-25_508, 19_000_301),
            (11_016, 20_000_229),
            (11_017, 20_000_301),
            (20_454, 20_260_101),
            (120_529, 22_991_231),
        ] {
            assert_eq!(yyyymmdd(day), name, "{day}");
        }
    }
}
