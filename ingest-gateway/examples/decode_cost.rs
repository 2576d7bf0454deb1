//! What a sample costs the gateway, step by step: CPU time of one thread, per sample.
//!
//! `cargo run --release -p luminate-ingest-gateway --example decode_cost [part of a step's name]`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use luminate_ingest_gateway::GatewayConfig;
use luminate_ingest_gateway::decode::{DecodedSample, Decoder, JsonDecoder, NdjsonDecoder, RequestFault, SampleSink};
use luminate_ingest_gateway::intake::Taker;
use luminate_ingest_gateway::validate::Validator;
use luminate_model::Reject;
use luminate_schemas::{decode, encode};

const NOW: i64 = 1_735_603_200_000;

/// Samples a request.
const SAMPLES: usize = 1000;

/// Takes samples and does nothing with them.
struct Nothing(usize);

impl<'b> SampleSink<'b> for Nothing {
    fn take(&mut self, _at: usize, sample: Result<&mut DecodedSample<'b>, Reject>) -> Result<(), RequestFault> {
        self.0 += usize::from(black_box(sample).is_ok());
        Ok(())
    }
}

/// Judges samples and does nothing with them.
struct Judge(Validator, usize);

impl<'b> SampleSink<'b> for Judge {
    fn take(&mut self, _at: usize, sample: Result<&mut DecodedSample<'b>, Reject>) -> Result<(), RequestFault> {
        self.1 += usize::from(sample.and_then(|sample| black_box(self.0.judge(sample)).map(drop)).is_ok());
        Ok(())
    }
}

fn validator() -> Validator {
    let limits = GatewayConfig::default().sample_limits();
    Validator { limits, retention: Arc::default(), now: NOW }
}

fn taker(shards: u32) -> Taker {
    Taker::new(validator(), NonZeroU32::new(shards).unwrap(), NonZeroU32::new(1_000_000).unwrap())
}

/// Metrics of six dimensions, two of them of many values; keys in the order in which they are sorted, or not.
fn metrics(is_sorted: bool) -> Vec<String> {
    let metric = |n: usize| {
        let timestamp = NOW - (n as i64 % 60_000);
        let value = (n * 7919 % 100_000) as f64 / 10.0;
        let mut dimensions = [
            ("customer_id", format!("cust_{:06}", n * 7919 % 1_000_000)),
            ("endpoint", format!("/api/v1/resource_{}", n % 40)),
            ("host", format!("web-{:03}", n % 100)),
            ("method", ["GET", "POST", "PUT"][n % 3].to_owned()),
            ("region", ["eu-west-1", "us-east-1", "ap-south-1"][n % 3].to_owned()),
            ("status", ["200", "404", "500"][n / 7 % 3].to_owned()),
        ];
        if !is_sorted {
            dimensions.reverse();
        }
        let mut text = format!(r#"{{"name":"api_latency","timestamp":{timestamp},"value":{value},"dimensions":{{"#);
        for (at, (key, value)) in dimensions.iter().enumerate() {
            write!(text, r#"{}"{key}":"{value}""#, if at > 0 { "," } else { "" }).unwrap();
        }
        text + "}}"
    };
    (0..SAMPLES).map(metric).collect()
}

/// The CPU time that this thread has used.
fn cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Runs a step often, and prints the best of several rounds.
fn measure(name: &str, mut step: impl FnMut() -> usize) {
    if std::env::args().nth(1).is_some_and(|wanted| !name.contains(&wanted)) {
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
    let json = format!(r#"{{"metrics":[{}]}}"#, metrics(true).join(","));
    let unsorted = format!(r#"{{"metrics":[{}]}}"#, metrics(false).join(","));
    let ndjson = metrics(true).join("\n");
    println!("{SAMPLES} samples a request, 6 dimensions, {} bytes of JSON a sample", json.len() / SAMPLES);

    let decode_only = |decoder: &dyn Decoder, body: &str| {
        let mut sink = Nothing(0);
        decoder.decode(body.as_bytes(), &mut sink).unwrap();
        sink.0
    };
    measure("decode JSON", || decode_only(&JsonDecoder, &json));
    measure("decode NDJSON", || decode_only(&NdjsonDecoder, &ndjson));
    let judge = |body: &str| {
        let mut sink = Judge(validator(), 0);
        JsonDecoder.decode(body.as_bytes(), &mut sink).unwrap();
        sink.1
    };
    measure("decode and validate", || judge(&json));
    measure("decode and validate, keys not sorted", || judge(&unsorted));
    let take = |shards: u32, body: &str| {
        let intake = taker(shards).take_all(&JsonDecoder, body.as_bytes()).unwrap();
        assert_eq!(intake.rejects.total(), 0);
        black_box(intake).samples as usize
    };
    measure("decode, validate, route (with encoding)", || take(1, &json));
    measure("decode, validate, route, keys not sorted", || take(1, &unsorted));
    measure("decode, validate, route to 8 shards", || take(8, &json));

    let intake = taker(1).take_all(&JsonDecoder, json.as_bytes()).unwrap();
    let value = &intake.routed.parts[0].value;
    let columns = decode(value).unwrap();
    println!("a record has {:.1} bytes a sample", value.len() as f64 / SAMPLES as f64);
    measure("encode columns", || black_box(encode(&columns)).len().min(1) * SAMPLES);
    measure("decode columns, with all checks", || black_box(decode(value).unwrap()).len());
}
