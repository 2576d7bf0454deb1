//! From a record that cannot be used to a dead letter.

use bytes::Bytes;
use luminate_model::{Reject, Source, TenantId};
use luminate_queue::{ConsumedRecord, DeadLetter, DeadLetterId};

/// The dead letter of a whole record; at most `max_bytes` of its value are kept.
#[must_use]
pub fn dead_letter(
    source: Source,
    record: &ConsumedRecord,
    reject: Reject,
    tenant: Option<TenantId>,
    max_bytes: usize,
) -> DeadLetter {
    let kept = record.value.get(..max_bytes).unwrap_or(&record.value);
    DeadLetter {
        id: DeadLetterId { source, offset: record.offset, index: None },
        code: reject.code.code().to_owned(),
        detail: reject.detail,
        tenant,
        append_time: record.append_time,
        // Copies, because the record's parts share one allocation with each other.
        key: Bytes::copy_from_slice(&record.key),
        headers: record.headers.iter().map(|(name, value)| (name.clone(), Bytes::copy_from_slice(value))).collect(),
        bytes: Bytes::copy_from_slice(kept),
        full_size: record.value.len() as u64,
        replayed_at: None,
    }
}

#[cfg(test)]
mod tests {
    use luminate_model::{Incarnation, RejectCode};

    use super::*;
    use crate::test_records::consumed;

    #[test]
    fn what_does_not_fit_is_cut_and_its_size_kept() {
        let source = Source { incarnation: Incarnation([0; 16]), partition: 2 };
        let record = consumed(7, "key", "0123456789");
        let reject = || Reject::new(RejectCode::RecordMalformed, "why");
        let cut = dead_letter(source, &record, reject(), None, 4);
        assert_eq!((cut.bytes.as_ref(), cut.full_size, cut.is_cut()), (&b"0123"[..], 10, true));
        let whole = dead_letter(source, &record, reject(), None, 10);
        assert_eq!((whole.bytes.as_ref(), whole.is_cut()), (&b"0123456789"[..], false));
        assert_eq!((whole.code.as_str(), whole.detail.as_str()), ("record_malformed", "why"));
        assert_eq!(whole.id, DeadLetterId { source, offset: record.offset, index: None });
    }
}
