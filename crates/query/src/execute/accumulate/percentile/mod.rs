//! Exact percentiles.
//!
//! All values are kept, in pieces, so that growing copies nothing and holds nothing twice.
//!
//! | module | holds |
//! |---|---|
//! | [`select`] | the value at a rank, and the one after it |
//! | [`window`] | for many values: bounds guessed from a sample, then counted |
//! | [`histogram`] | where the guess failed: histograms that narrow the range |

mod histogram;
mod select;
mod window;

use luminate_storage::{AggregateFunction, StorageError};

use super::{Accumulator, Needs, Run};
use crate::execute::memory::Reservation;

/// Values of a full piece.
const PIECE: usize = 8192;

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
        let (lower, upper) = select::neighbours(parts, below, memory)?;
        Ok(interpolate(lower, upper, place - place.floor()))
    }
}

fn interpolate(lower: f64, upper: f64, share: f64) -> f64 {
    let between = lower + (upper - lower) * share;
    // The distance of two doubles may be larger than any double.
    if between.is_finite() { between } else { lower * (1.0 - share) + upper * share }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
