//! Small integers and strings of summaries and index pages, as bytes.

/// What does not fit in bytes that should be an encoder's.
pub(super) type Fault = &'static str;

const CUT_SHORT: Fault = "it ends too early";

/// Appends a LEB128 varint.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number as a zigzag varint.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends bytes after their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes bytes apart from the front; asked for more than there is, it answers with a fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, bytes: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(CUT_SHORT)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number is too long")
    }

    /// A number that is at most `most`.
    pub(super) fn varint_up_to(&mut self, most: u64) -> Result<u64, Fault> {
        let value = self.varint()?;
        if value <= most { Ok(value) } else { Err("a number is too large") }
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.varint_up_to(u64::from(u32::MAX)).map(|value| value as u32)
    }

    pub(super) fn signed(&mut self) -> Result<i64, Fault> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// An index into something of `len` elements.
    pub(super) fn index(&mut self, len: usize) -> Result<usize, Fault> {
        let value = self.varint()?;
        if value < len as u64 { Ok(value as usize) } else { Err("an index is out of range") }
    }

    /// The number of things that follow, each of which takes at least one byte: so no count can ask for more memory than
    /// the bytes at hand allow.
    pub(super) fn count(&mut self) -> Result<usize, Fault> {
        let value = self.varint()?;
        if value <= self.rest.len() as u64 { Ok(value as usize) } else { Err(CUT_SHORT) }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let len = self.count()?;
        self.take(len)
    }

    pub(super) fn string(&mut self) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a string is not UTF-8")
    }

    /// Fails where something is left.
    pub(super) fn finish(self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err("it goes on after its end") }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
         #![proptest_config(crate::block::seeded_proptest())]

        #[test]
        fn numbers_and_strings_come_back(number: u64, signed: i64, text in ".{0,20}") {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            put_signed(&mut out, signed);
            put_bytes(&mut out, text.as_bytes());
            let mut reader = ByteReader::new(&out);
            prop_assert_eq!(reader.varint().unwrap(), number);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(reader.string().unwrap(), text);
            reader.finish().unwrap();
            let mut cut = ByteReader::new(&out[..out.len() - 1]);
            let read = (|| { cut.varint()?; cut.signed()?; cut.string().map(|_| ()) })();
            prop_assert!(read.is_err());
        }
    }

    #[test]
    fn numbers_beyond_64_bits_and_counts_beyond_the_bytes_are_refused() {
        assert!(ByteReader::new(&[0xff; 9]).varint().is_err());
        assert!(ByteReader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint().is_err());
        assert!(ByteReader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).varint().is_ok());
        assert!(ByteReader::new(&[3, 1, 1]).count().is_err());
        assert!(ByteReader::new(&[3, 1, 1, 1]).count().is_ok());
    }
}
