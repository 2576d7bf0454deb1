//! Selection of a rank by histograms that narrow the range it lies in, until few enough values lie there. Each takes a pass or
//! two over all values; six of them reach any single double, so there is no bad case.

use luminate_storage::StorageError;

use super::Percentile;
use super::select::{FEW, of_values};
use crate::execute::accumulate::ordered::{double, number};
use crate::execute::memory::Reservation;

/// Parts of a histogram, as a power of two.
const HISTOGRAM_BITS: u32 = 12;

/// The value at `rank` and the one after it (the same at the end).
pub(super) fn neighbours(
    parts: &[&Percentile],
    len: usize,
    rank: usize,
    memory: &mut Reservation,
) -> Result<(f64, f64), StorageError> {
    let mut range = Range { first: 0, last: u64::MAX, before: 0, len };
    while range.len > FEW && range.first < range.last {
        range = range.narrow(parts, rank);
    }
    let (value, next) = if range.first == range.last {
        let is_last_of_range = rank + 1 == range.before + range.len;
        let value = double(range.first);
        (value, (!is_last_of_range).then_some(value))
    } else {
        let mut values = Vec::new();
        memory.reserve(&mut values, range.len)?;
        for piece in parts.iter().flat_map(|part| part.pieces()) {
            values.extend(piece.iter().filter(|value| range.contains(**value)));
        }
        let found = of_values(&mut values, rank - range.before);
        memory.shrink(values.capacity() * size_of::<f64>());
        found
    };
    Ok((value, next.or_else(|| smallest_above(parts, range.last)).unwrap_or(value)))
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
