//! Samples that went in through two gateways and a direct producer come out through the query-api, each once.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use luminate_tests::Cluster;
use luminate_tests::cluster::direct::DirectProducer;
use luminate_tests::cluster::{ClusterOptions, client};
use luminate_tests::samples::SampleMaker;
use luminate_tests::wait;
use serde_json::{Value, json};

const METRIC: &str = "http_requests";

/// One sample for each request in the access log of [`Path`] `tests/data`: its status as value, its client as dimension.
fn requests() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/apache_access.log.gz");
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap())).lines();
    let sample = |(second, line): (usize, String)| {
        let (client, rest) = line.split_once(' ')?;
        let status: u16 = rest.rsplit('"').nth(4)?.split_whitespace().next()?.parse().ok()?;
        let timestamp = 1_431_820_800_000_i64 + second as i64 * 10_000;
        Some(json!({
            "name": METRIC, "timestamp": timestamp, "value": status,
            "dimensions": {"client": client, "status": status.to_string()},
        }))
    };
    lines.map(Result::unwrap).enumerate().filter_map(sample).collect()
}

/// How many samples there are of each status, by counting them here.
fn by_status<'a>(samples: impl IntoIterator<Item = &'a Value>) -> Vec<(String, f64)> {
    let mut counts = std::collections::BTreeMap::<String, f64>::new();
    for sample in samples {
        *counts.entry(sample["dimensions"]["status"].as_str().unwrap().to_owned()).or_default() += 1.0;
    }
    counts.into_iter().collect()
}

#[test]
fn what_goes_in_by_gateways_and_a_direct_producer_comes_out() {
    let options = ClusterOptions { direct_tenants: vec!["acme".to_owned()], ..ClusterOptions::default() };
    let cluster = Cluster::prepare(options);
    let gateways = [cluster.start_gateway(), cluster.start_gateway()];
    let query = cluster.start_query();
    let _writers = [cluster.start_writer(), cluster.start_writer()];
    let samples = requests();
    assert!(samples.len() > 9_000, "the access log has {} requests", samples.len());
    let (direct, by_http) = samples.split_at(samples.len() / 3);

    let lines: String = direct.iter().map(|sample| format!("{sample}\n")).collect();
    DirectProducer::default().write_all(&cluster, "acme", &lines);
    let mut receipts = Vec::new();
    for (number, chunk) in by_http.chunks(500).enumerate() {
        let gateway = &gateways[number % 2];
        receipts.push(client(gateway, "acme").write_all(&json!({ "metrics": chunk })));
    }

    let reader = client(&query, "acme");
    // A receipt holds for its own request alone: by the last two all that came through gateways is there.
    for receipt in &receipts[receipts.len() - 2..] {
        assert!(reader.count(Some(receipt), METRIC) >= by_http.len() as u64, "the receipt {receipt} is not honoured");
    }
    // A direct producer has no receipt.
    wait::until("the direct producer's samples are stored", || {
        (reader.count(None, METRIC) >= samples.len() as u64).then_some(())
    });
    let answer = reader.query(
        None,
        &json!({
            "queryType": "aggregate", "metricName": METRIC, "aggregation": "count", "groupBy": ["status"],
            "timeRange": {"start": 0, "end": 4_102_444_800_000_i64},
        }),
    );
    let results = answer["results"].as_array().unwrap().iter();
    let found: Vec<_> = results
        .map(|row| (row["group"]["status"].as_str().unwrap().to_owned(), row["value"].as_f64().unwrap()))
        .collect();
    assert_eq!(found, by_status(&samples));
    assert_eq!(client(&query, "other").count(None, METRIC), 0, "another tenant sees nothing of it");
}

#[test]
fn a_repeat_is_stored_once_also_across_a_writers_restart_and_crash() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let gateways = [cluster.start_gateway(), cluster.start_gateway()];
    let query = cluster.start_query();
    let mut writer = cluster.start_writer();
    // More samples than one record takes, so that the request has several parts.
    let (body, numbers) = SampleMaker::new(1).body("keyed", 12_000);
    let write = |number: usize, key: &str| {
        let answer = client(&gateways[number], "acme").post_json("/api/v1/write", &[("Idempotency-Key", key)], &body);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 202, "{}", answer.json());
        answer.json()["receipt"].as_str().unwrap().to_owned()
    };
    let count = |receipt: &str| client(&query, "acme").count(Some(receipt), "keyed");
    write(0, "first");
    assert_eq!(count(&write(1, "first")), numbers.end, "another gateway repeats it");

    assert!(writer.stop().success(), "{}", writer.log());
    writer.start_again();
    assert_eq!(count(&write(0, "first")), numbers.end);

    writer.kill();
    let receipt = write(1, "first");
    writer.start_again();
    assert_eq!(count(&receipt), numbers.end);

    assert_eq!(count(&write(0, "second")), 2 * numbers.end, "another key is another request");
}
