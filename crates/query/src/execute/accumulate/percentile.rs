//! Exact percentiles.
//!
//! All values are kept, in pieces, so that growing copies nothing and holds nothing twice. A few values are sorted out by
//! selection in a copy. Many are never copied: histograms over the pieces narrow the range that the wanted rank lies in,
//! until few enough values lie in it.

use luminate_storage::{AggregateFunction, StorageError};

use super::ordered::{double, number};
use super::{Accumulator, Needs, Run};
use crate::execute::memory::Reservation;

/// Values of a full piece.
const PIECE: usize = 8192;

/// Up to so many values are copied for a selection.
const FEW: usize = 16_384;

/// Parts of a histogram, as a power of two.
const HISTOGRAM_BITS: u32 = 12;

/// For `p`: every value.
#[derive(Default)]
pub(in crate::execute) struct Percentile {
    full: Vec<Vec<f64>>,
    /// The piece that grows, by doubling, up to [`PIECE`].
    last: Vec<f64>,
}

impl Percentile {
    fn extend(&mut self, mut values: &[f64], memory: &mut Reservation) -> Result<(), StorageError> {
        while !values.is_empty() {
            if self.last.len() == PIECE {
                memory.reserve(&mut self.full, 1)?;
                self.full.push(std::mem::take(&mut self.last));
            }
            let room = (PIECE - self.last.len()).min(values.len());
            let (fitting, rest) = values.split_at(room);
            self.make_room(room, memory)?;
            self.last.extend_from_slice(fitting);
            values = rest;
        }
        Ok(())
    }

    fn make_room(&mut self, more: usize, memory: &mut Reservation) -> Result<(), StorageError> {
        if self.last.capacity() - self.last.len() >= more {
            return Ok(());
        }
        // A group that has filled a piece will fill the next one.
        let more = if self.full.is_empty() { more } else { PIECE };
        memory.reserve(&mut self.last, more)
    }

    fn pieces(&self) -> impl Iterator<Item = &[f64]> {
        self.full.iter().chain(std::iter::once(&self.last)).map(Vec::as_slice)
    }

    fn len(&self) -> usize {
        self.full.len() * PIECE + self.last.len()
    }
}

impl Accumulator for Percentile {
    const NEEDS: Needs = Needs::VALUES;

    fn add(&mut self, run: Run<'_>, memory: &mut Reservation) -> Result<(), StorageError> {
        self.extend(run.values, memory)
    }

    fn merge(&mut self, mut other: Self, memory: &mut Reservation) -> Result<(), StorageError> {
        memory.reserve(&mut self.full, other.full.len())?;
        memory.shrink(other.full.capacity() * size_of::<Vec<f64>>());
        self.full.append(&mut other.full);
        self.extend(&other.last, memory)?;
        memory.shrink(other.last.capacity() * size_of::<f64>());
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    fn value(parts: &[&Self], function: &AggregateFunction, memory: &mut Reservation) -> Result<f64, StorageError> {
        let AggregateFunction::Percentile(percent) = function else {
            return Err(StorageError::Damaged("a percentile was computed for another function".to_owned()));
        };
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let place = len.saturating_sub(1) as f64 * (percent / 100.0);
        let below = place.floor() as usize;
        memory.grow(FEW * size_of::<f64>())?;
        let (lower, upper) = neighbours(parts, len, below);
        memory.shrink(FEW * size_of::<f64>());
        Ok(interpolate(lower, upper, place - place.floor()))
    }
}

fn interpolate(lower: f64, upper: f64, share: f64) -> f64 {
    let between = lower + (upper - lower) * share;
    // The distance of two doubles may be larger than any double.
    if between.is_finite() { between } else { lower * (1.0 - share) + upper * share }
}

/// The value at `rank` (from 0) of the ordered values, and the one after it (the same at the end).
fn neighbours(parts: &[&Percentile], len: usize, rank: usize) -> (f64, f64) {
    let mut range = Range { first: 0, last: u64::MAX, before: 0, len };
    while range.len > FEW && range.first < range.last {
        range = range.narrow(parts, rank);
    }
    if range.first == range.last {
        let value = double(range.first);
        let is_last_of_range = rank + 1 == range.before + range.len;
        return (value, if is_last_of_range { smallest_above(parts, range.last).unwrap_or(value) } else { value });
    }
    let mut values: Vec<f64> = Vec::with_capacity(range.len);
    for piece in parts.iter().flat_map(|part| part.pieces()) {
        values.extend(piece.iter().filter(|value| range.contains(**value)));
    }
    let (_, value, above) = values.select_nth_unstable_by(rank - range.before, f64::total_cmp);
    let next = above.iter().copied().min_by(f64::total_cmp);
    let value = *value;
    (value, next.or_else(|| smallest_above(parts, range.last)).unwrap_or(value))
}

fn smallest_above(parts: &[&Percentile], last: u64) -> Option<f64> {
    let values = parts.iter().flat_map(|part| part.pieces()).flatten();
    values.map(|value| number(*value)).filter(|number| *number > last).min().map(double)
}

/// A range of numbers of doubles, both ends included, which the wanted rank lies in.
#[derive(Clone, Copy)]
struct Range {
    first: u64,
    last: u64,
    /// How many values lie before the range.
    before: usize,
    /// How many values lie in it.
    len: usize,
}

impl Range {
    fn contains(&self, value: f64) -> bool {
        (self.first..=self.last).contains(&number(value))
    }

    /// Cuts the range that its values really span into even parts, and takes the part with the wanted rank.
    fn narrow(self, parts: &[&Percentile], rank: usize) -> Self {
        let span = self.span(parts);
        let width_bits = u64::BITS - (span.last - span.first).leading_zeros();
        let shift = width_bits.saturating_sub(HISTOGRAM_BITS);
        let mut counts = vec![0_usize; 1 << HISTOGRAM_BITS];
        for piece in parts.iter().flat_map(|part| part.pieces()) {
            for value in piece {
                let number = number(*value);
                if number >= span.first && number <= span.last {
                    counts[((number - span.first) >> shift) as usize] += 1;
                }
            }
        }
        let mut before = self.before;
        for (at, len) in counts.into_iter().enumerate() {
            if rank < before + len {
                let first = span.first + ((at as u64) << shift);
                let last = first.saturating_add((1 << shift) - 1).min(span.last);
                return Self { first, last, before, len };
            }
            before += len;
        }
        span
    }

    /// The range from the smallest to the largest value that lies in this one.
    fn span(self, parts: &[&Percentile]) -> Self {
        let (mut first, mut last) = (u64::MAX, 0);
        for piece in parts.iter().flat_map(|part| part.pieces()) {
            for value in piece {
                let number = number(*value);
                if number >= self.first && number <= self.last {
                    first = first.min(number);
                    last = last.max(number);
                }
            }
        }
        Self { first, last, ..self }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
