//! From a record's bytes to a tenant's samples.

use luminate_model::{Reject, RejectCode, SampleColumns, TenantId};
use luminate_queue::{ConsumedRecord, IdempotencyHeaders, RecordKey};

/// A record that can be used.
#[derive(Debug)]
pub struct DecodedRecord {
    /// The owner of the samples, from the record's key.
    pub tenant: TenantId,
    /// The samples.
    pub samples: SampleColumns,
    /// What a repeat of its write request is recognised by, where the client wanted that.
    pub idempotency: Option<IdempotencyHeaders>,
}

/// A record that cannot be used.
#[derive(Debug)]
pub struct Undecodable {
    /// Why.
    pub reject: Reject,
    /// The owner, where the key tells.
    pub tenant: Option<TenantId>,
}

/// Decodes a gateway's record.
///
/// # Errors
/// [`Undecodable`] where the key, the headers or the value are not what a gateway writes.
pub fn decode(record: &ConsumedRecord) -> Result<DecodedRecord, Undecodable> {
    let Some(RecordKey { tenant, .. }) = RecordKey::parse(&record.key) else {
        let detail = "the record's key does not name a tenant and a shard";
        return Err(Undecodable { reject: Reject::new(RejectCode::RecordKeyInvalid, detail), tenant: None });
    };
    let idempotency = match IdempotencyHeaders::read(&record.headers) {
        Ok(idempotency) => idempotency,
        Err(error) => {
            let reject = Reject::new(RejectCode::IdempotencyHeadersInvalid, error.to_string());
            return Err(Undecodable { reject, tenant: Some(tenant) });
        }
    };
    match luminate_schemas::decode(&record.value) {
        Ok(samples) => Ok(DecodedRecord { tenant, samples, idempotency }),
        Err(error) => Err(Undecodable { reject: error.to_reject(), tenant: Some(tenant) }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::test_records::{columns, consumed};

    #[test]
    fn a_gateways_record_is_a_tenants_samples() {
        let headers = IdempotencyHeaders { key: 1, body: 2, part: 0, parts: 1 };
        let mut record = consumed(7, "acme/3", luminate_schemas::encode(&columns(&[1, 2])));
        record.headers = headers.to_headers();
        let decoded = decode(&record).unwrap();
        assert_eq!((decoded.tenant.as_str(), decoded.samples), ("acme", columns(&[1, 2])));
        assert_eq!(decoded.idempotency, Some(headers));
    }

    #[test]
    fn what_no_gateway_writes_is_told_apart() {
        let good = luminate_schemas::encode(&columns(&[1]));
        let mut foreign_schema = good.clone();
        foreign_schema[5] ^= 1;
        let cases = [
            ("", good.clone(), RejectCode::RecordKeyInvalid, None),
            ("acme/3", b"no record".to_vec(), RejectCode::RecordMalformed, Some("acme")),
            ("acme/3", foreign_schema, RejectCode::RecordSchemaUnknown, Some("acme")),
        ];
        for (key, value, code, tenant) in cases {
            let refused = decode(&consumed(0, key, value)).unwrap_err();
            assert_eq!((refused.reject.code, refused.tenant.as_ref().map(TenantId::as_str)), (code, tenant));
        }
        let mut record = consumed(0, "acme/3", good);
        record.headers = vec![(luminate_queue::headers::IDEMPOTENCY_KEY.to_owned(), Bytes::from_static(b"short"))];
        assert_eq!(decode(&record).unwrap_err().reject.code, RejectCode::IdempotencyHeadersInvalid);
    }
}
