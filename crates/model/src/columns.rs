//! Many samples of one tenant, column by column: what a record holds and what stores build their blocks from.

use std::hash::{BuildHasher, Hasher as _};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::sample::{Dimensions, Sample};
use crate::series::{SeriesId, write_canonical_bytes};
use crate::strings::StringTable;
use crate::time::MAX_RETENTION_DAYS;
use crate::validation::SampleLimits;

/// The columns of [`SampleColumns`]. `n` is the number of samples.
///
/// A *shape* is a list of dimension keys, strictly ascending by the bytes of the keys; every sample has one, and its
/// dimension values stand in the order of its shape's keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnParts {
    /// Metric names. Each pair of name and retention occurs once.
    pub metrics: StringTable,
    /// For each of `metrics` its retention in days; 0 for ever.
    pub retention_days: Vec<u16>,
    /// Keys of dimensions.
    pub keys: StringTable,
    /// Values of dimensions, of all keys together; none is empty.
    pub values: StringTable,
    /// The shapes' keys one after another, as indexes into `keys`.
    pub shape_keys: Vec<u32>,
    /// For each shape the end of its part of `shape_keys`.
    pub shape_ends: Vec<u32>,
    /// For each sample its metric, as an index into `metrics`. Length n, as the next three.
    pub sample_metric: Vec<u32>,
    /// For each sample its shape.
    pub sample_shape: Vec<u32>,
    /// For each sample its timestamp in ms since 1970.
    pub timestamps: Vec<i64>,
    /// For each sample its value, finite.
    pub sample_values: Vec<f64>,
    /// The samples' dimension values one after another, as indexes into `values`; each sample has as many as its shape
    /// has keys.
    pub dimension_values: Vec<u32>,
}

/// A checked [`ColumnParts`]: every index is in range, every shape sorted, every number finite and within the limits of
/// the record format. So readers may take indexes without asking again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SampleColumns {
    parts: ColumnParts,
}

/// The columns contradict each other or the limits of the record format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid sample columns: {0}")]
pub struct InvalidColumns(pub &'static str);

/// One sample of [`SampleColumns`], borrowed.
#[derive(Debug, Clone, Copy)]
pub struct SampleRow<'a> {
    columns: &'a SampleColumns,
    shape: &'a [u32],
    values: &'a [u32],
    metric: u32,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// A finite number.
    pub value: f64,
}

impl SampleColumns {
    /// Checks columns that came from outside.
    ///
    /// # Errors
    /// [`InvalidColumns`] names what does not fit.
    pub fn try_from_parts(parts: ColumnParts) -> Result<Self, InvalidColumns> {
        let samples = parts.timestamps.len();
        ensure(parts.sample_metric.len() == samples, "one metric a sample")?;
        ensure(parts.sample_shape.len() == samples, "one shape a sample")?;
        ensure(parts.sample_values.len() == samples, "one value a sample")?;
        ensure(parts.retention_days.len() == parts.metrics.len(), "one retention a metric")?;
        ensure(parts.retention_days.iter().all(|days| *days <= MAX_RETENTION_DAYS), "retention is too long")?;
        let limits = &SampleLimits::RECORD;
        let within = |table: &StringTable, bytes: usize| table.iter().all(|s| !s.is_empty() && s.len() <= bytes);
        ensure(within(&parts.metrics, limits.name_bytes), "a metric's name is empty or too long")?;
        ensure(within(&parts.keys, limits.dimension_key_bytes), "a key is empty or too long")?;
        ensure(within(&parts.values, limits.dimension_value_bytes), "a dimension's value is empty or too long")?;
        let shape_widths = check_shapes(&parts, limits.dimensions)?;
        ensure(parts.sample_metric.iter().all(|at| (*at as usize) < parts.metrics.len()), "a metric out of range")?;
        ensure(parts.dimension_values.iter().all(|at| (*at as usize) < parts.values.len()), "a value out of range")?;
        let mut width = 0_usize;
        for shape in &parts.sample_shape {
            width += *shape_widths.get(*shape as usize).ok_or(InvalidColumns("a shape out of range"))? as usize;
        }
        ensure(width == parts.dimension_values.len(), "as many dimension values as the shapes have keys")?;
        ensure(parts.sample_values.iter().all(|value| value.is_finite()), "a value is not finite")?;
        let times = crate::TimeRange::ALL;
        ensure(parts.timestamps.iter().all(|t| times.contains(*t)), "a timestamp is outside the years 1900 to 2299")?;
        Ok(Self { parts })
    }

    /// The columns.
    #[must_use]
    pub fn parts(&self) -> &ColumnParts {
        &self.parts
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.timestamps.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.timestamps.is_empty()
    }

