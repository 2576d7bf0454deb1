//! What the head of a write request says about its body, read before the body is.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use luminate_runtime::http::Problem;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::decode::{Decoder, JsonDecoder, NdjsonDecoder};
use crate::problems;

/// Chosen by the client: requests of one tenant with the same key are stored once.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest idempotency key, in characters.
pub const MAX_IDEMPOTENCY_KEY_CHARS: usize = 255;

/// What comes with the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// The protocol of the body.
    pub format: BodyFormat,
    /// How the body is compressed.
    pub encoding: BodyEncoding,
    /// The hash of the idempotency key, where there is one.
    pub idempotency_key: Option<u128>,
}

/// The protocol of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// `{"metrics": [...]}`.
    Json,
    /// One metric a line.
    Ndjson,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    /// Not at all.
    Identity,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

impl RequestHead {
    /// Reads the head.
    ///
    /// # Errors
    /// [`Problem`] where the body could not be read anyway.
    pub fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            format: BodyFormat::read(headers)?,
            encoding: BodyEncoding::read(headers)?,
            idempotency_key: read_idempotency_key(headers)?,
        })
    }
}

impl BodyFormat {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let unsupported = |detail: String| Problem::new(&problems::CONTENT_TYPE_UNSUPPORTED).detail(detail);
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Err(unsupported("the request has no Content-Type".to_owned()));
        };
        let text = value.to_str().unwrap_or_default();
        let mut pieces = text.split(';').map(str::trim);
        let essence = pieces.next().unwrap_or_default();
        let format = match essence {
            _ if essence.eq_ignore_ascii_case(Self::Json.essence()) => Self::Json,
            _ if essence.eq_ignore_ascii_case(Self::Ndjson.essence()) => Self::Ndjson,
            _ => return Err(unsupported(format!("Content-Type {essence:?} is not taken here"))),
        };
        let charset =
            pieces.filter_map(|piece| piece.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("charset"));
        match charset.map(|(_, charset)| charset.trim_matches('"')) {
            Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
                Err(unsupported(format!("the charset {charset:?} is not taken, only utf-8")))
            }
            _ => Ok(format),
        }
    }

    /// The content type without parameters.
    #[must_use]
    pub const fn essence(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The decoder of such bodies.
    #[must_use]
    pub fn decoder(self) -> &'static dyn Decoder {
        match self {
            Self::Json => &JsonDecoder,
            Self::Ndjson => &NdjsonDecoder,
        }
    }

    /// The hash by which two bodies under one idempotency key are told apart: content type and decompressed body.
    #[must_use]
    pub fn body_hash(self, body: &[u8]) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(self.essence().as_bytes());
        hash.update(&[0]);
        hash.update(body);
        hash.digest128()
    }
}

impl BodyEncoding {
    fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let first = values.next();
        let text = first.map_or("identity", |value| value.to_str().unwrap_or_default().trim());
        let encoding = match text {
            _ if values.next().is_some() || text.contains(',') => None,
            _ if text.eq_ignore_ascii_case("identity") => Some(Self::Identity),
            _ if text.eq_ignore_ascii_case("gzip") || text.eq_ignore_ascii_case("x-gzip") => Some(Self::Gzip),
            _ if text.eq_ignore_ascii_case("zstd") => Some(Self::Zstd),
            _ => None,
        };
        encoding.ok_or_else(|| {
            Problem::new(&problems::CONTENT_ENCODING_UNSUPPORTED)
                .detail(format!("Content-Encoding {text:?} is not taken here; one of gzip, zstd and identity is"))
                .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))
        })
    }
}

fn read_idempotency_key(headers: &HeaderMap) -> Result<Option<u128>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = values.next() else { return Ok(None) };
    let key = key.as_bytes();
    let is_valid = (1..=MAX_IDEMPOTENCY_KEY_CHARS).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if is_valid && values.next().is_none() {
        return Ok(Some(xxh3_128(key)));
    }
    let detail = format!(
        "Idempotency-Key must be given once and have 1 to {MAX_IDEMPOTENCY_KEY_CHARS} visible ASCII characters"
    );
    Err(Problem::new(&problems::IDEMPOTENCY_KEY_INVALID).detail(detail))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn read(pairs: &[(&'static str, &str)]) -> Result<RequestHead, &'static str> {
        RequestHead::read(&headers(pairs)).map_err(|problem| problem.code())
    }

    #[test]
    fn content_type_chooses_the_protocol() {
        for (content_type, format) in [
            ("application/json", BodyFormat::Json),
            ("Application/JSON; charset=UTF-8", BodyFormat::Json),
            ("application/x-ndjson;charset=\"utf-8\"", BodyFormat::Ndjson),
        ] {
            assert_eq!(read(&[("content-type", content_type)]).unwrap().format, format);
        }
        for refused in
            ["", "text/plain", "application/json; charset=latin1", "application/jsonx", "application/x-protobuf"]
        {
            assert_eq!(read(&[("content-type", refused)]), Err("content_type_unsupported"), "{refused}");
        }
        assert_eq!(read(&[]), Err("content_type_unsupported"));
    }

    #[test]
    fn one_content_encoding_is_taken_and_no_stack_of_them() {
        let json = ("content-type", "application/json");
        let encoding = |value| read(&[json, ("content-encoding", value)]).map(|head| head.encoding);
        assert_eq!(read(&[json]).unwrap().encoding, BodyEncoding::Identity);
        assert_eq!(encoding("identity"), Ok(BodyEncoding::Identity));
        assert_eq!(encoding("GZIP"), Ok(BodyEncoding::Gzip));
        assert_eq!(encoding("zstd"), Ok(BodyEncoding::Zstd));
        for refused in ["", "br", "snappy", "gzip, gzip", "gzip,zstd"] {
            assert_eq!(encoding(refused), Err("content_encoding_unsupported"), "{refused}");
        }
        let twice = [json, ("content-encoding", "gzip"), ("content-encoding", "gzip")];
        assert_eq!(read(&twice), Err("content_encoding_unsupported"));
    }

    #[test]
    fn idempotency_keys_are_visible_ascii() {
        let json = ("content-type", "application/json");
        let key = |value: &str| read(&[json, ("idempotency-key", value)]).map(|head| head.idempotency_key);
        assert_eq!(read(&[json]).unwrap().idempotency_key, None);
        assert_eq!(key("a-1"), Ok(Some(xxh3_128(b"a-1"))));
        assert!(key(&"x".repeat(255)).is_ok());
        for refused in ["", "a b", "ä", &"x".repeat(256)] {
            assert_eq!(key(refused), Err("idempotency_key_invalid"), "{refused}");
        }
        let twice = [json, ("idempotency-key", "a"), ("idempotency-key", "a")];
        assert_eq!(read(&twice), Err("idempotency_key_invalid"));
    }

    #[test]
    fn bodies_of_two_protocols_are_two_bodies() {
        assert_ne!(BodyFormat::Json.body_hash(b"{}"), BodyFormat::Ndjson.body_hash(b"{}"));
        assert_eq!(BodyFormat::Json.body_hash(b"{}"), BodyFormat::Json.body_hash(b"{}"));
    }
}
