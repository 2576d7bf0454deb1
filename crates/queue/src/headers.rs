//! Names and values that travel beside a record's payload.

use bytes::Bytes;

/// Header of the idempotency key's hash: 16 bytes.
pub const IDEMPOTENCY_KEY: &str = "luminate-idempotency-key";
/// Header of the hash of the decompressed body: 16 bytes.
pub const IDEMPOTENCY_BODY: &str = "luminate-idempotency-body";
/// Header of part and parts, as text `i/n`, i from 0.
pub const IDEMPOTENCY_PART: &str = "luminate-idempotency-part";

/// What lets a writer recognise a repeated write request. A request becomes one or more records; every record carries
/// the request's key and body, and which part of the request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyHeaders {
    /// XXH3-128 of the key that the client chose.
    pub key: u128,
    /// XXH3-128 of the decompressed body (with its content type).
    pub body: u128,
    /// This part, from 0.
    pub part: u32,
    /// How many parts the request has.
    pub parts: u32,
}

/// The headers are there in part, or not in the form above.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency headers of the record cannot be read: {0}")]
pub struct InvalidIdempotencyHeaders(pub &'static str);

impl IdempotencyHeaders {
    /// The headers as a record carries them.
    #[must_use]
    pub fn to_headers(self) -> Vec<(String, Bytes)> {
        vec![
            (IDEMPOTENCY_KEY.to_owned(), Bytes::copy_from_slice(&self.key.to_be_bytes())),
            (IDEMPOTENCY_BODY.to_owned(), Bytes::copy_from_slice(&self.body.to_be_bytes())),
            (IDEMPOTENCY_PART.to_owned(), Bytes::from(format!("{}/{}", self.part, self.parts))),
        ]
    }

    /// Reads the headers of a record; `None` where it carries none of them.
    ///
    /// # Errors
    /// [`InvalidIdempotencyHeaders`] where one is missing or malformed.
    pub fn read(headers: &[(String, Bytes)]) -> Result<Option<Self>, InvalidIdempotencyHeaders> {
        let find = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let (key, body, part) = match (find(IDEMPOTENCY_KEY), find(IDEMPOTENCY_BODY), find(IDEMPOTENCY_PART)) {
            (None, None, None) => return Ok(None),
            (Some(key), Some(body), Some(part)) => (key, body, part),
            _ => return Err(InvalidIdempotencyHeaders("one of three is missing")),
        };
        let hash = |bytes: &Bytes, fault| {
            let bytes: [u8; 16] = bytes.as_ref().try_into().map_err(|_| InvalidIdempotencyHeaders(fault))?;
            Ok(u128::from_be_bytes(bytes))
        };
        let numbers = std::str::from_utf8(part).ok().and_then(|text| text.split_once('/'));
        let numbers = numbers.and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
        let Some((part, parts)) = numbers.filter(|(part, parts): &(u32, u32)| part < parts) else {
            return Err(InvalidIdempotencyHeaders("the part is not i/n with i below n"));
        };
        let key = hash(key, "the key is not 16 bytes")?;
        Ok(Some(Self { key, body: hash(body, "the body's hash is not 16 bytes")?, part, parts }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn are_read_back_and_refused_in_part() {
        let headers = IdempotencyHeaders { key: 1 << 100, body: 7, part: 2, parts: 3 };
        let written = headers.to_headers();
        assert_eq!(IdempotencyHeaders::read(&written).unwrap(), Some(headers));
        assert_eq!(IdempotencyHeaders::read(&[]).unwrap(), None);
        for missing in 0..3 {
            let mut some = written.clone();
            some.remove(missing);
            assert!(IdempotencyHeaders::read(&some).is_err());
        }
        for bad in ["3/3", "x/3", "3", ""] {
            let mut some = written.clone();
            some[2].1 = Bytes::from(bad.to_owned());
            assert!(IdempotencyHeaders::read(&some).is_err(), "{bad}");
        }
    }
}
