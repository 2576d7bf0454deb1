//! The codec written by hand against the `apache-avro` library: both read what the other wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use luminate_model::{SampleColumns, SampleColumnsBuilder};
use luminate_schemas::sample_columns::FINGERPRINT_V1;
use luminate_schemas::single_object::{self, HEADER_BYTES};
use luminate_schemas::{DecodeError, SAMPLE_COLUMNS_V1, decode, encode};
use proptest::prelude::*;

fn schema() -> Schema {
    Schema::parse_str(SAMPLE_COLUMNS_V1).expect("the published schema is a schema")
}

/// A sample as it is pushed: metric, retention, timestamp, value, sorted dimensions.
type Pushed = (String, u16, i64, f64, Vec<(String, String)>);

fn sample() -> impl Strategy<Value = Pushed> {
    let text = || prop_oneof![8 => "[a-e]{1,3}", 1 => "\\PC{1,20}", 1 => Just("x".repeat(1000))];
    let dimensions = prop::collection::btree_map(text(), text(), 0..6);
    let timestamp = prop_oneof![1_735_600_000_000_i64..1_735_700_000_000, luminate_model::time::MIN_TIMESTAMP..0];
    let value = prop_oneof![Just(0.0), Just(-0.0), Just(f64::MIN_POSITIVE), Just(f64::MAX), -1e6..1e6];
    let text = text();
    (text, 0_u16..=10_000, timestamp, value, dimensions)
        .prop_map(|(metric, days, timestamp, value, dims)| (metric, days, timestamp, value, dims.into_iter().collect()))
}

fn columns(samples: &[Pushed]) -> SampleColumns {
    let mut builder = SampleColumnsBuilder::new();
    for (metric, days, timestamp, value, dimensions) in samples {
        builder.push(metric, *days, *timestamp, *value, dimensions);
    }
    builder.finish()
}

/// The columns as the library's value.
fn to_avro(columns: &SampleColumns) -> Value {
    let p = columns.parts();
    let int = |at: u32| Value::Int(i32::try_from(at).expect("small"));
    let ints = |items: &[u32]| Value::Array(items.iter().map(|at| int(*at)).collect());
    let strings = |table: &luminate_model::StringTable| {
        Value::Array(table.iter().map(|string| Value::String(string.to_owned())).collect())
    };
    let metrics = p.metrics.iter().zip(&p.retention_days).map(|(name, days)| {
        Value::Record(vec![
            ("name".into(), Value::String(name.to_owned())),
            ("retentionDays".into(), Value::Int(i32::from(*days))),
        ])
    });
    let shapes = (0..p.shape_ends.len() as u32).map(|shape| ints(columns.shape(shape)));
    let before = std::iter::once(0).chain(p.timestamps.iter().copied());
    let deltas = p.timestamps.iter().zip(before).map(|(timestamp, before)| Value::Long(timestamp - before));
    Value::Record(vec![
        ("metrics".into(), Value::Array(metrics.collect())),
        ("keys".into(), strings(&p.keys)),
        ("values".into(), strings(&p.values)),
        ("shapes".into(), Value::Array(shapes.collect())),
        ("sampleMetrics".into(), ints(&p.sample_metric)),
        ("sampleShapes".into(), ints(&p.sample_shape)),
        ("timestampDeltas".into(), Value::Array(deltas.collect())),
        ("sampleValues".into(), Value::Array(p.sample_values.iter().map(|value| Value::Double(*value)).collect())),
        ("dimensionValues".into(), ints(&p.dimension_values)),
    ])
}

#[test]
fn fingerprint_is_the_schemas() {
    let fingerprint = schema().fingerprint::<Rabin>();
    assert_eq!(fingerprint.bytes, FINGERPRINT_V1.to_le_bytes());
}

#[test]
fn no_samples_are_a_value_too() {
    let empty = SampleColumns::default();
    assert_eq!(decode(&encode(&empty)).expect("decodes"), empty);
}

#[test]
fn another_schema_is_unknown_and_another_form_malformed() {
    let mut value = encode(&SampleColumns::default());
    value[2] ^= 1;
    let unknown = DecodeError::SchemaUnknown { fingerprint: FINGERPRINT_V1 ^ 1 };
    assert_eq!(decode(&value), Err(unknown.clone()));
    assert_eq!(unknown.code().code(), "record_schema_unknown");
    assert_eq!(
        unknown.to_string(),
        "the value was written with the schema of fingerprint 31af8e15c61cc90a, which is not known here; known are \
         SampleColumns.v1 (31af8e15c61cc90b) and SampleRows.v1 (20b0137195a0d099)"
    );
    assert_eq!(decode(b"{}").map_err(|error| error.code().code()), Err("record_malformed"));
}

#[test]
fn contradictory_columns_are_malformed() {
    let none: [(&str, &str); 0] = [];
    let mut builder = SampleColumnsBuilder::new();
    builder.push("m", 0, 1, f64::NAN, &none);
    let error = decode(&encode(&builder.finish())).expect_err("NaN is in no record");
    assert_eq!(
        (error.code().code(), error.to_string()),
        ("record_malformed", "invalid sample columns: a value is not finite".to_owned())
    );
}

/// The same values on every run.
fn seeded() -> ProptestConfig {
    ProptestConfig {
        cases: 200,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn what_was_encoded_is_decoded(samples in prop::collection::vec(sample(), 0..40)) {
        let columns = columns(&samples);
        prop_assert_eq!(decode(&encode(&columns)).expect("decodes"), columns);
    }

    #[test]
    fn the_library_reads_what_we_write(samples in prop::collection::vec(sample(), 0..40)) {
        let columns = columns(&samples);
        let value = encode(&columns);
        let schema = schema();
        let reader = GenericDatumReader::builder(&schema).build().expect("the library takes the schema");
        let read = reader.read_value(&mut &value[HEADER_BYTES..]).expect("the library reads it");
        prop_assert_eq!(read, to_avro(&columns));
    }

    #[test]
    fn we_read_what_the_library_writes(samples in prop::collection::vec(sample(), 0..40)) {
        let columns = columns(&samples);
        let mut value = single_object::header(FINGERPRINT_V1).to_vec();
        let schema = schema();
        let writer = GenericDatumWriter::builder(&schema).build().expect("the library takes the schema");
        value.extend(writer.write_value_to_vec(to_avro(&columns)).expect("the library writes it"));
        prop_assert_eq!(decode(&value).expect("decodes"), columns);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut value = single_object::header(FINGERPRINT_V1).to_vec();
        value.extend(&bytes);
        let _ = decode(&value);
        let _ = decode(&bytes);
    }

    #[test]
    fn spoilt_values_are_refused_or_other_columns(
        samples in prop::collection::vec(sample(), 1..10), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let value = encode(&columns(&samples));
        let mut spoilt = value.clone();
        spoilt[at.index(value.len())] = byte;
        let cut = &value[..at.index(value.len())];
        prop_assert!(decode(cut).is_err());
        if let Ok(columns) = decode(&spoilt) {
            // Whatever is let in keeps the promises of checked columns.
            prop_assert!(SampleColumns::try_from_parts(columns.parts().clone()).is_ok());
        }
    }
}
