//! What is kept of a group's samples for each function, one file a kind.

mod distinct;
mod extremes;
mod moments;
pub(super) mod ordered;
mod percentile;

use luminate_storage::{AggregateFunction, StorageError};

use super::memory::Reservation;

pub(super) use distinct::Distinct;
pub(super) use extremes::{First, Last, Max, Min};
pub(super) use moments::{Count, Deviation, Sum};
pub(super) use percentile::Percentile;

/// Samples of one group, and where [`Accumulator::NEEDS`] says so of one series and ascending by time. Slices are as long
/// as the samples are many, or empty where they are not needed.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) samples: usize,
    pub(super) timestamps: &'a [i64],
    pub(super) values: &'a [f64],
    /// What is counted by [`Distinct`]: the series, or the hash of a dimension's value; `None` where it is missing.
    pub(super) identity: Option<u128>,
}

/// What an accumulator looks at.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    pub(super) timestamps: bool,
    pub(super) values: bool,
    /// Runs of single series with their identity.
    pub(super) identity: bool,
    /// Runs of single series.
    pub(super) single_series: bool,
}

impl Needs {
    pub(super) const COUNT: Self = Self { timestamps: false, values: false, identity: false, single_series: false };
    pub(super) const VALUES: Self = Self { values: true, ..Self::COUNT };
    pub(super) const TIMES: Self = Self { timestamps: true, single_series: true, ..Self::VALUES };
    pub(super) const IDENTITY: Self = Self { identity: true, single_series: true, ..Self::COUNT };
}

/// What is kept of some of a group's samples.
pub(super) trait Accumulator: Default + Send + 'static {
    /// What it looks at.
    const NEEDS: Needs;

    /// Takes samples, at least one.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    fn add(&mut self, run: Run<'_>, memory: &mut Reservation) -> Result<(), StorageError>;

    /// Takes what another has kept, which may be nothing.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    fn merge(&mut self, other: Self, memory: &mut Reservation) -> Result<(), StorageError>;

    /// Whether nothing was added.
    fn is_empty(&self) -> bool;

    /// The value over the samples of all `parts` together, of which there is at least one.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    fn value(parts: &[&Self], function: &AggregateFunction, memory: &mut Reservation) -> Result<f64, StorageError>;
}
