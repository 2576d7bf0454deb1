//! Dead letters as messages of a compacted topic.
//!
//! | part | holds |
//! |---|---|
//! | key | the dead letter's id, as text |
//! | value | the record's bytes as they were, cut where they would not fit |
//! | header `luminate-dead-letter` | all else, as JSON ([`About`]), with its version |
//! | header `luminate-code` | the reason code once more, for tools that look at headers alone |
//!
//! That a dead letter was replayed is a message of its own, so that a second copy of the letter cannot undo it: its key is the
//! id followed by `#replayed`, its value the time in ms since 1970, as text; before the record is put back it is `begun`. A message
//! without a value removes its key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use luminate_model::TenantId;
use luminate_queue::{DeadLetter, DeadLetterId};
use serde::{Deserialize, Serialize};

/// Name of the header with [`About`].
pub(super) const ABOUT: &str = "luminate-dead-letter";
/// Name of the header with the reason code.
pub(super) const CODE: &str = "luminate-code";
/// What follows the id in the key of a replay's mark.
const REPLAYED: &str = "#replayed";

/// The value of a replay's mark before the record is put back.
const BEGUN: &str = "begun";

/// The version that is written.
const VERSION: u32 = 1;

/// What a dead letter says beside the record's bytes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    version: u32,
    code: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    tenant: Option<String>,
    /// When the record was appended to its topic, ms since 1970.
    append_time: i64,
    /// The record's key, base64.
    key: String,
    /// Names and values (base64) of the record's headers.
    headers: Vec<(String, String)>,
    /// Bytes of the record's value before it was cut.
    full_size: u64,
}

/// What a message's key means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyOf {
    Letter(DeadLetterId),
    Replay(DeadLetterId),
}

impl KeyOf {
    /// `None` where it is none of ours.
    pub(super) fn read(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        match text.strip_suffix(REPLAYED) {
            Some(id) => id.parse().ok().map(Self::Replay),
            None => text.parse().ok().map(Self::Letter),
        }
    }

    pub(super) fn to_text(self) -> String {
        match self {
            Self::Letter(id) => id.to_string(),
            Self::Replay(id) => format!("{id}{REPLAYED}"),
        }
    }

    pub(super) fn id(self) -> DeadLetterId {
        match self {
            Self::Letter(id) | Self::Replay(id) => id,
        }
    }
}

/// What the mark of a replay says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplayMark {
    /// The record is being put back, or whoever did that has not come to the end.
    Begun,
    /// It was put back at this time, ms since 1970.
    Done(i64),
}

impl ReplayMark {
    /// `None` where it is none, or removed.
    pub(super) fn read(value: Option<&[u8]>) -> Option<Self> {
        match std::str::from_utf8(value?).ok()? {
            BEGUN => Some(Self::Begun),
            time => time.parse().ok().map(Self::Done),
        }
    }

    pub(super) fn to_value(self) -> Bytes {
        match self {
            Self::Begun => Bytes::from_static(BEGUN.as_bytes()),
            Self::Done(time) => Bytes::from(time.to_string()),
        }
    }

    /// When the record was put back.
    pub(super) fn time(self) -> Option<i64> {
        match self {
            Self::Begun => None,
            Self::Done(time) => Some(time),
        }
    }
}

/// The headers of a dead letter's message.
pub(super) fn headers(letter: &DeadLetter) -> Vec<(String, Bytes)> {
    let about = About {
        version: VERSION,
        code: letter.code.clone(),
        detail: letter.detail.clone(),
        tenant: letter.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
        append_time: letter.append_time,
        key: STANDARD.encode(&letter.key),
        headers: letter.headers.iter().map(|(name, value)| (name.clone(), STANDARD.encode(value))).collect(),
        full_size: letter.full_size,
    };
    // A struct of texts and numbers always has a JSON form.
    let about = serde_json::to_vec(&about).unwrap_or_default();
    vec![(ABOUT.to_owned(), Bytes::from(about)), (CODE.to_owned(), Bytes::from(letter.code.clone()))]
}

/// Reads a dead letter back; the reason where that cannot be.
#[allow(clippy::disallowed_methods, reason = "a dead letter's tenant is what the writer found")]
pub(super) fn read(id: DeadLetterId, headers: &[(String, Bytes)], value: Bytes) -> Result<DeadLetter, String> {
    let about = headers.iter().find(|(name, _)| name == ABOUT).map(|(_, value)| value);
    let about = about.ok_or_else(|| format!("the header {ABOUT} is missing"))?;
    let about: About = serde_json::from_slice(about).map_err(|error| format!("the header {ABOUT}: {error}"))?;
    if about.version != VERSION {
        return Err(format!("version {} is unknown", about.version));
    }
    let decode = |text: &str| STANDARD.decode(text).map(Bytes::from).map_err(|error| error.to_string());
    let tenant = about.tenant.as_deref().map(TenantId::parse).transpose().map_err(|error| error.to_string())?;
    let headers = about.headers.iter().map(|(name, value)| Ok((name.clone(), decode(value)?)));
    Ok(DeadLetter {
        id,
        code: about.code,
        detail: about.detail,
        tenant,
        append_time: about.append_time,
        key: decode(&about.key)?,
        headers: headers.collect::<Result<_, String>>()?,
        bytes: value,
        full_size: about.full_size,
        replayed_at: None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use luminate_model::{Incarnation, Offset, Source};

    use super::*;

    fn id() -> DeadLetterId {
        let source = Source { incarnation: Incarnation([7; 16]), partition: 3 };
        DeadLetterId { source, offset: Offset(12), index: Some(4) }
    }

    #[test]
    fn marks_are_read_back() {
        for mark in [ReplayMark::Begun, ReplayMark::Done(77)] {
            assert_eq!(ReplayMark::read(Some(&mark.to_value())), Some(mark));
        }
        assert_eq!((ReplayMark::read(None), ReplayMark::read(Some(b"later"))), (None, None));
    }

    #[test]
    fn letters_are_read_back() {
        for tenant in [None, Some(TenantId::parse("acme").unwrap())] {
            let letter = DeadLetter {
                id: id(),
                code: "record_malformed".to_owned(),
                detail: "\"quoted\"\u{1f}".to_owned(),
                tenant,
                append_time: -5,
                key: Bytes::from_static(b"\xff/0"),
                headers: vec![("one".to_owned(), Bytes::from_static(b"\0")), ("one".to_owned(), Bytes::new())],
                bytes: Bytes::from_static(b"\xc3\x01"),
                full_size: 9,
                replayed_at: None,
            };
            assert_eq!(read(letter.id, &headers(&letter), letter.bytes.clone()).unwrap(), letter);
        }
    }

    #[test]
    fn what_is_no_letter_is_refused() {
        assert!(read(id(), &[], Bytes::new()).unwrap_err().contains("missing"));
        let of = |text: &'static str| [(ABOUT.to_owned(), Bytes::from_static(text.as_bytes()))];
        assert!(read(id(), &of("{}"), Bytes::new()).is_err());
        let newer = r#"{"version":2,"code":"c","detail":"","appendTime":0,"key":"","headers":[],"fullSize":0}"#;
        assert_eq!(read(id(), &of(newer), Bytes::new()).unwrap_err(), "version 2 is unknown");
    }

    #[test]
    fn keys_are_told_apart() {
        for key in [KeyOf::Letter(id()), KeyOf::Replay(id())] {
            assert_eq!(KeyOf::read(key.to_text().as_bytes()), Some(key));
        }
        assert_eq!(KeyOf::read(b"elsewhere"), None);
    }
}
