//! Route: which record a sample goes into.
//!
//! A write request is split into parts, one record each: by ranges of its samples as they stand in the body, and within a
//! range by the tenant's shards. Where a range ends depends on the body alone, never on which samples were found valid, so a
//! repeated request is split the same although the clock has moved on, and each part is recognised by its number.

use std::num::NonZeroU32;

use bytes::Bytes;
use luminate_model::series::write_canonical_bytes;
use luminate_model::{SampleColumnsBuilder, SeriesId};
use luminate_schemas::encode;

use crate::validate::ValidSample;

/// A range ends with so many samples.
pub const RANGE_SAMPLES: u32 = 10_000;

/// A range ends with the sample that begins so many bytes or more behind the range's first one, that one not included. So a
/// record holds about this much of a body, and one largest sample more.
pub const RANGE_BODY_BYTES: usize = 1 << 20;

/// A sample takes about so many bytes of a body, or more.
const USUAL_SAMPLE_BYTES: usize = 160;

/// One record of a write request.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its number among the parts of the request, from 0.
    pub number: u32,
    /// The shard.
    pub shard: u32,
    /// The samples, encoded.
    pub value: Bytes,
    /// The samples' indexes in the request.
    pub indexes: Vec<u32>,
}

/// A write request, split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Routed {
    /// The parts that have samples, in the order of their numbers.
    pub parts: Vec<Part>,
    /// How many parts there are by the body's form, those without valid samples included.
    pub total_parts: u32,
}

impl Routed {
    /// Memory that the parts hold, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let part = |part: &Part| part.value.len() + part.indexes.capacity() * size_of::<u32>() + size_of::<Part>();
        self.parts.iter().map(part).sum::<usize>() as u64
    }
}

/// Splits the samples of one write request. For each sample in the order of the body: [`begin`](Splitter::begin), then
/// [`put`](Splitter::put) where it is valid.
pub struct Splitter {
    shards: Vec<Shard>,
    parts: Vec<Part>,
    /// Ranges that have ended.
    ranges: u32,
    /// Samples that have begun in the open range, valid or not.
    range_samples: u32,
    /// Where the open range begins in the body.
    range_at: usize,
    /// Where the body ends, if that was said.
    body_end: usize,
    canonical: Vec<u8>,
}

#[derive(Default)]
struct Shard {
    columns: SampleColumnsBuilder,
    indexes: Vec<u32>,
}

impl Splitter {
    /// Splits among so many shards.
    #[must_use]
    pub fn new(shards: NonZeroU32) -> Self {
        Self {
            shards: (0..shards.get()).map(|_| Shard::default()).collect(),
            parts: Vec::new(),
            ranges: 0,
            range_samples: 0,
            range_at: 0,
            body_end: 0,
            canonical: Vec::new(),
        }
    }

    /// Says how large the body is, so that room can be made for all samples of a range at once.
    pub fn expect_bytes(&mut self, body_bytes: usize) {
        self.body_end = body_bytes;
    }

    /// Notes that the next sample, valid or not, begins at byte `at` of the body.
    pub fn begin(&mut self, at: usize) {
        if self.range_samples == 0 {
            self.range_at = at;
            self.reserve();
        } else if self.range_samples == RANGE_SAMPLES || at.saturating_sub(self.range_at) >= RANGE_BODY_BYTES {
            self.end_range();
            self.range_at = at;
            self.reserve();
        }
        self.range_samples += 1;
    }

    /// Makes room for the samples of the range that begins.
    fn reserve(&mut self) {
        let bytes = self.body_end.saturating_sub(self.range_at).min(RANGE_BODY_BYTES);
        let samples = (bytes / USUAL_SAMPLE_BYTES).min(RANGE_SAMPLES as usize) / self.shards.len().max(1);
        for shard in &mut self.shards {
            shard.columns.reserve(samples);
            shard.indexes.reserve(samples);
        }
    }

    /// Puts the sample that has begun last, at `index` of the request, into its part.
    pub fn put(&mut self, index: u32, valid: &ValidSample<'_, '_>) {
        let sample = valid.sample();
        let at = if self.shards.len() == 1 {
            0
        } else {
            self.canonical.clear();
            let dimensions = sample.dimensions.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
            write_canonical_bytes(&mut self.canonical, &sample.name, dimensions);
            (SeriesId::of_canonical_bytes(&self.canonical).0 % self.shards.len().max(1) as u128) as usize
        };
        if let Some(shard) = self.shards.get_mut(at) {
            let columns = &mut shard.columns;
            columns.push(&sample.name, valid.retention_days(), sample.timestamp, sample.value, &sample.dimensions);
            shard.indexes.push(index);
        }
    }

    /// The parts, when all samples were put.
    #[must_use]
    pub fn finish(mut self) -> Routed {
        if self.range_samples > 0 {
            self.end_range();
        }
        Routed { total_parts: self.ranges * self.shards.len() as u32, parts: self.parts }
    }

    fn end_range(&mut self) {
        let shards = self.shards.len() as u32;
        for (shard, open) in self.shards.iter_mut().enumerate() {
            if open.columns.is_empty() {
                continue;
            }
            let value = Bytes::from(encode(&open.columns.finish()));
            let shard = shard as u32;
            let number = self.ranges * shards + shard;
            self.parts.push(Part { number, shard, value, indexes: std::mem::take(&mut open.indexes) });
        }
        self.ranges += 1;
        self.range_samples = 0;
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