    /// The keys of a shape, as indexes into `keys`; empty where there is no such shape.
    #[must_use]
    pub fn shape(&self, shape: u32) -> &[u32] {
        let at = shape as usize;
        let end = self.parts.shape_ends.get(at).copied().unwrap_or_default() as usize;
        let start = if at == 0 { 0 } else { self.parts.shape_ends.get(at - 1).copied().unwrap_or_default() as usize };
        self.parts.shape_keys.get(start..end).unwrap_or_default()
    }

    /// The samples, in the order in which they were given.
    pub fn rows(&self) -> impl Iterator<Item = SampleRow<'_>> + '_ {
        let mut start = 0_usize;
        let samples = self.parts.sample_metric.iter().zip(&self.parts.sample_shape);
        let measured = self.parts.timestamps.iter().zip(&self.parts.sample_values);
        samples.zip(measured).map(move |((&metric, &shape), (&timestamp, &value))| {
            let shape = self.shape(shape);
            let end = start + shape.len();
            let values = self.parts.dimension_values.get(start..end).unwrap_or_default();
            start = end;
            SampleRow { columns: self, shape, values, metric, timestamp, value }
        })
    }

    /// Heap memory held, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let p = &self.parts;
        let strings = p.metrics.memory_bytes() + p.keys.memory_bytes() + p.values.memory_bytes();
        let small = p.retention_days.capacity() * 2 + (p.shape_keys.capacity() + p.shape_ends.capacity()) * 4;
        let indexes = p.sample_metric.capacity() + p.sample_shape.capacity() + p.dimension_values.capacity();
        strings + small + indexes * 4 + (p.timestamps.capacity() + p.sample_values.capacity()) * 8
    }
}

fn ensure(holds: bool, fault: &'static str) -> Result<(), InvalidColumns> {
    if holds { Ok(()) } else { Err(InvalidColumns(fault)) }
}

/// The number of keys of each shape, after a check of all shapes.
fn check_shapes(parts: &ColumnParts, most_keys: usize) -> Result<Vec<u32>, InvalidColumns> {
    let mut widths = Vec::with_capacity(parts.shape_ends.len());
    let mut start = 0_usize;
    for &end in &parts.shape_ends {
        let keys = parts.shape_keys.get(start..end as usize).ok_or(InvalidColumns("a shape's end out of range"))?;
        ensure(keys.len() <= most_keys, "a shape has too many keys")?;
        let mut previous = None;
        for &key in keys {
            let key = parts.keys.get(key).ok_or(InvalidColumns("a key out of range"))?;
            ensure(previous.is_none_or(|previous| previous < key), "a shape's keys are not ascending")?;
            previous = Some(key);
        }
        widths.push(keys.len() as u32);
        start = end as usize;
    }
    ensure(start == parts.shape_keys.len(), "keys that belong to no shape")?;
    Ok(widths)
}

impl<'a> SampleRow<'a> {
    /// The metric's name.
    #[must_use]
    pub fn metric(&self) -> &'a str {
        self.columns.parts.metrics.get(self.metric).unwrap_or_default()
    }

    /// The retention of the metric in days; 0 for ever.
    #[must_use]
    pub fn retention_days(&self) -> u16 {
        self.columns.parts.retention_days.get(self.metric as usize).copied().unwrap_or_default()
    }

    /// The metric, as an index into the columns' `metrics`.
    #[must_use]
    pub fn metric_index(&self) -> u32 {
        self.metric
    }

    /// Pairs of indexes into the columns' `keys` and `values`, in the byte order of the keys.
    pub fn dimension_indexes(&self) -> impl Iterator<Item = (u32, u32)> + 'a {
        self.shape.iter().copied().zip(self.values.iter().copied())
    }

    /// Keys and values in the byte order of the keys.
    pub fn dimensions(&self) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        let parts = &self.columns.parts;
        self.dimension_indexes()
            .map(|(key, value)| (parts.keys.get(key).unwrap_or_default(), parts.values.get(value).unwrap_or_default()))
    }

    /// The id of the series; `scratch` saves an allocation a sample and may hold anything.
    #[must_use]
    pub fn series_id(&self, scratch: &mut Vec<u8>) -> SeriesId {
        scratch.clear();
        write_canonical_bytes(scratch, self.metric(), self.dimensions());
        SeriesId::of_canonical_bytes(scratch)
    }

    /// The sample as owned values.
    #[must_use]
    pub fn to_sample(&self) -> Sample {
        let dimensions: Dimensions = self.dimensions().collect();
        Sample { metric: self.metric().to_owned(), timestamp: self.timestamp, value: self.value, dimensions }
    }
}

