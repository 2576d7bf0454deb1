//! Every published version of a schema still decodes: one stored record each, beside the samples that it holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::path::Path;

use luminate_model::{Sample, SampleColumns, SampleColumnsBuilder, TenantId};
use luminate_schemas::{PublishedSchema, WrittenWith, decode, encode, framing, sample_columns, sample_rows};
use serde::Deserialize;

/// A sample as the JSON beside a stored record has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expected {
    name: String,
    /// Rows have none.
    #[serde(default)]
    retention_days: u16,
    timestamp: i64,
    value: f64,
    dimensions: std::collections::BTreeMap<String, String>,
}

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn expected(version: &str) -> Vec<Expected> {
    serde_json::from_slice(&read(&format!("{version}.json"))).unwrap()
}

fn samples(expected: &[Expected]) -> Vec<(Sample, u16)> {
    let sample = |e: &Expected| {
        let dimensions = e.dimensions.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        (Sample { metric: e.name.clone(), timestamp: e.timestamp, value: e.value, dimensions }, e.retention_days)
    };
    expected.iter().map(sample).collect()
}

fn columns(expected: &[Expected]) -> SampleColumns {
    let mut builder = SampleColumnsBuilder::new();
    for e in expected {
        let dimensions: Vec<_> = e.dimensions.iter().collect();
        builder.push(&e.name, e.retention_days, e.timestamp, e.value, &dimensions);
    }
    builder.finish()
}

/// What a record of this schema holds.
fn decode_as(schema: PublishedSchema, datum: &[u8]) -> SampleColumns {
    match schema {
        PublishedSchema::SampleColumnsV1 => sample_columns::decode_v1(datum).unwrap(),
        PublishedSchema::SampleRowsV1 => {
            let judged = sample_rows::decode_v1(datum, &TenantId::parse("acme").unwrap(), 1_735_603_200_000).unwrap();
            assert_eq!(judged.rejected, []);
            judged.samples
        }
    }
}

#[test]
fn every_published_schema_decodes() {
    for schema in PublishedSchema::ALL {
        let value = read(&format!("{}.avro", schema.name()));
        let (written_with, datum) = framing::split(&value).unwrap();
        assert_eq!(written_with, WrittenWith::Published(schema));
        let columns = decode_as(schema, datum);
        let decoded: Vec<_> = columns.rows().map(|row| (row.to_sample(), row.retention_days())).collect();
        assert_eq!(decoded, samples(&expected(schema.name())), "{}", schema.name());
    }
}

#[test]
fn a_gateways_record_decodes_in_one_step() {
    assert_eq!(decode(&read("SampleColumns.v1.avro")).unwrap(), columns(&expected("SampleColumns.v1")));
}

/// Nothing that was published may change, so a change of the encoder's bytes is seen here.
#[test]
fn sample_columns_v1_is_what_the_encoder_writes() {
    assert_eq!(encode(&columns(&expected("SampleColumns.v1"))), read("SampleColumns.v1.avro"));
}

/// The stored record was written by the producer of `tests/direct_producers`, so by fastavro.
#[test]
fn sample_rows_v1_is_what_both_encoders_write() {
    let value = sample_rows::encode(None, &columns(&expected("SampleRows.v1")));
    assert_eq!(value, read("SampleRows.v1.avro"));
}
