//! Counts, sums and deviations.

use luminate_storage::{AggregateFunction, StorageError};

use super::{Accumulator, Needs, Run};
use crate::execute::memory::Reservation;

/// For `count`.
#[derive(Default)]
pub(in crate::execute) struct Count {
    samples: u64,
}

impl Accumulator for Count {
    const NEEDS: Needs = Needs::COUNT;

    fn add(&mut self, run: Run<'_>, _: &mut Reservation) -> Result<(), StorageError> {
        self.samples += run.samples as u64;
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &mut Reservation) -> Result<(), StorageError> {
        self.samples += other.samples;
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.samples == 0
    }

    fn value(parts: &[&Self], _: &AggregateFunction, _: &mut Reservation) -> Result<f64, StorageError> {
        Ok(parts.iter().map(|part| part.samples).sum::<u64>() as f64)
    }
}

/// For `sum` and `avg`.
#[derive(Default)]
pub(in crate::execute) struct Sum {
    samples: u64,
    sum: f64,
}

impl Accumulator for Sum {
    const NEEDS: Needs = Needs::VALUES;

    fn add(&mut self, run: Run<'_>, _: &mut Reservation) -> Result<(), StorageError> {
        self.samples += run.samples as u64;
        self.sum += run.values.iter().sum::<f64>();
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &mut Reservation) -> Result<(), StorageError> {
        self.samples += other.samples;
        self.sum += other.sum;
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.samples == 0
    }

    fn value(parts: &[&Self], function: &AggregateFunction, _: &mut Reservation) -> Result<f64, StorageError> {
        let sum: f64 = parts.iter().map(|part| part.sum).sum();
        let samples: u64 = parts.iter().map(|part| part.samples).sum();
        Ok(if *function == AggregateFunction::Avg { sum / samples as f64 } else { sum })
    }
}

/// For `stddev`: count, mean and the sum of squared distances from it, joined by Chan's formula. It never subtracts two
/// large squares, so that small deviations of large numbers survive.
#[derive(Default, Clone, Copy)]
pub(in crate::execute) struct Deviation {
    samples: u64,
    mean: f64,
    squares: f64,
}

impl Deviation {
    fn of(values: &[f64]) -> Self {
        let samples = values.len() as u64;
        let mean = values.iter().sum::<f64>() / samples as f64;
        let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Self { samples, mean, squares }
    }

    fn join(&mut self, other: Self) {
        if self.samples == 0 {
            *self = other;
            return;
        }
        if other.samples == 0 {
            return;
        }
        let (ours, theirs) = (self.samples as f64, other.samples as f64);
        let all = ours + theirs;
        let distance = other.mean - self.mean;
        self.mean += distance * (theirs / all);
        self.squares += other.squares + distance * distance * (ours * theirs / all);
        self.samples += other.samples;
    }
}

impl Accumulator for Deviation {
    const NEEDS: Needs = Needs::VALUES;

    fn add(&mut self, run: Run<'_>, _: &mut Reservation) -> Result<(), StorageError> {
        self.join(Self::of(run.values));
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &mut Reservation) -> Result<(), StorageError> {
        self.join(other);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.samples == 0
    }

    fn value(parts: &[&Self], _: &AggregateFunction, _: &mut Reservation) -> Result<f64, StorageError> {
        let mut all = Self::default();
        parts.iter().for_each(|part| all.join(**part));
        Ok((all.squares / all.samples as f64).sqrt())
    }
}
