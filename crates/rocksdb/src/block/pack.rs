//! Columns of numbers as bytes. The number of numbers is known to both sides and not repeated here, so that no count
//! that stands in the bytes decides how much memory is taken.
//!
//! A column is one byte that says how, then: a constant; the differences from the smallest in as few bits as the largest
//! needs, or in 32 bits as a column of their own; decimal fractions as integers; `pco`; or the bytes as they are.

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

/// What `pco` is asked to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pco {
    /// Nothing: it would save little.
    Nothing,
    /// The numbers themselves.
    Numbers,
    /// Differences from one number to the next.
    Differences,
}

impl Pco {
    fn config(self) -> ChunkConfig {
        let delta = if self == Self::Differences { DeltaSpec::TryConsecutive(1) } else { DeltaSpec::NoOp };
        ChunkConfig::default().with_compression_level(PCO_LEVEL).with_delta_spec(delta)
    }
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
const PCO_LEVEL: usize = 4;
/// Where `pco` says in what mode a column is, and the mode that is a dictionary.
const PCO_MODE_BITS: u8 = 0x0f;
const PCO_DICTIONARY: u8 = 4;
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
        let config = pco.config().with_mode_spec(ModeSpec::Classic);
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
fn put_pco<T: pco::data_types::Number>(out: &mut Vec<u8>, numbers: &[T], config: &ChunkConfig) -> bool {
    out.push(PCO);
    let file = FileCompressor::default();
    let mut write = || {
        file.write_header(&mut *out)?;
        let mut chunk = file.chunk_compressor(numbers, config)?;
        chunk.write_meta(&mut *out)?;
        chunk.write_page(0, &mut *out).map(|_| ())
    };
    write().is_ok()
}

/// Reads what [`put_pco`] wrote. `filler` is any number.
fn get_pco<T: pco::data_types::Number>(bytes: &[u8], numbers: usize, filler: T, out: &mut Vec<T>) -> Result<(), Fault> {
    const FAULT: Fault = "a column does not unpack";
    let (file, rest) = FileDecompressor::new(bytes).map_err(|_| FAULT)?;
    // The mode stands first, and one of them is a dictionary, for which memory is taken by a length in the bytes.
    if rest.first().is_none_or(|first| first & PCO_MODE_BITS == PCO_DICTIONARY) {
        return Err(FAULT);
    }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EFFORTS: [Effort; 2] = [Effort::Quick, Effort::Thorough];

    const PCOS: [Pco; 3] = [Pco::Nothing, Pco::Numbers, Pco::Differences];

    fn packed_u32s(numbers: &[u32], pco: Pco) -> Vec<u8> {
        let mut out = Vec::new();
        pack_u32s(&mut out, numbers, pco);
        out
    }

    fn packed_i64s(numbers: &[i64], pco: Pco) -> Vec<u8> {
        let mut out = Vec::new();
        pack_i64s(&mut out, numbers, pco);
        out
    }

    fn packed_f64s(numbers: &[f64], effort: Effort) -> Vec<u8> {
        let mut out = Vec::new();
        pack_f64s(&mut out, numbers, effort);
        out
    }

    /// Some numbers of as many bits as `bits` says, from a base.
    fn numbers() -> impl Strategy<Value = Vec<u64>> {
        (0_u32..65, any::<u64>()).prop_flat_map(|(bits, base)| {
            let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
            prop::collection::vec(any::<u64>().prop_map(move |n| base.wrapping_add(n & mask)), 0..300)
        })
    }

    proptest! {
         #![proptest_config(crate::block::seeded_proptest())]

        #[test]
        fn numbers_come_back(numbers in numbers()) {
            let of_32: Vec<u32> = numbers.iter().map(|n| *n as u32).collect();
            let of_64: Vec<i64> = numbers.iter().map(|n| *n as i64).collect();
            for pco in PCOS {
                let mut out = vec![7];
                unpack_u32s(&packed_u32s(&of_32, pco), of_32.len(), &mut out).unwrap();
                prop_assert_eq!(&out, &of_32);
                let mut out = vec![7];
                unpack_i64s(&packed_i64s(&of_64, pco), of_64.len(), &mut out).unwrap();
                prop_assert_eq!(&out, &of_64);
            }
        }

        #[test]
        fn every_bit_of_a_float_comes_back(
            any_bits in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 0..100),
            decimals in prop::collection::vec((-100_000_i64..100_000).prop_map(|n| n as f64 / 100.0), 0..200),
            special in prop::sample::subsequence(vec![0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 1e15 + 0.5, 0.1 + 0.2], 0..6),
        ) {
            for numbers in [any_bits.clone(), decimals.clone(), [decimals, special, any_bits].concat()] {
                for effort in EFFORTS {
                    let mut out = vec![7.0];
                    unpack_f64s(&packed_f64s(&numbers, effort), numbers.len(), &mut out).unwrap();
                    prop_assert!(out.iter().map(|n| n.to_bits()).eq(numbers.iter().map(|n| n.to_bits())));
                }
            }
        }

        #[test]
        fn spoilt_columns_are_read_or_refused(
            seed in prop::collection::vec(0_u32..5_000, 24..400),
            spoils in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            pco in prop::sample::select(PCOS.to_vec()),
            other_length in 0_usize..1_000,
        ) {
            let of_64: Vec<i64> = seed.iter().scan(0, |sum, n| { *sum += i64::from(*n); Some(*sum) }).collect();
            let wide: Vec<i64> = of_64.iter().map(|n| n * 1_000_003).collect();
            let decimals: Vec<f64> = seed.iter().map(|n| f64::from(*n) / 10.0).collect();
            let thirds: Vec<f64> = seed.iter().map(|n| f64::from(*n) / 3.0).collect();
            let columns = [
                packed_u32s(&seed, pco),
                packed_i64s(&of_64, pco),
                packed_i64s(&wide, pco),
                packed_f64s(&decimals, Effort::Thorough),
                packed_f64s(&thirds, Effort::Thorough),
            ];
            for mut bytes in columns {
                for (at, with) in &spoils {
                    let at = at.index(bytes.len());
                    bytes[at] = *with;
                }
                for length in [seed.len(), other_length] {
                    let _ = unpack_u32s(&bytes, length, &mut Vec::new());
                    let _ = unpack_i64s(&bytes, length, &mut Vec::new());
                    let _ = unpack_f64s(&bytes, length, &mut Vec::new());
                }
            }
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused(
            how in 0_u8..6,
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            length in 0_usize..100,
        ) {
            let bytes = [vec![how], bytes].concat();
            let _ = unpack_u32s(&bytes, length, &mut Vec::new());
            let _ = unpack_i64s(&bytes, length, &mut Vec::new());
            let _ = unpack_f64s(&bytes, length, &mut Vec::new());
        }
    }

    #[test]
    fn each_way_of_packing_is_used_where_it_pays() {
        let how = |bytes: &[u8]| bytes[0];
        let few: Vec<u32> = (0..1_000).map(|n| n % 7 * (n % 3)).collect();
        let ascending: Vec<i64> = (0..1_000).map(|n| n * 15_000 + n % 3).collect();
        let wide: Vec<i64> = ascending.iter().map(|n| n * 1_000_000).collect();
        let decimals: Vec<f64> = (0..1_000).map(|n| f64::from(n * 7 % 500) / 10.0).collect();
        let counter: Vec<f64> = (0..1_000).map(|n| f64::from(n * 700 + n % 3)).collect();
        let thirds: Vec<f64> = (0..1_000).map(|n| f64::from(n) / 3.0).collect();
        assert_eq!(how(&packed_u32s(&[5; 9], Pco::Nothing)), CONSTANT);
        assert_eq!(how(&packed_u32s(&few, Pco::Nothing)), BITS);
        assert_eq!(how(&packed_u32s(&few, Pco::Numbers)), PCO);
        assert_eq!(how(&packed_i64s(&ascending, Pco::Nothing)), BITS);
        assert_eq!(how(&packed_i64s(&ascending, Pco::Differences)), OFFSETS);
        assert_eq!(how(&packed_i64s(&wide, Pco::Differences)), PCO);
        assert_eq!(how(&packed_f64s(&decimals, Effort::Quick)), DECIMAL);
        assert_eq!(how(&packed_f64s(&decimals, Effort::Thorough)), DECIMAL);
        assert_eq!(how(&packed_f64s(&thirds, Effort::Quick)), RAW);
        assert_eq!(how(&packed_f64s(&thirds, Effort::Thorough)), PCO);
        assert!(packed_i64s(&ascending, Pco::Differences).len() < 500);
        assert!(packed_f64s(&decimals, Effort::Thorough).len() < 1_300);
        assert!(packed_f64s(&counter, Effort::Thorough).len() < 500);
    }

    /// `pco` takes memory for a dictionary by a length that stands in the bytes; none is ever written.
    #[test]
    fn a_dictionary_in_pco_is_refused_before_it_is_read() {
        let numbers: Vec<u32> = (0..1_000).map(|n| n % 5 * 1_000_003).collect();
        let mut bytes = Vec::new();
        assert!(put_pco(&mut bytes, &numbers, &ChunkConfig::default().with_mode_spec(ModeSpec::TryDict)));
        let mut out = Vec::new();
        assert!(unpack_u32s(&bytes, numbers.len(), &mut out).is_err());
        assert!(out.is_empty());
    }
}
