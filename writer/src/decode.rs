//! From a record's bytes to a tenant's samples.

use std::sync::Arc;

use luminate_model::{Reject, RejectCode, TenantId};
use luminate_queue::{ConsumedRecord, IdempotencyHeaders, RecordKey};
use luminate_schemas::judged::MAX_DIRECT_VALUE_BYTES;
use luminate_schemas::{
    DecodeError, JudgedSamples, PublishedSchema, WrittenWith, framing, sample_columns, sample_rows,
};

use crate::schema_registry::{Lookup, NotedSchemas, RegisteredSchemas};

/// A record that can be used.
#[derive(Debug)]
pub struct DecodedRecord {
    /// The owner of the samples.
    pub tenant: TenantId,
    /// The samples, and those of a direct producer's that are not valid.
    pub judged: JudgedSamples,
    /// What a repeat of its write request is recognised by, where the client wanted that.
    pub idempotency: Option<IdempotencyHeaders>,
}

/// A record that was not decoded.
#[derive(Debug)]
pub enum NotDecoded {
    /// It cannot be used.
    Reject(Undecodable),
    /// It may be of use, once it is known what the schema registry keeps under this number:
    /// [`RegisteredSchemas::learn`], then decode it again.
    NeedsSchema(u32),
}

/// A record that cannot be used.
#[derive(Debug)]
pub struct Undecodable {
    /// Why.
    pub reject: Reject,
    /// The owner, where topic or key tell.
    pub tenant: Option<TenantId>,
}

/// Decodes the records of one partition. What becomes of a record depends on its topic, its bytes, its append time and the
/// registered schemas alone. Those are [noted](Self::begin_batch) with the batch, so that a replay decides as the first run did.
pub struct RecordDecoder {
    /// The tenant whose topic it is; on the gateways' topic each record's key names the tenant.
    owner: Option<TenantId>,
    schemas: Arc<RegisteredSchemas>,
    /// By what the records of the batch at hand were decoded; `None` where nobody wants to know.
    noted: Option<NotedSchemas>,
}

impl RecordDecoder {
    /// A decoder of a topic that belongs to `owner`, or to the gateways.
    #[must_use]
    pub fn new(owner: Option<TenantId>, schemas: Arc<RegisteredSchemas>) -> Self {
        Self { owner, schemas, noted: None }
    }

    /// The records that follow are of one batch: a registered schema means for all of them what was noted before, else what it
    /// means for the first.
    pub fn begin_batch(&mut self, noted: NotedSchemas) {
        self.noted = Some(noted);
    }

    /// The batch is complete: what the registered schemas meant for its records.
    pub fn end_batch(&mut self) -> NotedSchemas {
        self.noted.take().unwrap_or_default()
    }

    /// Whether the batch can note no more schemas.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.noted.as_ref().is_some_and(NotedSchemas::is_full)
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// [`NotDecoded`]
    pub fn decode(&mut self, record: &ConsumedRecord) -> Result<DecodedRecord, NotDecoded> {
        let Some(owner) = self.owner.clone() else { return self.decode_of_gateway(record) };
        let size = record.value.len();
        if size > MAX_DIRECT_VALUE_BYTES {
            let detail = format!("the record's value has {size} bytes, the limit is {MAX_DIRECT_VALUE_BYTES}");
            let reject = Reject::new(RejectCode::RecordTooLarge, detail);
            return Err(NotDecoded::Reject(Undecodable { reject, tenant: Some(owner) }));
        }
        // Key and headers are the producer's own affair.
        let judged = self.read(record, &owner, true)?;
        Ok(DecodedRecord { tenant: owner, judged, idempotency: None })
    }

    fn decode_of_gateway(&mut self, record: &ConsumedRecord) -> Result<DecodedRecord, NotDecoded> {
        let Some(RecordKey { tenant, .. }) = RecordKey::parse(&record.key) else {
            let detail = "the record's key does not name a tenant and a shard";
            let reject = Reject::new(RejectCode::RecordKeyInvalid, detail);
            return Err(NotDecoded::Reject(Undecodable { reject, tenant: None }));
        };
        let idempotency = IdempotencyHeaders::read(&record.headers).map_err(|error| {
            let reject = Reject::new(RejectCode::IdempotencyHeadersInvalid, error.to_string());
            NotDecoded::Reject(Undecodable { reject, tenant: Some(tenant.clone()) })
        })?;
        let judged = self.read(record, &tenant, false)?;
        Ok(DecodedRecord { tenant, judged, idempotency })
    }

    /// Reads the value, in either form. Gateways have judged the samples of what they wrote.
    fn read(
        &mut self,
        record: &ConsumedRecord,
        tenant: &TenantId,
        is_direct: bool,
    ) -> Result<JudgedSamples, NotDecoded> {
        let reject = |error: DecodeError| {
            NotDecoded::Reject(Undecodable { reject: error.to_reject(), tenant: Some(tenant.clone()) })
        };
        let (written_with, datum) = framing::split(&record.value).map_err(reject)?;
        let schema = match written_with {
            WrittenWith::Published(schema) => schema,
            WrittenWith::Registered(id) => {
                let lookup = self.meaning(id).ok_or(NotDecoded::NeedsSchema(id))?;
                lookup.map_err(|why| reject(DecodeError::RegisteredSchemaUnusable { id, why }))?
            }
        };
        let judged = match schema {
            PublishedSchema::SampleColumnsV1 if is_direct => {
                sample_columns::decode_v1(datum).map(|columns| sample_columns::judge(columns, record.append_time))
            }
            PublishedSchema::SampleColumnsV1 => sample_columns::decode_v1(datum).map(JudgedSamples::all_valid),
            PublishedSchema::SampleRowsV1 => sample_rows::decode_v1(datum, tenant, record.append_time),
        };
        judged.map_err(reject)
    }

    fn meaning(&mut self, id: u32) -> Option<Lookup> {
        match &mut self.noted {
            Some(noted) => noted.meaning(id, &self.schemas),
            None => self.schemas.get(id),
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
