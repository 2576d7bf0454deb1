//! Every published version of a schema still decodes: one stored record each, beside the samples that it holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use luminate_model::{Sample, SampleColumns, SampleColumnsBuilder};
use luminate_schemas::{decode, encode};
use serde::Deserialize;

/// A sample as the JSON beside a stored record has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Expected {
    name: String,
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

#[test]
fn sample_columns_v1_decodes() {
    let columns = decode(&read("SampleColumns.v1.avro")).unwrap();
    let decoded: Vec<_> = columns.rows().map(|row| (row.to_sample(), row.retention_days())).collect();
    assert_eq!(decoded, samples(&expected("SampleColumns.v1")));
}

/// Nothing that was published may change, so a change of the encoder's bytes is seen here.
#[test]
fn sample_columns_v1_is_what_the_encoder_writes() {
    assert_eq!(encode(&columns(&expected("SampleColumns.v1"))), read("SampleColumns.v1.avro"));
}
