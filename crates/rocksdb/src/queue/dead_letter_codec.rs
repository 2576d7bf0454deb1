//! A dead letter as it is stored: a version, numbers, then strings that are preceded by their sizes, the record's bytes last.

use bytes::{Buf, Bytes};
use luminate_model::TenantId;
use luminate_queue::{DeadLetter, DeadLetterId};

use super::layout::{Unreadable, put_bytes, take_bytes, take_u32};

const VERSION: u8 = 1;
const UNREADABLE: Unreadable = Unreadable("a dead letter");

pub(super) fn encode(letter: &DeadLetter) -> Vec<u8> {
    let mut out = vec![VERSION, u8::from(letter.replayed_at.is_some())];
    out.extend_from_slice(&letter.replayed_at.unwrap_or_default().to_le_bytes());
    out.extend_from_slice(&letter.append_time.to_le_bytes());
    out.extend_from_slice(&letter.full_size.to_le_bytes());
    put_bytes(&mut out, letter.code.as_bytes());
    put_bytes(&mut out, letter.detail.as_bytes());
    put_bytes(&mut out, letter.tenant.as_ref().map_or(&[], |tenant| tenant.as_str().as_bytes()));
    put_bytes(&mut out, &letter.key);
    out.extend_from_slice(&(letter.headers.len() as u32).to_le_bytes());
    for (name, value) in &letter.headers {
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, value);
    }
    out.extend_from_slice(&letter.bytes);
    out
}

/// Reads a dead letter; its parts share the memory of `bytes`.
pub(super) fn decode(id: DeadLetterId, mut bytes: Bytes) -> Result<DeadLetter, Unreadable> {
    if bytes.len() < 26 || bytes.get_u8() != VERSION {
        return Err(UNREADABLE);
    }
    let is_replayed = bytes.get_u8() != 0;
    let replayed_at = bytes.get_i64_le();
    let append_time = bytes.get_i64_le();
    let full_size = bytes.get_u64_le();
    let code = take_text(&mut bytes)?;
    let detail = take_text(&mut bytes)?;
    let tenant = match take_text(&mut bytes)?.as_str() {
        "" => None,
        #[allow(clippy::disallowed_methods, reason = "the queue keeps the tenants of its own dead letters")]
        name => Some(TenantId::parse(name).map_err(|_| UNREADABLE)?),
    };
    let key = take_bytes(&mut bytes).ok_or(UNREADABLE)?;
    let count = take_u32(&mut bytes).ok_or(UNREADABLE)?;
    let mut headers = Vec::new();
    for _ in 0..count {
        headers.push((take_text(&mut bytes)?, take_bytes(&mut bytes).ok_or(UNREADABLE)?));
    }
    let replayed_at = is_replayed.then_some(replayed_at);
    Ok(DeadLetter { id, code, detail, tenant, append_time, key, headers, bytes, full_size, replayed_at })
}

fn take_text(bytes: &mut Bytes) -> Result<String, Unreadable> {
    let text = take_bytes(bytes).ok_or(UNREADABLE)?;
    std::str::from_utf8(&text).map(str::to_owned).map_err(|_| UNREADABLE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use luminate_model::{Incarnation, Offset, Source};
    use proptest::prelude::*;

    use super::*;

    const ID: DeadLetterId = DeadLetterId {
        source: Source { incarnation: Incarnation([1; 16]), partition: 2 },
        offset: Offset(3),
        index: Some(4),
    };

    #[test]
    fn letters_are_read_back() {
        let mut letter = DeadLetter {
            id: ID,
            code: "record_malformed".to_owned(),
            detail: "détail".to_owned(),
            tenant: Some(TenantId::parse("acme").unwrap()),
            append_time: -1,
            key: Bytes::from_static(b"acme/0"),
            headers: vec![("name".to_owned(), Bytes::from_static(b"\xff")), (String::new(), Bytes::new())],
            bytes: Bytes::from_static(b"\x00bytes"),
            full_size: 1 << 40,
            replayed_at: Some(0),
        };
        assert_eq!(decode(ID, encode(&letter).into()).unwrap(), letter);
        (letter.tenant, letter.replayed_at, letter.bytes) = (None, None, Bytes::new());
        assert_eq!(decode(ID, encode(&letter).into()).unwrap(), letter);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes: Vec<u8>) {
            let _ = decode(ID, bytes.clone().into());
            bytes.insert(0, VERSION);
            let _ = decode(ID, bytes.into());
        }
    }
}
