//! Tests of decoding records, of gateways and of direct producers.
#![allow(clippy::unwrap_used, clippy::panic)]

use async_trait::async_trait;
use bytes::Bytes;
use luminate_model::{SampleColumns, SampleColumnsBuilder};
use luminate_schemas::{UnusableSchema, confluent, encode, single_object};

use super::*;
use crate::schema_registry::{Lookup, SchemaRegistry, SchemaRegistryError};
use crate::test_records::{columns, consumed, tenant};

fn decoder(owner: Option<&str>) -> RecordDecoder {
    RecordDecoder::new(owner.map(tenant), Arc::new(RegisteredSchemas::new(None)))
}

fn refused(result: Result<DecodedRecord, NotDecoded>) -> Undecodable {
    match result {
        Err(NotDecoded::Reject(undecodable)) => undecodable,
        other => panic!("{other:?}"),
    }
}

/// A value in single-object encoding, in the Confluent wire format.
fn registered(id: u32, value: &[u8]) -> Vec<u8> {
    let mut out = confluent::header(id).to_vec();
    out.extend_from_slice(&value[single_object::HEADER_BYTES..]);
    out
}

#[test]
fn a_gateways_record_is_a_tenants_samples() {
    let headers = IdempotencyHeaders { key: 1, body: 2, part: 0, parts: 1 };
    let mut record = consumed(7, "acme/3", encode(&columns(&[1, 2])));
    record.headers = headers.to_headers();
    let decoded = decoder(None).decode(&record).unwrap();
    assert_eq!(decoded.tenant.as_str(), "acme");
    assert_eq!(decoded.judged, JudgedSamples::all_valid(columns(&[1, 2])));
    assert_eq!(decoded.idempotency, Some(headers));
}

#[test]
fn what_no_gateway_writes_is_told_apart() {
    let good = encode(&columns(&[1]));
    let mut foreign_schema = good.clone();
    foreign_schema[5] ^= 1;
    let cases = [
        ("", good.clone(), RejectCode::RecordKeyInvalid, None),
        ("acme/3", b"no record".to_vec(), RejectCode::RecordMalformed, Some("acme")),
        ("acme/3", foreign_schema, RejectCode::RecordSchemaUnknown, Some("acme")),
    ];
    for (key, value, code, tenant) in cases {
        let refused = refused(decoder(None).decode(&consumed(0, key, value)));
        assert_eq!((refused.reject.code, refused.tenant.as_ref().map(TenantId::as_str)), (code, tenant));
    }
    let mut record = consumed(0, "acme/3", good);
    record.headers = vec![(luminate_queue::headers::IDEMPOTENCY_KEY.to_owned(), Bytes::from_static(b"short"))];
    assert_eq!(refused(decoder(None).decode(&record)).reject.code, RejectCode::IdempotencyHeadersInvalid);
}

#[test]
fn the_topic_says_whose_a_direct_producers_record_is() {
    let mut decoder = decoder(Some("acme"));
    let samples = columns(&[1, 2]);
    for value in
        [encode(&samples), sample_rows::encode(None, &samples), sample_rows::encode(Some(&tenant("acme")), &samples)]
    {
        // The key, of whatever form, says nothing here.
        let decoded = decoder.decode(&consumed(0, "globex/0", value)).unwrap();
        assert_eq!((decoded.tenant, decoded.judged.samples), (tenant("acme"), samples.clone()));
    }
    let foreign = sample_rows::encode(Some(&tenant("globex")), &samples);
    let refused = refused(decoder.decode(&consumed(0, "", foreign)));
    assert_eq!((refused.reject.code, refused.tenant), (RejectCode::TenantMismatch, Some(tenant("acme"))));
    assert_eq!(refused.reject.detail, "the record names the tenant \"globex\", and belongs to acme");
}

