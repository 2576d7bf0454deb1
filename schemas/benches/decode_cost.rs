//! What it costs to read a record, in both forms, beside the `apache-avro` library: CPU time of one thread, per sample.
//!
//! `cargo bench -p luminate-schemas [-- part of a step's name]`
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use luminate_model::{SampleColumns, SampleColumnsBuilder, TenantId};
use luminate_schemas::single_object::HEADER_BYTES;
use luminate_schemas::{SAMPLE_ROWS_V1, encode, sample_columns, sample_rows};

const NOW: i64 = 1_735_603_200_000;

/// Samples a record.
const SAMPLES: usize = 1000;

/// Samples of six dimensions, two of them of many values.
fn samples() -> SampleColumns {
    let mut builder = SampleColumnsBuilder::new();
    for n in 0..SAMPLES {
        let dimensions = [
            ("customer_id", format!("cust_{:06}", n * 7919 % 1_000_000)),
            ("endpoint", format!("/api/v1/resource_{}", n % 40)),
            ("host", format!("web-{:03}", n % 100)),
            ("method", ["GET", "POST", "PUT"][n % 3].to_owned()),
            ("region", ["eu-west-1", "us-east-1", "ap-south-1"][n % 3].to_owned()),
            ("status", ["200", "404", "500"][n / 7 % 3].to_owned()),
        ];
        let timestamp = NOW - (n as i64 % 60_000);
        builder.push("api_latency", 0, timestamp, (n * 7919 % 100_000) as f64 / 10.0, &dimensions);
    }
    builder.finish()
}

/// A datum of these samples whose maps are in no order, as a library with hash maps writes it.
fn in_no_order(samples: &SampleColumns) -> Vec<u8> {
    let sample = |(n, row): (usize, luminate_model::columns::SampleRow<'_>)| {
        let mut dimensions: Vec<_> = row.dimensions().collect();
        dimensions.rotate_left(n % 6);
        dimensions.swap(1, 4);
        let mut out = Vec::new();
        let string = |out: &mut Vec<u8>, text: &str| {
            // Shorter than 64 bytes: a length of one byte.
            out.push(text.len() as u8 * 2);
            out.extend_from_slice(text.as_bytes());
        };
        string(&mut out, row.metric());
        let mut zigzag = row.timestamp as u64 * 2;
        while zigzag >= 0x80 {
            out.push(zigzag as u8 | 0x80);
            zigzag >>= 7;
        }
        out.push(zigzag as u8);
        out.extend_from_slice(&row.value.to_le_bytes());
        out.push(dimensions.len() as u8 * 2);
        for (key, value) in dimensions {
            string(&mut out, key);
            string(&mut out, value);
        }
        out.push(0);
        out
    };
    // No tenant, a block of 1000, the samples, the end.
    let samples: Vec<u8> = samples.rows().enumerate().flat_map(sample).collect();
    [&[0, 0xd0, 0x0f][..], &samples, &[0]].concat()
}

/// The CPU time that this thread has used.
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Runs a step often, and prints the best of several rounds.
fn measure(name: &str, mut step: impl FnMut() -> usize) {
    // Cargo adds `--bench`.
    if std::env::args().skip(1).any(|wanted| !wanted.starts_with("--") && !name.contains(&wanted)) {
        return;
    }
    let mut best = f64::INFINITY;
    for _ in 0..20 {
        let (began, began_cpu) = (Instant::now(), cpu_nanoseconds());
        let mut samples = 0;
        while began.elapsed().as_millis() < 50 {
            samples += step();
        }
        best = best.min((cpu_nanoseconds() - began_cpu) as f64 / samples as f64);
    }
    println!("{name:<60} {best:>8.1} ns a sample");
}

fn main() {
    let samples = samples();
    let owner = TenantId::parse("acme").unwrap();
    let rows = sample_rows::encode(None, &samples);
    let rows_datum = &rows[HEADER_BYTES..];
    let unordered = in_no_order(&samples);
    let columns = encode(&samples);
    let bytes = |value: &[u8]| value.len() as f64 / SAMPLES as f64;
    println!(
        "{SAMPLES} samples of 6 dimensions: rows {:.1} bytes a sample, columns {:.1}",
        bytes(&rows),
        bytes(&columns)
    );

    let decode_rows = |datum: &[u8]| {
        let judged = sample_rows::decode_v1(datum, &owner, NOW).unwrap();
        assert!(judged.rejected.is_empty());
        black_box(judged).samples.len()
    };
    measure("decode rows into columns, with all checks", || decode_rows(rows_datum));
    measure("decode rows, keys in no order", || decode_rows(&unordered));
    let schema = Schema::parse_str(SAMPLE_ROWS_V1).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    measure("decode rows, apache-avro, into its values", || {
        let Value::Record(fields) = black_box(reader.read_value(&mut &rows_datum[..]).unwrap()) else { return 0 };
        let Value::Array(samples) = &fields[1].1 else { return 0 };
        samples.len()
    });
    let columns_datum = &columns[HEADER_BYTES..];
    measure("decode columns, with all checks", || black_box(sample_columns::decode_v1(columns_datum).unwrap()).len());
    measure("decode columns of a direct producer", || {
        let columns = sample_columns::decode_v1(columns_datum).unwrap();
        black_box(sample_columns::judge(columns, NOW)).samples.len()
    });
    measure("encode rows", || black_box(sample_rows::encode(None, &samples)).len().min(1) * SAMPLES);
}
