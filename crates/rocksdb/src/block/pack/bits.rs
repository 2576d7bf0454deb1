//! Offsets from a base in as few bits as the largest needs.

use crate::block::bytes::{ByteReader, Fault};

/// Bits that hold numbers up to `largest`; more than 56 count as 64, so that a number never spans nine bytes.
pub(super) fn width_of(largest: u64) -> u32 {
    let width = u64::BITS - largest.leading_zeros();
    if width > 56 { 64 } else { width }
}

/// Bytes after the last number, so that eight bytes can be read wherever a number begins.
const PADDING: usize = 8;

/// Bytes of so many numbers of this width.
pub(super) fn bits_bytes(numbers: usize, width: u32) -> usize {
    (numbers * width as usize).div_ceil(8) + PADDING
}

/// Appends a base, a width, and offsets from the base of which `largest` is the largest.
pub(super) fn put_bits(out: &mut Vec<u8>, base: u64, largest: u64, offsets: impl ExactSizeIterator<Item = u64>) {
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
pub(super) struct Packed<'a> {
    pub(super) base: u64,
    width: u32,
    numbers: usize,
    bits: &'a [u8],
}

impl<'a> Packed<'a> {
    /// Checks that there are as many bits as so many numbers need.
    pub(super) fn read(mut reader: ByteReader<'a>, numbers: usize) -> Result<Self, Fault> {
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

    /// Hands out the offsets, one after another.
    pub(super) fn each(&self, mut take: impl FnMut(u64)) {
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
