//! Where a page of raw samples ended: the last sample's place in the order, and how many samples equal to it were shown.
//!
//! A cursor travels as base64url and is bound to the request that it was given out for. It is not secret and proves
//! nothing: whose samples are shown is decided by the token alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use luminate_model::TenantId;
use luminate_model::time::{END_TIMESTAMP, MIN_TIMESTAMP};
use luminate_storage::DimensionTest;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::QueryError;
use crate::request::{QueryRequest, RequestedTime};

const VERSION: u8 = 1;

/// A place in the order of raw samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// Timestamp of the last sample shown, ms since 1970.
    pub timestamp: i64,
    /// Canonical bytes of its dimensions.
    pub dimensions: Vec<u8>,
    /// Its value.
    pub value: f64,
    /// How many samples that equal it in all three were shown, itself included.
    pub shown: u64,
}

/// What a page hands to the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor {
    /// What it is bound to: [`fingerprint`] of the request.
    pub fingerprint: u64,
    /// The end of the time range of the first page, ms since 1970.
    pub end: i64,
    /// Where the page ended.
    pub position: Position,
}

impl Cursor {
    /// The text that travels.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.fingerprint.to_be_bytes());
        bytes.extend_from_slice(&self.end.to_be_bytes());
        bytes.extend_from_slice(&self.position.timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.position.value.to_bits().to_be_bytes());
        bytes.extend_from_slice(&self.position.shown.to_be_bytes());
        bytes.extend_from_slice(&self.position.dimensions);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor that was given out for the request with this fingerprint.
    ///
    /// # Errors
    /// [`QueryError::CursorInvalid`]
    pub fn decode(text: &str, fingerprint: u64) -> Result<Self, QueryError> {
        let cursor = Self::read(text).ok_or(QueryError::CursorInvalid("it is malformed"))?;
        if cursor.fingerprint != fingerprint {
            return Err(QueryError::CursorInvalid("it belongs to another request"));
        }
        Ok(cursor)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (&version, mut rest) = bytes.split_first()?;
        let mut number = || -> Option<u64> {
            let (number, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            Some(u64::from_be_bytes(*number))
        };
        let fingerprint = number()?;
        let (end, timestamp) = (number()?.cast_signed(), number()?.cast_signed());
        let (value, shown) = (f64::from_bits(number()?), number()?);
        let sound = version == VERSION && timestamp >= MIN_TIMESTAMP && timestamp < end && end <= END_TIMESTAMP;
        let position = Position { timestamp, dimensions: rest.to_vec(), value, shown };
        (sound && value.is_finite() && shown > 0).then_some(Self { fingerprint, end, position })
    }
}

/// What the cursors of a request are bound to: a hash of the tenant and of everything in the request that decides which
/// samples it shows; its limit may change from page to page.
#[must_use]
pub fn fingerprint(request: &QueryRequest, tenant: &TenantId) -> u64 {
    let mut bytes = Vec::new();
    write(&mut bytes, tenant.as_str());
    write(&mut bytes, &request.metric);
    match request.time {
        RequestedTime::Relative(duration) => write(&mut bytes, &format!("last {duration}")),
        RequestedTime::Absolute { start, end } => write(&mut bytes, &format!("{start} to {end:?}")),
    }
    for filter in &request.filters {
        write(&mut bytes, &filter.key);
        write_test(&mut bytes, &filter.test);
    }
    xxh3_64(&bytes)
}

fn write_test(bytes: &mut Vec<u8>, test: &DimensionTest) {
    let mut listed = |op: &str, values: &mut dyn Iterator<Item = &String>| {
        write(bytes, op);
        let values: Vec<&String> = values.collect();
        write(bytes, &values.len().to_string());
        values.iter().for_each(|value| write(bytes, value));
    };
    match test {
        DimensionTest::Equal(value) => listed("eq", &mut [value].into_iter()),
        DimensionTest::NotEqual(value) => listed("ne", &mut [value].into_iter()),
        DimensionTest::In(values) => listed("in", &mut values.iter()),
        DimensionTest::NotIn(values) => listed("notIn", &mut values.iter()),
        DimensionTest::Exists(wanted) => listed("exists", &mut [&wanted.to_string()].into_iter()),
        DimensionTest::Prefix(prefix) => listed("prefix", &mut [prefix].into_iter()),
        DimensionTest::Regex(pattern) => listed("regex", &mut [&pattern.text().to_owned()].into_iter()),
    }
}

/// Strings with their lengths, so that neighbours do not run into each other.
fn write(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        let position = Position { timestamp: -5, dimensions: b"\x01a\x011".to_vec(), value: -0.5, shown: 3 };
        Cursor { fingerprint: 7, end: 100, position }
    }

    #[test]
    fn reads_back_what_it_wrote() {
        assert_eq!(Cursor::decode(&cursor().encode(), 7).unwrap(), cursor());
    }

    #[test]
    fn refuses_what_it_did_not_write() {
        let whole = cursor().encode();
        let mut backwards = cursor();
        backwards.end = backwards.position.timestamp;
        let mut infinite = cursor();
        infinite.position.value = f64::INFINITY;
        let mut nothing_shown = cursor();
        nothing_shown.position.shown = 0;
        for bad in ["", "!", "AQ", &whole[..20], &backwards.encode(), &infinite.encode(), &nothing_shown.encode()] {
            assert_eq!(Cursor::decode(bad, 7).unwrap_err().code(), "cursor_invalid", "{bad:?}");
        }
        assert_eq!(Cursor::decode(&whole, 8).unwrap_err().code(), "cursor_invalid");
    }
}
