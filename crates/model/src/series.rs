//! The identity of a series.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_128;

/// The id of a series: XXH3-128, seed 0, of the series' canonical bytes; shown as 32 hex digits.
///
/// It is the same in every process, store and version; `schemas/` holds vectors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub u128);

impl SeriesId {
    /// The id of the series of `metric` with `dimensions`, which must be sorted by the bytes of their keys.
    #[must_use]
    pub fn of<'a>(metric: &str, dimensions: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut bytes = Vec::with_capacity(128);
        write_canonical_bytes(&mut bytes, metric, dimensions);
        Self::of_canonical_bytes(&bytes)
    }

    /// The id of the series with these canonical bytes.
    #[must_use]
    pub fn of_canonical_bytes(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }
}

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesId({self})")
    }
}

impl FromStr for SeriesId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// Appends the canonical bytes of a series: the metric's name, then each dimension's key and value in byte order of the
/// keys, every string preceded by its length as a LEB128 varint.
pub fn write_canonical_bytes<'a>(
    out: &mut Vec<u8>,
    metric: &str,
    dimensions: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    write_string(out, metric);
    write_canonical_dimensions(out, dimensions);
}

/// Appends the part of the canonical bytes that the dimensions make; it orders the samples of one metric.
pub fn write_canonical_dimensions<'a>(out: &mut Vec<u8>, dimensions: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (key, value) in dimensions {
        write_string(out, key);
        write_string(out, value);
    }
}

fn write_string(out: &mut Vec<u8>, string: &str) {
    let mut rest = string.len();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(string.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn canonical_bytes_are_length_prefixed_strings() {
        let mut bytes = Vec::new();
        let long = "x".repeat(200);
        write_canonical_bytes(&mut bytes, "m", [("a", "1"), ("b", long.as_str())]);
        let mut expected = b"\x01m\x01a\x011\x01b\xc8\x01".to_vec();
        expected.extend_from_slice(long.as_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn id_is_shown_as_32_hex_digits_and_read_back() {
        let id = SeriesId::of("m", []);
        assert_eq!(id.to_string().len(), 32);
        assert_eq!(id.to_string().parse::<SeriesId>().unwrap(), id);
        assert_eq!(SeriesId(1).to_string(), "00000000000000000000000000000001");
    }

    #[test]
    fn neighbouring_strings_do_not_run_into_each_other() {
        assert_ne!(SeriesId::of("m", [("a", "bc")]), SeriesId::of("m", [("ab", "c")]));
    }
}
