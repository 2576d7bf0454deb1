//! Columns of numbers as bytes. The number of numbers is known to both sides and not repeated here, so that no count
//! that stands in the bytes decides how much memory is taken.
//!
//! A column is one byte that says how, then: a constant; the differences from the smallest in as few bits as the largest
//! needs, or in 32 bits as a column of their own; decimal fractions as integers; `pco`; or the bytes as they are.

mod bits;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
mod with_pco;

use self::bits::{Packed, bits_bytes, put_bits, width_of};
pub(super) use self::with_pco::Pco;
use self::with_pco::{get_pco, put_pco};
use super::bytes::{ByteReader, Fault};

/// How much work packing may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// For blocks that live for minutes.
    Quick,
    /// For blocks that stay.
    Thorough,
}

impl Effort {
    /// What is to be tried, where effort allows it.
    pub(super) fn pco(self, worthwhile: Pco) -> Pco {
        if self == Self::Quick { Pco::Nothing } else { worthwhile }
    }
}

const CONSTANT: u8 = 0;
const BITS: u8 = 1;
const DECIMAL: u8 = 2;
const PCO: u8 = 3;
const RAW: u8 = 4;
const OFFSETS: u8 = 5;

/// Below this many numbers the header of `pco` is more than it saves.
const PCO_FEWEST: usize = 24;
const POWERS_OF_TEN: [f64; 7] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];
/// Below this magnitude a product rounds to an integer by adding and subtracting [`ROUNDING`].
const LARGEST_DECIMAL: f64 = (1_u64 << 51) as f64;
const ROUNDING: f64 = 6_755_399_441_055_744.0;

const UNKNOWN_WAY: Fault = "a column is packed in an unknown way";
const TOO_LARGE: Fault = "a number is too large";

/// Appends a column of `u32`.
pub(super) fn pack_u32s(out: &mut Vec<u8>, numbers: &[u32], pco: Pco) {
    let smallest = numbers.iter().copied().min().unwrap_or_default();
    let largest = numbers.iter().copied().max().unwrap_or_default();
    if smallest == largest {
        return put_constant(out, u64::from(smallest));
    }
    let start = out.len();
    if pco != Pco::Nothing && numbers.len() >= PCO_FEWEST {
        let packed_bytes = bits_bytes(numbers.len(), width_of(u64::from(largest - smallest)));
        // Unpacking bits is several times as fast: what `pco` saves must be worth it.
        let config = pco.plain_config();
        if put_pco(out, numbers, &config) && out.len() - start < packed_bytes - packed_bytes / 16 {
            return;
        }
        out.truncate(start);
    }
    out.push(BITS);
    let offsets = numbers.iter().map(|number| u64::from(number - smallest));
    put_bits(out, u64::from(smallest), u64::from(largest - smallest), offsets);
}

/// Reads a column of `numbers` `u32`, which replaces what `out` holds.
pub(super) fn unpack_u32s(bytes: &[u8], numbers: usize, out: &mut Vec<u32>) -> Result<(), Fault> {
    let mut reader = ByteReader::new(bytes);
    out.clear();
    match reader.byte()? {
        CONSTANT => {
            let constant = u32::try_from(get_constant(reader)?).map_err(|_| TOO_LARGE)?;
            out.resize(numbers, constant);
            Ok(())
        }
        BITS => {
            let packed = Packed::read(reader, numbers)?;
            out.reserve(numbers);
            let mut all_bits = 0;
            packed.each(|offset| {
                let number = packed.base.saturating_add(offset);
                all_bits |= number;
                out.push(number as u32);
            });
            if all_bits > u64::from(u32::MAX) { Err(TOO_LARGE) } else { Ok(()) }
        }
        PCO => get_pco(reader.rest(), numbers, 0, out),
        _ => Err(UNKNOWN_WAY),
    }
}

/// Appends a column of `i64`.
pub(super) fn pack_i64s(out: &mut Vec<u8>, numbers: &[i64], pco: Pco) {
    let smallest = numbers.iter().copied().min().unwrap_or_default();
    let largest = numbers.iter().copied().max().unwrap_or_default();
    if smallest == largest {
        return put_constant(out, smallest as u64);
    }
    // Differences wrap: also the span from the least to the greatest number fits 64 bits.
    let offset = |number: &i64| number.wrapping_sub(smallest) as u64;
    let span = offset(&largest);
    if pco != Pco::Nothing && span <= u64::from(u32::MAX) {
        out.push(OFFSETS);
        out.extend_from_slice(&smallest.to_le_bytes());
        let offsets: Vec<u32> = numbers.iter().map(|number| offset(number) as u32).collect();
        return pack_u32s(out, &offsets, pco);
    }
    let start = out.len();
    if pco != Pco::Nothing && numbers.len() >= PCO_FEWEST {
        let packed_bytes = bits_bytes(numbers.len(), width_of(span));
        if put_pco(out, numbers, &pco.config()) && out.len() - start < packed_bytes {
            return;
        }
        out.truncate(start);
    }
    out.push(BITS);
    put_bits(out, smallest as u64, span, numbers.iter().map(offset));
}

