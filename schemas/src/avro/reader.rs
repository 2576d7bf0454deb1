//! Reading Avro's binary encoding from bytes that may be anything.

use crate::error::DecodeError;

/// A place in bytes. No count found in them is believed further than the bytes that are left could hold, so what is
/// allocated stays within a small multiple of the input's size.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Size of everything, to tell where a fault is.
    end: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, end: bytes.len() }
    }

    /// What is not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// A fault at the place that was reached.
    pub(crate) fn fault(&self, fault: &'static str) -> DecodeError {
        DecodeError::Malformed { fault, at: self.end - self.rest.len() }
    }

    /// Everything must have been read.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.fault("bytes after the end")) }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, DecodeError> {
        if let [low, rest @ ..] = self.rest
            && *low < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(*low));
        }
        if let [low, high, rest @ ..] = self.rest
            && *high < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7);
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (at, &byte) in self.rest.iter().enumerate().take(10) {
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit of 64.
            if at == 9 && part > 1 {
                return Err(self.fault("a number of more than 64 bits"));
            }
            value |= part << (7 * at);
            if byte < 0x80 {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(self.fault("a number without an end"))
    }

    /// A `long`, or an `int` where the caller checks its range.
    #[inline]
    pub(crate) fn long(&mut self) -> Result<i64, DecodeError> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    /// An `int` that counts or points: from 0 to 2^31 - 1.
    #[inline(always)]
    pub(crate) fn index(&mut self) -> Result<u32, DecodeError> {
        let zigzag = self.varint()?;
        // Odd is negative in zigzag.
        if zigzag & 1 == 0 && zigzag <= u64::from(u32::MAX) {
            Ok((zigzag >> 1) as u32)
        } else {
            Err(self.fault("a negative index, or one of more than 31 bits"))
        }
    }

    /// A `double`.
    #[inline]
    pub(crate) fn double(&mut self) -> Result<f64, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(|| self.fault("a double cut short"))?;
        self.rest = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    /// A `string`.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Result<&'a str, DecodeError> {
        let size = self.long()?;
        let split = usize::try_from(size).ok().and_then(|size| self.rest.split_at_checked(size));
        let Some((text, rest)) = split else {
            return Err(self.fault("a string longer than what is left"));
        };
        let text = std::str::from_utf8(text).map_err(|_| self.fault("a string that is not UTF-8"))?;
        self.rest = rest;
        Ok(text)
    }

    /// The number of items in an array's next block, 0 at its end. `item_bytes` is the smallest size of an item.
    pub(crate) fn block(&mut self, item_bytes: usize) -> Result<usize, DecodeError> {
        let mut items = self.long()?;
        if items < 0 {
            // A negative count is followed by the block's size, for readers that skip.
            let size = self.long()?;
            if usize::try_from(size).ok().is_none_or(|size| size > self.rest.len()) {
                return Err(self.fault("a block larger than what is left"));
            }
            items = items.checked_neg().ok_or_else(|| self.fault("a block of too many items"))?;
        }
        let items = usize::try_from(items).unwrap_or(usize::MAX);
        if items > self.rest.len() / item_bytes.max(1) {
            return Err(self.fault("a block of more items than what is left can hold"));
        }
        Ok(items)
    }

    /// An array of `int`s that count or point.
    pub(crate) fn indexes(&mut self) -> Result<Vec<u32>, DecodeError> {
        let mut indexes = Vec::new();
        loop {
            let items = self.block(1)?;
            if items == 0 {
                return Ok(indexes);
            }
            indexes.reserve(items);
            for _ in 0..items {
                indexes.push(self.index()?);
            }
        }
    }

    /// An array of `double`s.
    pub(crate) fn doubles(&mut self) -> Result<Vec<f64>, DecodeError> {
        let mut doubles = Vec::new();
        loop {
            let items = self.block(size_of::<f64>())?;
            if items == 0 {
                return Ok(doubles);
            }
            // `block` has seen that there are as many bytes.
            let (block, rest) = self.rest.split_at_checked(items * size_of::<f64>()).unwrap_or_default();
            doubles.extend(block.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            self.rest = rest;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::avro::write_long;

    #[test]
    fn longs_of_every_size_are_read_back() {
        let numbers =
            (0..64).flat_map(|bit| [1_i64 << bit, (1_i64 << bit).wrapping_sub(1), (1_i64 << bit).wrapping_neg()]);
        for number in numbers.chain([0, i64::MIN, i64::MAX]) {
            let mut bytes = Vec::new();
            write_long(&mut bytes, number);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.long().unwrap(), number);
            reader.finish().unwrap();
            for cut in 0..bytes.len() {
                assert!(Reader::new(&bytes[..cut]).long().is_err(), "{number} cut to {cut} bytes");
            }
        }
    }

    #[test]
    fn faults_tell_their_place() {
        let fault = |fault, at| DecodeError::Malformed { fault, at };
        assert_eq!(Reader::new(&[0xff; 20]).long(), Err(fault("a number of more than 64 bits", 0)));
        assert_eq!(Reader::new(&[1]).index(), Err(fault("a negative index, or one of more than 31 bits", 1)));
        assert_eq!(Reader::new(&[8, b'a']).string(), Err(fault("a string longer than what is left", 1)));
        assert_eq!(Reader::new(&[2, 0xff]).string(), Err(fault("a string that is not UTF-8", 1)));
        assert_eq!(Reader::new(&[0]).finish(), Err(fault("bytes after the end", 0)));
        let mut huge = Vec::new();
        write_long(&mut huge, i64::MAX);
        assert_eq!(Reader::new(&huge).indexes(), Err(fault("a block of more items than what is left can hold", 10)));
        assert_eq!(Reader::new(&huge).doubles(), Err(fault("a block of more items than what is left can hold", 10)));
    }

    #[test]
    fn arrays_may_come_in_several_blocks_with_or_without_sizes() {
        // Two items, then two items in a block of a stated size (2 bytes), then the end.
        let bytes = [4, 2, 4, 3, 4, 6, 8, 0];
        assert_eq!(Reader::new(&bytes).indexes().unwrap(), [1, 2, 3, 4]);
        assert!(Reader::new(&[3, 200, 1, 6, 8, 0]).indexes().is_err());
    }
}
