//! ClickHouse's format `RowBinary`: values one after another, numbers in little endian, lengths as LEB128.

use luminate_storage::StorageError;

/// Reads values from bytes. A failed read moves nothing.
pub(super) struct RowBinary<'b> {
    rest: &'b [u8],
}

/// The bytes end within a value, or are none of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The value may go on in bytes that are still to come.
    Incomplete,
    /// No more bytes can mend it.
    Invalid,
}

impl From<Unreadable> for StorageError {
    fn from(_: Unreadable) -> Self {
        Self::Damaged("ClickHouse answered what cannot be read as RowBinary".to_owned())
    }
}

impl<'b> RowBinary<'b> {
    pub(super) const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is not read yet.
    pub(super) const fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// An `Int64` or `UInt64` below 2^63.
    pub(super) fn integer(&mut self) -> Result<i64, Unreadable> {
        self.array().map(i64::from_le_bytes)
    }

    /// A `Float64`.
    pub(super) fn number(&mut self) -> Result<f64, Unreadable> {
        self.array().map(f64::from_le_bytes)
    }

    /// The length of an `Array` or `Map`.
    pub(super) fn length(&mut self) -> Result<usize, Unreadable> {
        let (length, rest) = length(self.rest)?;
        self.rest = rest;
        Ok(length)
    }

    /// A `String`.
    pub(super) fn text(&mut self) -> Result<&'b str, Unreadable> {
        let (length, rest) = length(self.rest)?;
        let (text, rest) = rest.split_at_checked(length).ok_or(Unreadable::Incomplete)?;
        let text = std::str::from_utf8(text).map_err(|_| Unreadable::Invalid)?;
        self.rest = rest;
        Ok(text)
    }

    fn array(&mut self) -> Result<[u8; 8], Unreadable> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(Unreadable::Incomplete)?;
        self.rest = rest;
        Ok(*array)
    }
}

fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Unreadable> {
    let mut length = 0_u64;
    for (at, byte) in bytes.iter().enumerate() {
        // Nothing that is sent here is longer than 2^35 bytes.
        if at == 5 {
            return Err(Unreadable::Invalid);
        }
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((length as usize, bytes.get(at + 1..).unwrap_or_default()));
        }
    }
    Err(Unreadable::Incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_turn() {
        let mut bytes = (-5_i64).to_le_bytes().to_vec();
        bytes.extend(1.5_f64.to_le_bytes());
        bytes.extend([2, 3]);
        bytes.extend("ä1".as_bytes());
        let mut rows = RowBinary::new(&bytes);
        assert_eq!((rows.integer(), rows.number()), (Ok(-5), Ok(1.5)));
        assert_eq!((rows.length(), rows.text()), (Ok(2), Ok("ä1")));
        assert!(rows.is_at_end());
        assert_eq!(rows.integer(), Err(Unreadable::Incomplete));
    }

    #[test]
    fn what_is_incomplete_or_invalid_is_told() {
        assert_eq!(RowBinary::new(&[3, b'a']).text(), Err(Unreadable::Incomplete));
        assert_eq!(RowBinary::new(&[0x80]).length(), Err(Unreadable::Incomplete));
        assert_eq!(RowBinary::new(&[0x80, 1]).length(), Ok(128));
        assert_eq!(RowBinary::new(&[0xff; 9]).length(), Err(Unreadable::Invalid));
        assert_eq!(RowBinary::new(&[1, 0xff]).text(), Err(Unreadable::Invalid));
    }
}
