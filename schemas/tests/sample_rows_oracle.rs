//! The codec of `SampleRows` against the `apache-avro` library, and what becomes of single samples.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use luminate_model::validation::SampleLimits;
use luminate_model::{Sample, SampleColumns, SampleColumnsBuilder, TenantId};
use luminate_schemas::judged::MAX_SINGLE_REJECTS;
use luminate_schemas::sample_rows::{FINGERPRINT_V1, decode_v1, encode};
use luminate_schemas::single_object::HEADER_BYTES;
use luminate_schemas::{JudgedSamples, SAMPLE_ROWS_V1};
use proptest::prelude::*;

const APPEND_TIME: i64 = 1_735_603_200_000;

/// Two lengths, a timestamp of one byte, a value, the end of no dimensions.
const SMALLEST_SAMPLE_BYTES: usize = 11;

fn schema() -> Schema {
    Schema::parse_str(SAMPLE_ROWS_V1).expect("the published schema is a schema")
}

fn owner() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// A sample as a producer may give it, valid or not.
#[derive(Debug, Clone)]
struct Given {
    name: String,
    timestamp: i64,
    value: f64,
    dimensions: BTreeMap<String, String>,
}

fn given(may_be_invalid: bool) -> impl Strategy<Value = Given> {
    let wrong = u32::from(may_be_invalid);
    let text = move || prop_oneof![16 => "[a-e]{1,3}", 2 => "\\PC{1,20}", 1 => Just("x".repeat(1000)), wrong => Just("a\n".to_owned()), wrong => Just("y".repeat(1025))];
    let key = move || prop_oneof![30 => text(), wrong => Just(String::new())];
    let value_text = move || prop_oneof![20 => text(), 2 => Just(String::new())];
    let timestamp = prop_oneof![
        20 => APPEND_TIME - 1_000_000..APPEND_TIME + 3_600_000,
        2 => luminate_model::time::MIN_TIMESTAMP..0,
        wrong => Just(i64::MAX),
        wrong => Just(i64::MIN),
        wrong => Just(APPEND_TIME + 3_600_001),
    ];
    let value = prop_oneof![
        8 => -1e6..1e6,
        1 => Just(-0.0),
        1 => Just(f64::MAX),
        wrong => Just(f64::NAN),
        wrong => Just(f64::INFINITY)
    ];
    let dimensions = prop::collection::btree_map(key(), value_text(), 0..6);
    (key(), timestamp, value, dimensions).prop_map(|(name, timestamp, value, dimensions)| Given {
        name,
        timestamp,
        value,
        dimensions,
    })
}

/// The samples as the library's value.
fn to_avro(tenant: Option<&str>, samples: &[Given]) -> Value {
    let tenant = match tenant {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(tenant) => Value::Union(1, Box::new(Value::String(tenant.to_owned()))),
    };
    let sample = |given: &Given| {
        let dimensions: HashMap<_, _> =
            given.dimensions.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect();
        Value::Record(vec![
            ("name".into(), Value::String(given.name.clone())),
            ("timestamp".into(), Value::Long(given.timestamp)),
            ("value".into(), Value::Double(given.value)),
            ("dimensions".into(), Value::Map(dimensions)),
        ])
    };
    let samples = samples.iter().map(sample).collect();
    Value::Record(vec![("tenant".into(), tenant), ("samples".into(), Value::Array(samples))])
}

/// A datum that the library writes.
fn written(tenant: Option<&str>, samples: &[Given]) -> Vec<u8> {
    let schema = schema();
    let writer = GenericDatumWriter::builder(&schema).build().expect("the library takes the schema");
    writer.write_value_to_vec(to_avro(tenant, samples)).expect("the library writes it")
}

/// A sample in a form that is equal to itself also where the value is NaN.
fn comparable(given: &Given) -> (String, i64, u64, BTreeMap<String, String>) {
    (given.name.clone(), given.timestamp, given.value.to_bits(), given.dimensions.clone())
}

