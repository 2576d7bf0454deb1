//! Selection of a rank in one pass over many values: a sample of them says between which bounds the rank will lie, and the
//! pass counts what lies below and copies what lies between. It fails where the sample misleads, as it may where many
//! values are equal; never silently, because the counts show it.

use luminate_storage::StorageError;

use super::Percentile;
use super::select::of_values;
use crate::execute::memory::Reservation;

/// Values of the sample.
const SAMPLE: usize = 8192;

/// At most this part of all values is copied.
const COPIED_PART: usize = 8;

/// The value at `rank` and the one after it; `None` where the sample misled.
pub(super) fn neighbours(
    parts: &[&Percentile],
    len: usize,
    rank: usize,
    memory: &mut Reservation,
) -> Result<Option<(f64, f64)>, StorageError> {
    let bounds = bounds(parts, len, rank, memory)?;
    let mut between = Vec::new();
    let found = count_and_copy(parts, len, bounds, &mut between, memory)?.and_then(|below| {
        let rank = rank.checked_sub(below).filter(|rank| *rank < between.len())?;
        let is_last = below + rank + 1 == len;
        let (value, next) = of_values(&mut between, rank);
        // The next one may lie beyond the upper bound.
        next.or(is_last.then_some(value)).map(|next| (value, next))
    });
    memory.shrink(between.capacity() * size_of::<f64>());
    Ok(found)
}

/// Bounds that the rank lies between, nearly always: four standard deviations of its place in a sample to either side.
fn bounds(
    parts: &[&Percentile],
    len: usize,
    rank: usize,
    memory: &mut Reservation,
) -> Result<(f64, f64), StorageError> {
    let stride = (len / SAMPLE).max(1);
    let mut sample = Vec::new();
    memory.reserve(&mut sample, len / stride + 1)?;
    let mut skip = 0;
    for piece in parts.iter().flat_map(|part| part.pieces()) {
        sample.extend(piece.iter().skip(skip).step_by(stride));
        let taken_or_passed = piece.len().saturating_sub(skip).div_ceil(stride) * stride;
        skip = skip + taken_or_passed - piece.len();
    }
    sample.sort_unstable_by(f64::total_cmp);
    let share = rank as f64 / len as f64;
    let place = share * sample.len() as f64;
    let deviation = (share * (1.0 - share) * sample.len() as f64).sqrt();
    let reach = 4.0 * deviation + 2.0;
    let lower = if place >= reach { sample.get((place - reach) as usize) } else { None };
    let upper = sample.get((place + reach) as usize);
    let bounds = (lower.copied().unwrap_or(f64::NEG_INFINITY), upper.copied().unwrap_or(f64::INFINITY));
    memory.shrink(sample.capacity() * size_of::<f64>());
    Ok(bounds)
}

/// Copies the values within the bounds and returns how many lie below them; `None` where too many would be copied.
fn count_and_copy(
    parts: &[&Percentile],
    len: usize,
    (lower, upper): (f64, f64),
    between: &mut Vec<f64>,
    memory: &mut Reservation,
) -> Result<Option<usize>, StorageError> {
    let mut below = 0;
    for piece in parts.iter().flat_map(|part| part.pieces()) {
        // Two loops, because each of them is one instruction for several values.
        below += piece.iter().filter(|value| **value < lower).count();
        let inside = piece.iter().filter(|value| **value >= lower && **value <= upper).count();
        if inside == 0 {
            continue;
        }
        if between.len() + inside > len / COPIED_PART {
            return Ok(None);
        }
        memory.reserve(between, inside)?;
        between.extend(piece.iter().filter(|value| **value >= lower && **value <= upper));
    }
    Ok(Some(below))
}
