//! The smallest and largest by value, the first and last by time.

use luminate_storage::{AggregateFunction, StorageError};

use super::{Accumulator, Needs, Run};
use crate::execute::memory::Reservation;

/// For `min`. Values are finite, so infinity stands for none.
pub(in crate::execute) struct Min(f64);

/// For `max`.
pub(in crate::execute) struct Max(f64);

impl Default for Min {
    fn default() -> Self {
        Self(f64::INFINITY)
    }
}

impl Default for Max {
    fn default() -> Self {
        Self(f64::NEG_INFINITY)
    }
}

impl Accumulator for Min {
    const NEEDS: Needs = Needs::VALUES;

    fn add(&mut self, run: Run<'_>, _: &mut Reservation) -> Result<(), StorageError> {
        self.0 = run.values.iter().copied().fold(self.0, f64::min);
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &mut Reservation) -> Result<(), StorageError> {
        self.0 = self.0.min(other.0);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0 == f64::INFINITY
    }

    fn value(parts: &[&Self], _: &AggregateFunction, _: &mut Reservation) -> Result<f64, StorageError> {
        Ok(parts.iter().map(|part| part.0).fold(f64::INFINITY, f64::min))
    }
}

impl Accumulator for Max {
    const NEEDS: Needs = Needs::VALUES;

    fn add(&mut self, run: Run<'_>, _: &mut Reservation) -> Result<(), StorageError> {
        self.0 = run.values.iter().copied().fold(self.0, f64::max);
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &mut Reservation) -> Result<(), StorageError> {
        self.0 = self.0.max(other.0);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0 == f64::NEG_INFINITY
    }

    fn value(parts: &[&Self], _: &AggregateFunction, _: &mut Reservation) -> Result<f64, StorageError> {
        Ok(parts.iter().map(|part| part.0).fold(f64::NEG_INFINITY, f64::max))
    }
}

/// For `first`: the larger value where several samples have the smallest timestamp.
#[derive(Default)]
pub(in crate::execute) struct First(Option<(i64, f64)>);

/// For `last`: the larger value where several samples have the largest timestamp.
#[derive(Default)]
pub(in crate::execute) struct Last(Option<(i64, f64)>);

impl First {
    fn take(&mut self, timestamp: i64, value: f64) {
        let is_better = self.0.is_none_or(|(at, known)| timestamp < at || (timestamp == at && value > known));
        if is_better {
            self.0 = Some((timestamp, value));
        }
    }
}

impl Last {
    fn take(&mut self, timestamp: i64, value: f64) {
        let is_better = self.0.is_none_or(|(at, known)| timestamp > at || (timestamp == at && value > known));
        if is_better {
            self.0 = Some((timestamp, value));
        }
    }
}

impl Accumulator for First {
    const NEEDS: Needs = Needs::TIMES;

    fn add(&mut self, run: Run<'_>, _: &mut Reservation) -> Result<(), StorageError> {
        // Ascending by time: only those that share the first timestamp can be it.
        let first = run.timestamps.first();
        let samples = run.timestamps.iter().zip(run.values);
        samples.take_while(|(timestamp, _)| Some(*timestamp) == first).for_each(|(at, value)| self.take(*at, *value));
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &mut Reservation) -> Result<(), StorageError> {
        if let Some((timestamp, value)) = other.0 {
            self.take(timestamp, value);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn value(parts: &[&Self], _: &AggregateFunction, _: &mut Reservation) -> Result<f64, StorageError> {
        let mut all = Self::default();
        parts.iter().filter_map(|part| part.0).for_each(|(timestamp, value)| all.take(timestamp, value));
        Ok(all.0.map_or(f64::NAN, |(_, value)| value))
    }
}

impl Accumulator for Last {
    const NEEDS: Needs = Needs::TIMES;

    fn add(&mut self, run: Run<'_>, _: &mut Reservation) -> Result<(), StorageError> {
        let last = run.timestamps.last();
        let samples = run.timestamps.iter().zip(run.values).rev();
        samples.take_while(|(timestamp, _)| Some(*timestamp) == last).for_each(|(at, value)| self.take(*at, *value));
        Ok(())
    }

    fn merge(&mut self, other: Self, _: &mut Reservation) -> Result<(), StorageError> {
        if let Some((timestamp, value)) = other.0 {
            self.take(timestamp, value);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn value(parts: &[&Self], _: &AggregateFunction, _: &mut Reservation) -> Result<f64, StorageError> {
        let mut all = Self::default();
        parts.iter().filter_map(|part| part.0).for_each(|(timestamp, value)| all.take(timestamp, value));
        Ok(all.0.map_or(f64::NAN, |(_, value)| value))
    }
}
