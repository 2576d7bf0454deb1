//! Columns of numbers as bytes. The number of numbers is known to both sides and not repeated here, so that no count
//! that stands in the bytes decides how much memory is taken.
//!
//! A column is one byte that says how, then: a constant; the differences from the smallest in as few bits as the largest
//! needs; decimal fractions as such integers; `pco`; or the bytes as they are.

use pco::metadata::DeltaEncoding;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::bytes::{ByteReader, Fault};

/// How much work packing may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// For blocks that live for minutes.
    Quick,
    /// For blocks that stay.
    Thorough,
}

const CONSTANT: u8 = 0;
const BITS: u8 = 1;
const DECIMAL: u8 = 2;
const PCO: u8 = 3;
const RAW: u8 = 4;

/// Below this many numbers the header of `pco` is more than it saves.
const PCO_FEWEST: usize = 24;
const PCO_LEVEL: usize = 4;
/// References wider than this are those of a key with thousands of values, in the order of hashes: `pco` saves nothing.
const PCO_WIDEST_REFERENCE: u32 = 12;
const POWERS_OF_TEN: [f64; 7] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];
/// Below this magnitude a product rounds to an integer by adding and subtracting [`ROUNDING`].
const LARGEST_DECIMAL: f64 = (1_u64 << 51) as f64;
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// Appends a column of `u32`.
pub(super) fn pack_u32s(out: &mut Vec<u8>, numbers: &[u32], effort: Effort) {
    let smallest = numbers.iter().copied().min().unwrap_or_default();
    let largest = numbers.iter().copied().max().unwrap_or_default();
    if smallest == largest {
        return put_constant(out, u64::from(smallest));
    }
    let start = out.len();
    let width = width_of(u64::from(largest - smallest));
    if effort == Effort::Thorough && numbers.len() >= PCO_FEWEST && width <= PCO_WIDEST_REFERENCE {
        let packed_bytes = bits_bytes(numbers.len(), width);
        let config = ChunkConfig::default().with_mode_spec(ModeSpec::Classic).with_delta_spec(DeltaSpec::NoOp);
        // Unpacking bits is several times as fast: what `pco` saves must be worth it.
        if put_pco(out, numbers, config) && out.len() - start < packed_bytes - packed_bytes / 16 {
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
            let constant = u32::try_from(get_constant(reader)?).map_err(|_| "a number is too large")?;
            out.resize(numbers, constant);
            Ok(())
        }
        BITS => {
            let packed = Packed::read(reader, numbers)?;
            if packed.largest().is_none_or(|largest| largest > u64::from(u32::MAX)) {
                return Err("a number is too large");
            }
            let base = packed.base as u32;
            out.reserve(numbers);
            packed.each(|offset| out.push(base.wrapping_add(offset as u32)));
            Ok(())
        }
        PCO => get_pco(reader.rest(), numbers, 0, out),
        _ => Err("a column is packed in an unknown way"),
    }
}

/// Appends a column of `i64`. `ascends` says that most numbers follow a smaller one that is near.
pub(super) fn pack_i64s(out: &mut Vec<u8>, numbers: &[i64], ascends: bool, effort: Effort) {
    let smallest = numbers.iter().copied().min().unwrap_or_default();
    let largest = numbers.iter().copied().max().unwrap_or_default();
    if smallest == largest {
        return put_constant(out, smallest as u64);
    }
    let start = out.len();
    let span = largest.wrapping_sub(smallest) as u64;
    let packed_bytes = bits_bytes(numbers.len(), width_of(span));
    if effort == Effort::Thorough && numbers.len() >= PCO_FEWEST {
        let delta = if ascends { DeltaSpec::TryConsecutive(1) } else { DeltaSpec::NoOp };
        if put_pco(out, numbers, ChunkConfig::default().with_delta_spec(delta)) && out.len() - start < packed_bytes {
            return;
        }
        out.truncate(start);
    }
    out.push(BITS);
    // Differences wrap: also the span from the least to the greatest number fits 64 bits.
    put_bits(out, smallest as u64, span, numbers.iter().map(|number| number.wrapping_sub(smallest) as u64));
}

/// Reads a column of `numbers` `i64`, which replaces what `out` holds.
pub(super) fn unpack_i64s(bytes: &[u8], numbers: usize, out: &mut Vec<i64>) -> Result<(), Fault> {
    let mut reader = ByteReader::new(bytes);
    out.clear();
    match reader.byte()? {
        CONSTANT => {
            out.resize(numbers, get_constant(reader)? as i64);
            Ok(())
        }
        BITS => {
            let packed = Packed::read(reader, numbers)?;
            let base = packed.base as i64;
            out.reserve(numbers);
            packed.each(|offset| out.push(base.wrapping_add(offset as i64)));
            Ok(())
        }
        PCO => get_pco(reader.rest(), numbers, 0, out),
        _ => Err("a column is packed in an unknown way"),
    }
}