/// Builds [`SampleColumns`] sample by sample, without an allocation a sample once its tables have grown. Samples are
/// pushed in canonical form, as [`SampleLimits::check`] leaves them.
#[derive(Default)]
pub struct SampleColumnsBuilder {
    parts: ColumnParts,
    metric_index: HashTable<u32>,
    key_index: HashTable<u32>,
    value_index: HashTable<u32>,
    shape_index: HashTable<u32>,
    hasher: FixedState,
    shape: Vec<u32>,
}

impl SampleColumnsBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many samples were pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.timestamps.len()
    }

    /// Whether none was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.timestamps.is_empty()
    }

    /// Makes room for so many more samples, so that tables do not grow step by step. Right within a factor of two is enough.
    pub fn reserve(&mut self, samples: usize) {
        let parts = &mut self.parts;
        parts.sample_metric.reserve(samples);
        parts.sample_shape.reserve(samples);
        parts.timestamps.reserve(samples);
        parts.sample_values.reserve(samples);
        // Mostly one value of many, the others of few.
        let (values, hasher) = (&parts.values, &self.hasher);
        self.value_index.reserve(samples, |at| hash_str(hasher, values.get(*at).unwrap_or_default()));
    }

    /// Appends a sample that [`SampleLimits::check`] has accepted: dimensions sorted by key, no key twice, no value empty.
    pub fn push<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        metric: &str,
        retention_days: u16,
        timestamp: i64,
        value: f64,
        dimensions: &[(K, V)],
    ) {
        let metric = self.intern_metric(metric, retention_days);
        let shape = self.intern_shape(dimensions);
        self.parts.sample_metric.push(metric);
        self.parts.sample_shape.push(shape);
        self.parts.timestamps.push(timestamp);
        self.parts.sample_values.push(value);
        for (_, value) in dimensions {
            let value = intern(&mut self.value_index, &mut self.parts.values, &self.hasher, value.as_ref());
            self.parts.dimension_values.push(value);
        }
    }

    /// The columns of all samples pushed since the last call; the builder is empty again.
    pub fn finish(&mut self) -> SampleColumns {
        self.metric_index.clear();
        self.key_index.clear();
        self.value_index.clear();
        self.shape_index.clear();
        SampleColumns { parts: std::mem::take(&mut self.parts) }
    }

    fn intern_metric(&mut self, metric: &str, retention_days: u16) -> u32 {
        let parts = &mut self.parts;
        // Consecutive samples mostly share their metric.
        if let Some(&last) = parts.sample_metric.last()
            && parts.retention_days.get(last as usize) == Some(&retention_days)
            && parts.metrics.get(last) == Some(metric)
        {
            return last;
        }
        let hash = self.hasher.hash_one((metric, retention_days));
        let (metrics, days) = (&parts.metrics, &parts.retention_days);
        let same = |at: &u32| metrics.get(*at) == Some(metric) && days.get(*at as usize) == Some(&retention_days);
        if let Some(&at) = self.metric_index.find(hash, same) {
            return at;
        }
        let at = parts.metrics.push(metric);
        parts.retention_days.push(retention_days);
        let (metrics, days, hasher) = (&parts.metrics, &parts.retention_days, &self.hasher);
        self.metric_index.insert_unique(hash, at, |at| {
            hasher.hash_one((metrics.get(*at).unwrap_or_default(), days.get(*at as usize).copied().unwrap_or_default()))
        });
        at
    }

    fn intern_shape<K: AsRef<str>, V>(&mut self, dimensions: &[(K, V)]) -> u32 {
        // Consecutive samples mostly share their keys: then no key is hashed.
        if let Some(&last) = self.parts.sample_shape.last()
            && shape_is(&self.parts, last, dimensions)
        {
            return last;
        }
        self.shape.clear();
        for (key, _) in dimensions {
            let key = intern(&mut self.key_index, &mut self.parts.keys, &self.hasher, key.as_ref());
            self.shape.push(key);
        }
        let parts = &mut self.parts;
        let hash = self.hasher.hash_one(self.shape.as_slice());
        if let Some(&at) = self.shape_index.find(hash, |at| shape_keys(parts, *at) == self.shape) {
            return at;
        }
        let at = parts.shape_ends.len() as u32;
        parts.shape_keys.extend_from_slice(&self.shape);
        parts.shape_ends.push(parts.shape_keys.len() as u32);
        self.shape_index.insert_unique(hash, at, |at| self.hasher.hash_one(shape_keys(parts, *at)));
        at
    }
}

