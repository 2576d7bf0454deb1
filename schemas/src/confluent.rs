//! The wire format of producers with a schema registry: a zero byte, the number under which the registry keeps the writer's
//! schema, then the value.

use crate::error::DecodeError;

/// The byte by which such a value begins.
pub const MAGIC: u8 = 0;

/// Size of magic byte and number in bytes.
pub const HEADER_BYTES: usize = 5;

/// The header of a value that is written with the schema that the registry keeps under `id` (big endian).
#[must_use]
pub const fn header(id: u32) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = id.to_be_bytes();
    [MAGIC, a, b, c, d]
}

/// The number of the writer's schema, and the value behind it.
///
/// # Errors
/// [`DecodeError::NoSchema`] where magic byte or number are not there.
pub fn split(bytes: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    let rest = bytes.strip_prefix(&[MAGIC]).ok_or(DecodeError::NoSchema)?;
    let (id, value) = rest.split_first_chunk::<4>().ok_or(DecodeError::NoSchema)?;
    Ok((u32::from_be_bytes(*id), value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn header_is_read_back() {
        let mut bytes = header(0x0102_0304).to_vec();
        bytes.push(9);
        assert_eq!(bytes, [0, 1, 2, 3, 4, 9]);
        assert_eq!(split(&bytes).unwrap(), (0x0102_0304, &[9_u8][..]));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [&b""[..], b"\0", b"\0abc", b"\x01abcd", b"\xc3\x01aaaaaaaa"] {
            assert_eq!(split(bad), Err(DecodeError::NoSchema), "{bad:?}");
        }
    }
}
