//! The value at a rank.

use luminate_storage::StorageError;

use super::{Percentile, histogram, window};
use crate::execute::memory::Reservation;

/// Up to so many values are copied and selected from; more are not copied as a whole.
pub(super) const FEW: usize = 1 << 17;

/// The value at `rank` (from 0) of the ordered values of all parts, and the one after it (the same at the end).
pub(super) fn neighbours(
    parts: &[&Percentile],
    rank: usize,
    memory: &mut Reservation,
) -> Result<(f64, f64), StorageError> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    if rank >= len {
        return Err(StorageError::Damaged(format!("rank {rank} was asked of {len} values")));
    }
    if len > FEW {
        return match window::neighbours(parts, len, rank, memory)? {
            Some(found) => Ok(found),
            None => histogram::neighbours(parts, len, rank, memory),
        };
    }
    let mut values = Vec::new();
    memory.reserve(&mut values, len)?;
    parts.iter().flat_map(|part| part.pieces()).for_each(|piece| values.extend_from_slice(piece));
    let (value, next) = of_values(&mut values, rank);
    memory.shrink(values.capacity() * size_of::<f64>());
    Ok((value, next.unwrap_or(value)))
}

/// The value at `rank` of `values`, which are more, and the one after it, where there is one.
pub(super) fn of_values(values: &mut [f64], rank: usize) -> (f64, Option<f64>) {
    let (_, value, above) = values.select_nth_unstable_by(rank, f64::total_cmp);
    (*value, above.iter().copied().min_by(f64::total_cmp))
}