/// Reads a column of `numbers` `i64`, which replaces what `out` holds.
pub(super) fn unpack_i64s(bytes: &[u8], numbers: usize, out: &mut Vec<i64>) -> Result<(), Fault> {
    out.clear();
    out.reserve(numbers);
    each_i64(bytes, numbers, |number| out.push(number))
}

/// Reads a column of `i64`, one after another.
fn each_i64(bytes: &[u8], numbers: usize, mut take: impl FnMut(i64)) -> Result<(), Fault> {
    let mut reader = ByteReader::new(bytes);
    match reader.byte()? {
        CONSTANT => {
            let constant = get_constant(reader)? as i64;
            (0..numbers).for_each(|_| take(constant));
        }
        BITS => {
            let packed = Packed::read(reader, numbers)?;
            packed.each(|offset| take(packed.base.wrapping_add(offset) as i64));
        }
        OFFSETS => {
            let base = i64::from_le_bytes(reader.array()?);
            let mut offsets = Vec::new();
            unpack_u32s(reader.rest(), numbers, &mut offsets)?;
            offsets.into_iter().for_each(|offset| take(base.wrapping_add(i64::from(offset))));
        }
        PCO => {
            let mut wide = Vec::new();
            get_pco(reader.rest(), numbers, 0, &mut wide)?;
            wide.into_iter().for_each(take);
        }
        _ => return Err(UNKNOWN_WAY),
    }
    Ok(())
}

/// Appends a column of `f64`; every bit of every number comes back.
pub(super) fn pack_f64s(out: &mut Vec<u8>, numbers: &[f64], effort: Effort) {
    let first = numbers.first().copied().unwrap_or_default().to_bits();
    if numbers.iter().all(|number| number.to_bits() == first) {
        return put_constant(out, first);
    }
    let pco = effort.pco(if neighbours_are_near(numbers) { Pco::Differences } else { Pco::Numbers });
    if put_decimals(out, numbers, pco) {
        return;
    }
    let start = out.len();
    if pco != Pco::Nothing && numbers.len() >= PCO_FEWEST {
        if put_pco(out, numbers, &pco.config()) && out.len() - start < numbers.len() * 8 {
            return;
        }
        out.truncate(start);
    }
    out.push(RAW);
    out.reserve(numbers.len() * 8);
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Reads a column of `numbers` `f64`, which replaces what `out` holds.
pub(super) fn unpack_f64s(bytes: &[u8], numbers: usize, out: &mut Vec<f64>) -> Result<(), Fault> {
    let mut reader = ByteReader::new(bytes);
    out.clear();
    match reader.byte()? {
        CONSTANT => {
            out.resize(numbers, f64::from_bits(get_constant(reader)?));
            Ok(())
        }
        DECIMAL => {
            let exponent = reader.byte()?;
            let power = *POWERS_OF_TEN.get(usize::from(exponent)).ok_or("an exponent is too large")?;
            out.reserve(numbers);
            each_i64(reader.rest(), numbers, |integer| out.push(integer as f64 / power))
        }
        PCO => get_pco(reader.rest(), numbers, 0.0, out),
        RAW => {
            if reader.rest().len() != numbers * 8 {
                return Err("a column has another length");
            }
            let (words, _) = reader.rest().as_chunks::<8>();
            out.extend(words.iter().map(|word| f64::from_le_bytes(*word)));
            Ok(())
        }
        _ => Err(UNKNOWN_WAY),
    }
}

/// Whether numbers are so much nearer to the one before than to the middle of all that differences are shorter. Judged
/// by some of them.
fn neighbours_are_near(numbers: &[f64]) -> bool {
    const JUDGED: usize = 2_048;
    let judged = numbers.get(..JUDGED).unwrap_or(numbers);
    let middle = judged.iter().sum::<f64>() / judged.len() as f64;
    let from_middle: f64 = judged.iter().map(|number| (number - middle).abs()).sum();
    let from_neighbour: f64 = judged.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    from_neighbour < from_middle / 2.0
}

/// Appends the numbers as integers over a power of ten, where all of them come back from that bit by bit.
fn put_decimals(out: &mut Vec<u8>, numbers: &[f64], pco: Pco) -> bool {
    let mut integers = Vec::with_capacity(numbers.len());
    'exponents: for (exponent, power) in POWERS_OF_TEN.iter().enumerate() {
        integers.clear();
        for number in numbers {
            let scaled = number * power;
            if scaled.abs() >= LARGEST_DECIMAL {
                return false;
            }
            let rounded = (scaled + ROUNDING) - ROUNDING;
            if (rounded / power).to_bits() != number.to_bits() {
                continue 'exponents;
            }
            integers.push(rounded as i64);
        }
        out.extend_from_slice(&[DECIMAL, exponent as u8]);
        pack_i64s(out, &integers, pco);
        return true;
    }
    false
}

fn put_constant(out: &mut Vec<u8>, constant: u64) {
    out.push(CONSTANT);
    out.extend_from_slice(&constant.to_le_bytes());
}

fn get_constant(mut reader: ByteReader<'_>) -> Result<u64, Fault> {
    let constant = u64::from_le_bytes(reader.array()?);
    reader.finish()?;
    Ok(constant)
}