#[test]
fn a_direct_producers_record_is_bounded() {
    let mut decoder = decoder(Some("acme"));
    let mut value = sample_rows::encode(None, &columns(&[1]));
    value.resize(MAX_DIRECT_VALUE_BYTES, 0);
    assert_eq!(refused(decoder.decode(&consumed(0, "", value.clone()))).reject.code, RejectCode::RecordMalformed);
    value.push(0);
    let refused = refused(decoder.decode(&consumed(0, "", value)));
    assert_eq!(refused.reject.code, RejectCode::RecordTooLarge);
    assert_eq!(refused.reject.detail, "the record's value has 8388609 bytes, the limit is 8388608");
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().as_chunks::<2>().0;
    digits.iter().map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// Records as they stood on a broker: of the producers in `docs/direct-producers.md`, and of confluent-kafka's `AvroSerializer`.
#[tokio::test]
async fn what_other_peoples_libraries_write_is_read() {
    let registry = TestRegistry(Ok(Ok(PublishedSchema::SampleRowsV1)));
    let schemas = Arc::new(RegisteredSchemas::new(Some(Arc::new(registry))));
    schemas.learn(1).await.unwrap();
    let mut decoder = RecordDecoder::new(Some(tenant("acme")), schemas);
    let java = "c30199d0a0957113b0200002166170695f6c6174656e6379c8baf9e0bf6800000000003062400210656e64706f696e74142f6170692f757365\
                72730000";
    let rust = "c30199d0a0957113b0200002166170695f6c6174656e6379f6e593e2bf6800000000003062400210656e64706f696e74142f6170692f757365\
                72730000";
    let serializer = "00000000010002026d808099a08365000000000000f83f02026102620000";
    let users = ("api_latency", 145.5, ("endpoint", "/api/users"));
    for (hex, (name, value, dimension)) in [(java, users), (rust, users), (serializer, ("m", 1.5, ("a", "b")))] {
        let mut record = consumed(0, "", bytes_of_hex(hex));
        record.append_time = 1_800_000_000_000;
        let judged = decoder.decode(&record).unwrap().judged;
        let row = judged.samples.rows().next().unwrap();
        assert_eq!((row.metric(), row.value, row.dimensions().collect()), (name, value, vec![dimension]));
        assert_eq!((judged.samples.len(), judged.rejected.len()), (1, 0));
    }
}

/// One sample an hour and a millisecond after the record was appended, and one a millisecond before that.
fn at_the_edge() -> SampleColumns {
    columns(&[1_700_003_600_001, 1_700_003_600_000])
}

#[test]
fn direct_producers_samples_are_judged_one_by_one_at_the_append_time() {
    for value in [encode(&at_the_edge()), sample_rows::encode(None, &at_the_edge())] {
        let decoded = decoder(Some("acme")).decode(&consumed(0, "", value)).unwrap();
        assert_eq!(decoded.judged.samples, columns(&[1_700_003_600_000]));
        let [rejected] = decoded.judged.rejected.as_slice() else { panic!("{:?}", decoded.judged.rejected) };
        assert_eq!((rejected.index, rejected.reject.code), (0, RejectCode::TimestampTooNew));
        // A replay of the dead letter comes later, and then it is valid.
        let mut replayed = consumed(1, "", rejected.value.clone());
        replayed.append_time += 1;
        let decoded = decoder(Some("acme")).decode(&replayed).unwrap();
        assert_eq!(decoded.judged, JudgedSamples::all_valid(columns(&[1_700_003_600_001])));
    }
}

#[test]
fn what_a_gateway_let_in_is_not_judged_again() {
    let decoded = decoder(None).decode(&consumed(0, "acme/0", encode(&at_the_edge()))).unwrap();
    assert_eq!(decoded.judged, JudgedSamples::all_valid(at_the_edge()));
}

#[test]
fn names_with_control_characters_are_rejects_in_both_forms() {
    let mut builder = SampleColumnsBuilder::new();
    builder.push("good", 0, 1, 1.0, &[("key", "value")]);
    builder.push("bad\n", 0, 2, 2.0, &[("key", "value")]);
    builder.push("good", 0, 3, 3.0, &[("bad\0", "value")]);
    let samples = builder.finish();
    for value in [encode(&samples), sample_rows::encode(None, &samples)] {
        let judged = decoder(Some("acme")).decode(&consumed(0, "", value)).unwrap().judged;
        let rejected: Vec<_> = judged.rejected.iter().map(|rejected| (rejected.index, rejected.reject.code)).collect();
        assert_eq!(rejected, [(1, RejectCode::InvalidName), (2, RejectCode::InvalidDimensionKey)]);
        assert_eq!(judged.samples.rows().map(|row| row.timestamp).collect::<Vec<_>>(), [1]);
    }
}

/// Answers what it was given, as long as it is not away.
struct TestRegistry(Result<Lookup, SchemaRegistryError>);

#[async_trait]
impl SchemaRegistry for TestRegistry {
    async fn look_up(&self, _id: u32) -> Result<Lookup, SchemaRegistryError> {
        self.0.clone()
    }
}

#[tokio::test]
async fn a_registered_schema_is_asked_for_once_and_then_known() {
    let lookups = [
        (Ok(PublishedSchema::SampleRowsV1), None),
        (
            Err(UnusableSchema::NotRegistered),
            Some("the value was written with the registered schema 9: the schema registry does not know it"),
        ),
        (
            Err(UnusableSchema::NotAvro),
            Some("the value was written with the registered schema 9: it is no Avro schema"),
        ),
    ];
    let record = consumed(0, "", registered(9, &sample_rows::encode(None, &columns(&[1]))));
    for (lookup, detail) in lookups {
        let schemas = Arc::new(RegisteredSchemas::new(Some(Arc::new(TestRegistry(Ok(lookup))))));
        let mut decoder = RecordDecoder::new(Some(tenant("acme")), Arc::clone(&schemas));
        assert!(matches!(decoder.decode(&record), Err(NotDecoded::NeedsSchema(9))));
        schemas.learn(9).await.unwrap();
        match detail {
            None => assert_eq!(decoder.decode(&record).unwrap().judged.samples, columns(&[1])),
            Some(detail) => {
                let refused = refused(decoder.decode(&record));
                assert_eq!(
                    (refused.reject.code, refused.reject.detail.as_str()),
                    (RejectCode::RecordSchemaUnknown, detail)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_registry_that_is_away_decides_nothing() {
    let away = SchemaRegistryError { id: 9, reason: "away".to_owned() };
    let schemas = Arc::new(RegisteredSchemas::new(Some(Arc::new(TestRegistry(Err(away.clone()))))));
    let mut decoder = RecordDecoder::new(Some(tenant("acme")), Arc::clone(&schemas));
    let record = consumed(0, "", registered(9, &sample_rows::encode(None, &columns(&[1]))));
    assert_eq!(schemas.learn(9).await, Err(away));
    assert!(matches!(decoder.decode(&record), Err(NotDecoded::NeedsSchema(9))));
}

#[test]
fn without_a_registry_its_numbers_are_rejects() {
    let record = consumed(0, "", registered(9, &sample_rows::encode(None, &columns(&[1]))));
    let refused = refused(decoder(Some("acme")).decode(&record));
    assert_eq!(refused.reject.code, RejectCode::RecordSchemaUnknown);
    assert_eq!(
        refused.reject.detail,
        "the value was written with the registered schema 9: no schema registry is configured"
    );
}