/// The samples of a datum as the library reads them.
fn read_by_library(mut datum: &[u8]) -> Vec<(String, i64, u64, BTreeMap<String, String>)> {
    let schema = schema();
    let reader = GenericDatumReader::builder(&schema).build().expect("the library takes the schema");
    let Value::Record(fields) = reader.read_value(&mut datum).expect("the library reads it") else {
        panic!("a record")
    };
    let Value::Array(samples) = &fields[1].1 else { panic!("an array") };
    let sample = |sample: &Value| {
        let Value::Record(fields) = sample else { panic!("a record") };
        let [(_, Value::String(name)), (_, Value::Long(timestamp)), (_, Value::Double(value)), (_, Value::Map(map))] =
            fields.as_slice()
        else {
            panic!("a sample")
        };
        let text = |value: &Value| if let Value::String(text) = value { text.clone() } else { panic!("a string") };
        let dimensions = map.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        (name.clone(), *timestamp, value.to_bits(), dimensions)
    };
    samples.iter().map(sample).collect()
}

fn columns(samples: &[Given]) -> SampleColumns {
    let mut builder = SampleColumnsBuilder::new();
    for given in samples {
        let dimensions: Vec<_> = given.dimensions.iter().filter(|(_, value)| !value.is_empty()).collect();
        builder.push(&given.name, 0, given.timestamp, given.value, &dimensions);
    }
    builder.finish()
}

/// What the model says of a sample.
fn is_valid(given: &Given) -> bool {
    let mut dimensions: Vec<_> = given.dimensions.iter().collect();
    let limits = &SampleLimits::DIRECT;
    limits.check(&given.name, given.timestamp, given.value, &mut dimensions, APPEND_TIME, 0).is_ok()
}

fn decode(datum: &[u8]) -> Result<JudgedSamples, luminate_schemas::DecodeError> {
    decode_v1(datum, &owner(), APPEND_TIME)
}

fn rows(columns: &SampleColumns) -> Vec<Sample> {
    columns.rows().map(|row| row.to_sample()).collect()
}

#[test]
fn fingerprint_is_the_schemas() {
    assert_eq!(schema().fingerprint::<Rabin>().bytes, FINGERPRINT_V1.to_le_bytes());
}

#[test]
fn a_named_tenant_must_be_the_owner() {
    assert!(decode(&written(Some("acme"), &[])).is_ok());
    let refused = decode(&written(Some("acme2"), &[])).unwrap_err();
    assert_eq!(refused.code().code(), "tenant_mismatch");
    assert_eq!(refused.to_string(), "the record names the tenant \"acme2\", and belongs to acme");
    assert_eq!(decode(&[4, 0]).unwrap_err().code().code(), "record_malformed", "a third branch of the union");
}

#[test]
fn a_key_given_twice_is_a_reject_though_a_map_would_not_show_it() {
    // One sample "m" at 0 with value 0 and the dimensions a=1, a=2.
    let mut datum = vec![0, 2, 2, b'm', 0];
    datum.extend(0_f64.to_le_bytes());
    datum.extend([4, 2, b'a', 2, b'1', 2, b'a', 2, b'2', 0, 0]);
    let judged = decode(&datum).unwrap();
    assert_eq!((judged.samples.len(), judged.rejected[0].reject.code.code()), (0, "duplicate_key"));
}

#[test]
fn maps_and_arrays_may_come_in_blocks_with_or_without_sizes() {
    let sample = |dimensions: &[u8]| [&[2, b'm', 0][..], &0_f64.to_le_bytes(), dimensions].concat();
    let plain = sample(&[4, 2, b'a', 2, b'1', 2, b'b', 2, b'2', 0]);
    let in_blocks = sample(&[1, 8, 2, b'a', 2, b'1', 2, 2, b'b', 2, b'2', 0]);
    let size = [&[1_u8][..], &[plain.len() as u8 * 2]].concat();
    let datum = [&[0_u8, 2][..], &plain, &size, &in_blocks, &[0]].concat();
    let judged = decode(&datum).unwrap();
    assert_eq!((judged.samples.len(), judged.samples.parts().shape_ends.len()), (2, 1));
}

