//! Avro's single-object encoding: two marker bytes, the fingerprint of the writer's schema, then the value.

use crate::error::DecodeError;

/// The bytes by which a single-object encoded value begins.
pub const MARKER: [u8; 2] = [0xc3, 0x01];

/// Size of marker and fingerprint in bytes.
pub const HEADER_BYTES: usize = 10;

/// The header of a value that is written with the schema of this fingerprint (CRC-64-AVRO, little endian).
#[must_use]
pub const fn header(fingerprint: u64) -> [u8; HEADER_BYTES] {
    let [a, b, c, d, e, f, g, h] = fingerprint.to_le_bytes();
    [MARKER[0], MARKER[1], a, b, c, d, e, f, g, h]
}

/// The fingerprint of the writer's schema, and the value behind it.
///
/// # Errors
/// [`DecodeError::NoSchema`] where the marker or the fingerprint is not there.
pub fn split(bytes: &[u8]) -> Result<(u64, &[u8]), DecodeError> {
    let rest = bytes.strip_prefix(&MARKER).ok_or(DecodeError::NoSchema)?;
    let (fingerprint, value) = rest.split_first_chunk::<8>().ok_or(DecodeError::NoSchema)?;
    Ok((u64::from_le_bytes(*fingerprint), value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn header_is_read_back() {
        let mut bytes = header(0x0102_0304_0506_0708).to_vec();
        bytes.push(9);
        assert_eq!(bytes[..3], [0xc3, 0x01, 0x08]);
        assert_eq!(split(&bytes).unwrap(), (0x0102_0304_0506_0708, &[9_u8][..]));
    }

    #[test]
    fn anything_else_is_no_single_object() {
        for bad in [&b""[..], b"\xc3", b"\xc3\x02aaaaaaaa", b"\xc3\x01aaaaaaa", b"\x00\x00\x00\x00\x01aaaaaaaa"] {
            assert_eq!(split(bad), Err(DecodeError::NoSchema), "{bad:?}");
        }
    }
}
