//! What becomes of a record.

use luminate_model::{Reject, RejectCode, SampleColumns, TenantId};
use luminate_queue::ConsumedRecord;
use luminate_schemas::{JudgedSamples, RejectedSamples};
use luminate_storage::IdempotencyEntry;

use crate::decode::{DecodedRecord, NotDecoded, RecordDecoder, Undecodable};
use crate::idempotency::{IdempotencyWindow, Recognition};

/// What becomes of a record.
#[derive(Debug)]
#[must_use = "a record must be stored or accounted for"]
#[allow(clippy::large_enum_variant, reason = "nearly every verdict is the large one")]
pub enum Verdict {
    /// It is stored.
    Store {
        /// The owner of the samples.
        tenant: TenantId,
        /// The samples.
        samples: SampleColumns,
        /// Samples of the record that are not valid, and go to the dead letters. Only a direct producer's record has some.
        rejected: Vec<RejectedSamples>,
        /// What its repeats are recognised by.
        idempotency: Option<IdempotencyEntry>,
    },
    /// Its samples are stored already.
    Repeat {
        /// How many samples it holds.
        samples: u64,
        /// What further repeats are recognised by.
        idempotency: IdempotencyEntry,
    },
    /// It cannot be used.
    Reject {
        /// Why.
        reject: Reject,
        /// The owner, where known.
        tenant: Option<TenantId>,
        /// What its repeats are recognised by, where it has a key and could be decoded.
        idempotency: Option<IdempotencyEntry>,
    },
}

/// The record cannot be judged before it is known what the schema registry keeps under this number. Nothing was noted of it:
/// after [`RegisteredSchemas::learn`](crate::schema_registry::RegisteredSchemas::learn) it is judged again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeedsSchema(pub u32);

/// Judges a record: decodes it, and recognises repeats.
///
/// # Errors
/// [`NeedsSchema`]
pub fn judge(
    window: &mut IdempotencyWindow,
    decoder: &mut RecordDecoder,
    record: &ConsumedRecord,
) -> Result<Verdict, NeedsSchema> {
    match decoder.decode(record) {
        Ok(decoded) => Ok(judge_decoded(window, decoded, record)),
        Err(NotDecoded::Reject(Undecodable { reject, tenant })) => {
            Ok(Verdict::Reject { reject, tenant, idempotency: None })
        }
        Err(NotDecoded::NeedsSchema(id)) => Err(NeedsSchema(id)),
    }
}

fn judge_decoded(window: &mut IdempotencyWindow, decoded: DecodedRecord, record: &ConsumedRecord) -> Verdict {
    let DecodedRecord { tenant, judged: JudgedSamples { samples, rejected }, idempotency } = decoded;
    let Some(headers) = idempotency else { return Verdict::Store { tenant, samples, rejected, idempotency: None } };
    let entry = IdempotencyEntry {
        tenant: tenant.clone(),
        key: headers.key,
        part: headers.part,
        body: headers.body,
        append_time: record.append_time,
        offset: record.offset,
    };
    match window.recognise(&entry) {
        Recognition::First => Verdict::Store { tenant, samples, rejected, idempotency: Some(entry) },
        Recognition::Repeat => Verdict::Repeat { samples: samples.len() as u64, idempotency: entry },
        Recognition::Conflict => {
            let detail = "the idempotency key was used within ten minutes with another body";
            let reject = Reject::new(RejectCode::IdempotencyConflict, detail);
            Verdict::Reject { reject, tenant: Some(tenant), idempotency: Some(entry) }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use luminate_queue::IdempotencyHeaders;

    use super::*;
    use crate::schema_registry::RegisteredSchemas;
    use crate::test_records::{columns, consumed};

    fn judge(window: &mut IdempotencyWindow, record: &ConsumedRecord) -> Verdict {
        let mut decoder = RecordDecoder::new(None, Arc::new(RegisteredSchemas::new(None)));
        super::judge(window, &mut decoder, record).unwrap()
    }

    fn keyed(offset: u64, body: u128) -> ConsumedRecord {
        let mut record = consumed(offset, "acme/0", luminate_schemas::encode(&columns(&[1, 2, 3])));
        record.headers = IdempotencyHeaders { key: 9, body, part: 0, parts: 1 }.to_headers();
        record
    }

    #[test]
    fn a_keyed_record_is_stored_once_and_a_conflict_is_a_reject() {
        let mut window = IdempotencyWindow::new(10, Vec::new());
        let first = judge(&mut window, &keyed(0, 1));
        assert!(matches!(first, Verdict::Store { idempotency: Some(entry), .. } if entry.key == 9 && entry.body == 1));
        assert!(matches!(judge(&mut window, &keyed(1, 1)), Verdict::Repeat { samples: 3, .. }));
        let Verdict::Reject { reject, tenant, .. } = judge(&mut window, &keyed(2, 2)) else {
            unreachable!("a conflict")
        };
        assert_eq!((reject.code, tenant.is_some()), (RejectCode::IdempotencyConflict, true));
    }

    #[test]
    fn a_record_without_a_key_is_stored_each_time() {
        let mut window = IdempotencyWindow::new(10, Vec::new());
        let record = consumed(0, "acme/0", luminate_schemas::encode(&columns(&[1])));
        for _ in 0..2 {
            assert!(matches!(judge(&mut window, &record), Verdict::Store { idempotency: None, .. }));
        }
        assert!(window.is_empty());
    }

    #[test]
    fn an_undecodable_record_leaves_its_key_unused() {
        let mut window = IdempotencyWindow::new(10, Vec::new());
        let mut broken = keyed(0, 1);
        broken.value = bytes::Bytes::from_static(b"broken");
        assert!(matches!(judge(&mut window, &broken), Verdict::Reject { .. }));
        assert!(matches!(judge(&mut window, &keyed(1, 1)), Verdict::Store { .. }));
    }
}