/// Appends a column of `f64`; every bit of every number comes back.
pub(super) fn pack_f64s(out: &mut Vec<u8>, numbers: &[f64], effort: Effort) {
    let first = numbers.first().copied().unwrap_or_default().to_bits();
    if numbers.iter().all(|number| number.to_bits() == first) {
        return put_constant(out, first);
    }
    let start = out.len();
    if effort == Effort::Thorough && numbers.len() >= PCO_FEWEST {
        let delta = if neighbours_are_near(numbers) { DeltaSpec::TryConsecutive(1) } else { DeltaSpec::NoOp };
        let config = ChunkConfig::default().with_delta_spec(delta);
        if put_pco(out, numbers, config) && out.len() - start < numbers.len() * 8 {
            return;
        }
        out.truncate(start);
    } else if put_decimals(out, numbers) {
        return;
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
            let packed = Packed::read(reader, numbers)?;
            let base = packed.base as i64;
            out.reserve(numbers);
            packed.each(|offset| out.push(base.wrapping_add(offset as i64) as f64 / power));
            Ok(())
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
        _ => Err("a column is packed in an unknown way"),
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
fn put_decimals(out: &mut Vec<u8>, numbers: &[f64]) -> bool {
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
        let smallest = integers.iter().copied().min().unwrap_or_default();
        let largest = integers.iter().copied().max().unwrap_or_default();
        out.extend_from_slice(&[DECIMAL, exponent as u8]);
        let offsets = integers.iter().map(|integer| (integer - smallest) as u64);
        put_bits(out, smallest as u64, (largest - smallest) as u64, offsets);
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

/// Bits that hold numbers up to `largest`; more than 56 count as 64, so that a number never spans nine bytes.
fn width_of(largest: u64) -> u32 {
    let width = u64::BITS - largest.leading_zeros();
    if width > 56 { 64 } else { width }
}

/// Bytes after the last number, so that eight bytes can be read wherever a number begins.
const PADDING: usize = 8;

fn bits_bytes(numbers: usize, width: u32) -> usize {
    (numbers * width as usize).div_ceil(8) + PADDING
}

/// Appends a base, a width, and offsets from the base of which `largest` is the largest.
fn put_bits(out: &mut Vec<u8>, base: u64, largest: u64, offsets: impl ExactSizeIterator<Item = u64>) {
    let width = width_of(largest);
    out.extend_from_slice(&base.to_le_bytes());
    out.push(width as u8);
    let end = out.len() + bits_bytes(offsets.len(), width);
    out.reserve(end - out.len());
    if width == 64 {
        for offset in offsets {
            out.extend_from_slice(&offset.to_le_bytes());
        }
    } else {
        let (mut word, mut filled) = (0_u64, 0_u32);
        for offset in offsets {
            word |= offset << filled;
            filled += width;
            if filled >= 64 {
                out.extend_from_slice(&word.to_le_bytes());
                filled -= 64;
                // The bits that did not fit; none where the offset ended with the word.
                word = if filled == 0 { 0 } else { offset >> (width - filled) };
            }
        }
        if filled > 0 {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
    out.resize(end, 0);
}

/// What [`put_bits`] wrote.
struct Packed<'a> {
    base: u64,
    width: u32,
    numbers: usize,
    bits: &'a [u8],
}

impl<'a> Packed<'a> {
    fn read(mut reader: ByteReader<'a>, numbers: usize) -> Result<Self, Fault> {
        let base = u64::from_le_bytes(reader.array()?);
        let width = u32::from(reader.byte()?);
        let bits = reader.rest();
        let known = width <= 56 || width == 64;
        if known && bits.len() == bits_bytes(numbers, width) {
            Ok(Self { base, width, numbers, bits })
        } else {
            Err("a column has another length")
        }
    }

    /// The largest number that the width allows, base included; `None` beyond 64 bits.
    fn largest(&self) -> Option<u64> {
        let mask = if self.width == 64 { u64::MAX } else { (1 << self.width) - 1 };
        self.base.checked_add(mask)
    }

    fn each(&self, mut take: impl FnMut(u64)) {
        if self.width == 64 {
            let (words, _) = self.bits.as_chunks::<8>();
            return words.iter().take(self.numbers).for_each(|word| take(u64::from_le_bytes(*word)));
        }
        let mask = (1_u64 << self.width) - 1;
        let mut bit = 0_usize;
        for _ in 0..self.numbers {
            let word = self.bits.get(bit >> 3..).and_then(|bytes| bytes.first_chunk::<8>());
            let word = word.map_or(0, |word| u64::from_le_bytes(*word));
            take((word >> (bit & 7)) & mask);
            bit += self.width as usize;
        }
    }
}

/// Appends numbers packed by `pco`; false where it refuses.
fn put_pco<T: pco::data_types::Number>(out: &mut Vec<u8>, numbers: &[T], config: ChunkConfig) -> bool {
    let config = config.with_compression_level(PCO_LEVEL);
    out.push(PCO);
    let file = FileCompressor::default();
    let mut write = || {
        file.write_header(&mut *out)?;
        let mut chunk = file.chunk_compressor(numbers, &config)?;
        chunk.write_meta(&mut *out)?;
        chunk.write_page(0, &mut *out).map(|_| ())
    };
    write().is_ok()
}

/// Reads what [`put_pco`] wrote. `filler` is any number.
fn get_pco<T: pco::data_types::Number>(bytes: &[u8], numbers: usize, filler: T, out: &mut Vec<T>) -> Result<(), Fault> {
    const FAULT: Fault = "a column does not unpack";
    let (file, rest) = FileDecompressor::new(bytes).map_err(|_| FAULT)?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(|_| FAULT)?;
    // Others are never written; a lookback would let bytes ask for a window of any size.
    if !matches!(chunk.meta().delta_encoding, DeltaEncoding::NoOp | DeltaEncoding::Consecutive { .. }) {
        return Err(FAULT);
    }
    out.resize(numbers, filler);
    let mut page = chunk.page_decompressor(rest, numbers).map_err(|_| FAULT)?;
    let progress = page.read(out).map_err(|_| FAULT)?;
    if progress.n_processed == numbers && progress.finished && page.into_src().is_empty() { Ok(()) } else { Err(FAULT) }
}