fn shape_keys(parts: &ColumnParts, shape: u32) -> &[u32] {
    let at = shape as usize;
    let end = parts.shape_ends.get(at).copied().unwrap_or_default() as usize;
    let start = if at == 0 { 0 } else { parts.shape_ends.get(at - 1).copied().unwrap_or_default() as usize };
    parts.shape_keys.get(start..end).unwrap_or_default()
}

fn shape_is<K: AsRef<str>, V>(parts: &ColumnParts, shape: u32, dimensions: &[(K, V)]) -> bool {
    let keys = shape_keys(parts, shape);
    keys.len() == dimensions.len()
        && keys.iter().zip(dimensions).all(|(key, (wanted, _))| parts.keys.get(*key) == Some(wanted.as_ref()))
}

fn intern<H: BuildHasher>(index: &mut HashTable<u32>, table: &mut StringTable, hasher: &H, string: &str) -> u32 {
    let hash = hash_str(hasher, string);
    if let Some(&at) = index.find(hash, |at| table.get(*at) == Some(string)) {
        return at;
    }
    let at = table.push(string);
    index.insert_unique(hash, at, |at| hash_str(hasher, table.get(*at).unwrap_or_default()));
    at
}

fn hash_str<H: BuildHasher>(hasher: &H, string: &str) -> u64 {
    let mut state = hasher.build_hasher();
    // Nothing is hashed beside the string, so that it needs no mark of its end.
    state.write(string.as_bytes());
    state.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample(metric: &str, timestamp: i64, value: f64, dimensions: &[(&str, &str)]) -> Sample {
        let dimensions = dimensions.iter().copied().collect();
        Sample { metric: metric.to_owned(), timestamp, value, dimensions }
    }

    fn columns(samples: &[Sample]) -> SampleColumns {
        let mut builder = SampleColumnsBuilder::new();
        for s in samples {
            let dimensions: Vec<_> = s.dimensions.iter().collect();
            builder.push(&s.metric, 7, s.timestamp, s.value, &dimensions);
        }
        builder.finish()
    }

    #[test]
    fn rows_are_the_samples_that_were_pushed() {
        let samples = [
            sample("a", 1, 1.5, &[("k", "v"), ("l", "w")]),
            sample("a", 2, 2.5, &[("k", "v")]),
            sample("b", 3, 3.5, &[]),
            sample("a", 4, 4.5, &[("k", "w"), ("l", "v")]),
        ];
        let columns = columns(&samples);
        assert_eq!(columns.rows().map(|row| row.to_sample()).collect::<Vec<_>>(), samples);
        assert_eq!((columns.parts().metrics.len(), columns.parts().values.len()), (2, 2));
        assert_eq!(columns.parts().shape_ends.len(), 3);
        let mut scratch = Vec::new();
        for (row, sample) in columns.rows().zip(&samples) {
            assert_eq!(row.series_id(&mut scratch), sample.series_id());
            assert_eq!(row.retention_days(), 7);
        }
        assert_eq!(SampleColumns::try_from_parts(columns.parts().clone()).unwrap(), columns);
    }

    #[test]
    fn one_name_with_two_retentions_is_two_metrics() {
        let mut builder = SampleColumnsBuilder::new();
        let none: [(&str, &str); 0] = [];
        builder.push("m", 1, 0, 0.0, &none);
        builder.push("m", 2, 0, 0.0, &none);
        builder.push("m", 1, 0, 0.0, &none);
        let columns = builder.finish();
        assert_eq!(columns.parts().retention_days, [1, 2]);
        assert_eq!(columns.parts().sample_metric, [0, 1, 0]);
        assert!(builder.is_empty() && builder.finish().is_empty());
    }

    #[test]
    fn contradictory_columns_are_refused() {
        let good = columns(&[sample("a", 1, 1.5, &[("k", "v"), ("l", "w")])]).parts().clone();
        let spoilt: [fn(&mut ColumnParts); 12] = [
            |p| p.timestamps.push(1),
            |p| p.sample_metric = vec![9],
            |p| p.sample_shape = vec![9],
            |p| p.retention_days = vec![],
            |p| p.retention_days = vec![10_001],
            |p| p.shape_keys = vec![1, 0],
            |p| p.shape_keys = vec![0, 9],
            |p| p.shape_ends = vec![9],
            |p| p.shape_ends = vec![1],
            |p| p.dimension_values = vec![0, 9],
            |p| p.sample_values = vec![f64::NAN],
            |p| p.timestamps = vec![i64::MAX],
        ];
        for spoil in spoilt {
            let mut parts = good.clone();
            spoil(&mut parts);
            assert!(SampleColumns::try_from_parts(parts).is_err());
        }
        assert!(SampleColumns::try_from_parts(good).is_ok());
    }
}