#[test]
fn of_very_many_rejects_the_last_are_kept_together() {
    let bad = |at: usize| Given { name: String::new(), timestamp: at as i64, value: 1.0, dimensions: BTreeMap::new() };
    let count = MAX_SINGLE_REJECTS + 7;
    let judged = decode(&written(None, &(0..count).map(bad).collect::<Vec<_>>())).unwrap();
    assert_eq!(judged.rejected.len(), MAX_SINGLE_REJECTS + 1);
    assert_eq!(judged.rejected.iter().map(|rejected| rejected.samples as usize).sum::<usize>(), count);
    let last = judged.rejected.last().unwrap();
    assert_eq!((last.index as usize, last.samples), (MAX_SINGLE_REJECTS, 7));
    assert_eq!(last.reject.detail, "name is empty (the first of 7 samples that are kept together)");
    // They are still there, to be looked at or written again.
    assert_eq!(decode(&last.value[HEADER_BYTES..]).unwrap().rejected.len(), 7);
}

/// The same values on every run.
fn seeded() -> ProptestConfig {
    ProptestConfig {
        cases: 300,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(seeded())]

    #[test]
    fn we_read_what_the_library_writes(samples in prop::collection::vec(given(false), 0..40)) {
        let judged = decode(&written(None, &samples)).expect("decodes");
        prop_assert_eq!(&judged.rejected, &Vec::new());
        // Equal row by row: the library's maps have an order of their own, and with it the dictionaries.
        prop_assert_eq!(rows(&judged.samples), rows(&columns(&samples)));
        prop_assert!(SampleColumns::try_from_parts(judged.samples.parts().clone()).is_ok());
    }

    #[test]
    fn the_library_reads_what_we_write(samples in prop::collection::vec(given(false), 0..40)) {
        let columns = columns(&samples);
        let schema = schema();
        let reader = GenericDatumReader::builder(&schema).build().expect("the library takes the schema");
        for tenant in [None, Some(owner())] {
            let value = encode(tenant.as_ref(), &columns);
            let read = reader.read_value(&mut &value[HEADER_BYTES..]).expect("the library reads it");
            let mut kept = samples.clone();
            for given in &mut kept {
                given.dimensions.retain(|_, value| !value.is_empty());
            }
            prop_assert_eq!(read, to_avro(tenant.as_ref().map(TenantId::as_str), &kept));
        }
    }

    /// Each sample is judged as the model judges it; the rejected ones are still whole, in records of their own.
    #[test]
    fn every_sample_is_stored_or_kept(samples in prop::collection::vec(given(true), 0..40)) {
        let judged = decode(&written(None, &samples)).expect("decodes");
        let (valid, invalid): (Vec<_>, Vec<_>) = samples.iter().enumerate().partition(|(_, given)| is_valid(given));
        let valid: Vec<_> = valid.into_iter().map(|(_, given)| given.clone()).collect();
        prop_assert_eq!(rows(&judged.samples), rows(&columns(&valid)));
        prop_assert_eq!(judged.rejected.len(), invalid.len());
        for (rejected, (index, given)) in judged.rejected.iter().zip(invalid) {
            prop_assert_eq!((rejected.index as usize, rejected.samples), (index, 1));
            let again = decode(&rejected.value[HEADER_BYTES..]).expect("decodes");
            prop_assert_eq!(again.samples.len(), 0);
            prop_assert_eq!(&again.rejected[0].reject, &rejected.reject);
            prop_assert_eq!(read_by_library(&rejected.value[HEADER_BYTES..]), vec![comparable(given)]);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    /// Bytes that look like samples, so that more of the decoder sees them.
    #[test]
    fn spoilt_values_are_refused_or_other_samples(
        samples in prop::collection::vec(given(true), 1..10),
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let datum = written(None, &samples);
        let mut other = datum.clone();
        for (at, byte) in &spoilt {
            other[at.index(datum.len())] = *byte;
        }
        let cut = spoilt[0].0.index(datum.len());
        prop_assert!(decode(&datum[..cut]).is_err());
        if let Ok(judged) = decode(&other) {
            prop_assert!(SampleColumns::try_from_parts(judged.samples.parts().clone()).is_ok());
            let samples = judged.samples.len() + judged.rejected.iter().map(|r| r.samples as usize).sum::<usize>();
            prop_assert!(samples <= other.len() / SMALLEST_SAMPLE_BYTES);
        }
    }
}
