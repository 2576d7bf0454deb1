//! From a record that cannot be used to a dead letter.

use bytes::Bytes;
use luminate_model::{Reject, Source, TenantId};
use luminate_queue::{ConsumedRecord, DeadLetter, DeadLetterId};
use luminate_schemas::RejectedSamples;

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

/// The dead letter of a sample (or of the last of very many) of a direct producer's record. It holds the value of a record with
/// that sample alone, so that a replay repeats none of the others; at most `max_bytes` of it are kept.
#[must_use]
pub fn dead_letter_of_samples(
    source: Source,
    record: &ConsumedRecord,
    rejected: RejectedSamples,
    tenant: TenantId,
    max_bytes: usize,
) -> DeadLetter {
    let RejectedSamples { index, reject, mut value, .. } = rejected;
    let full_size = value.len() as u64;
    value.truncate(max_bytes);
    DeadLetter {
        id: DeadLetterId { source, offset: record.offset, index: Some(index) },
        code: reject.code.code().to_owned(),
        detail: reject.detail,
        tenant: Some(tenant),
        append_time: record.append_time,
        key: Bytes::copy_from_slice(&record.key),
        // What a producer says of its record need not be true of one sample of it.
        headers: Vec::new(),
        bytes: Bytes::from(value),
        full_size,
        replayed_at: None,
    }
}

#[cfg(test)]
mod tests {
    use luminate_model::{Incarnation, RejectCode};

    use super::*;
    use crate::test_records::{consumed, tenant};

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

    #[test]
    fn a_sample_of_a_record_is_kept_as_a_record_of_its_own() {
        let source = Source { incarnation: Incarnation([0; 16]), partition: 2 };
        let record = consumed(7, "key", "the whole record");
        let reject = Reject::new(RejectCode::ValueNotFinite, "why");
        let rejected = RejectedSamples { index: 3, samples: 1, reject, value: b"one sample".to_vec() };
        let letter = dead_letter_of_samples(source, &record, rejected.clone(), tenant("a"), 100);
        assert_eq!(letter.id, DeadLetterId { source, offset: record.offset, index: Some(3) });
        assert_eq!((letter.bytes.as_ref(), letter.full_size, letter.is_cut()), (&b"one sample"[..], 10, false));
        assert_eq!((letter.code.as_str(), letter.tenant.as_ref()), ("value_not_finite", Some(&tenant("a"))));
        let cut = dead_letter_of_samples(source, &record, rejected, tenant("a"), 3);
        assert_eq!((cut.bytes.as_ref(), cut.full_size, cut.is_cut()), (&b"one"[..], 10, true));
    }
}
