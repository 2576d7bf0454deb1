//! Samples that went in through two gateways and a direct producer come out through the query-api, each once.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use luminate_tests::cluster::direct::DirectProducer;
use luminate_tests::cluster::{ClusterOptions, client};
use luminate_tests::samples::{SampleMaker, now_ms};
use luminate_tests::{Client, Cluster, wait};
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

/// Counts or sums of samples by the values of a dimension.
type Totals = BTreeMap<String, f64>;

/// The totals of an aggregation by a dimension, computed here.
fn expected(samples: &[Value], aggregation: &str, dimension: &str) -> Totals {
    let mut totals = Totals::new();
    for sample in samples {
        let group = sample["dimensions"][dimension].as_str().unwrap();
        let share = if aggregation == "count" { 1.0 } else { sample["value"].as_f64().unwrap() };
        *totals.entry(group.to_owned()).or_default() += share;
    }
    totals
}

/// The same as a query-api answers.
fn answered(reader: &Client, aggregation: &str, dimension: &str) -> Totals {
    let answer = reader.query(
        None,
        &json!({
            "queryType": "aggregate", "metricName": METRIC, "aggregation": aggregation, "groupBy": [dimension],
            "timeRange": {"start": 0, "end": 4_102_444_800_000_i64}, "limit": 10_000,
        }),
    );
    assert_eq!(answer["truncated"], false, "{answer}");
    let results = answer["results"].as_array().unwrap().iter();
    results.map(|row| (row["group"][dimension].as_str().unwrap().to_owned(), row["value"].as_f64().unwrap())).collect()
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

    let mut receipts = Vec::new();
    std::thread::scope(|scope| {
        let lines: String = direct.iter().map(|sample| format!("{sample}\n")).collect();
        let cluster = &cluster;
        scope.spawn(move || DirectProducer::default().write_all(cluster, "acme", &lines));
        for (number, chunk) in by_http.chunks(500).enumerate() {
            let gateway = &gateways[number % 2];
            receipts.push(client(gateway, "acme").write_all(&json!({ "metrics": chunk })));
        }
    });

    let reader = client(&query, "acme");
    // A receipt holds for its own request alone: by the last two all that came through gateways is there.
    for receipt in &receipts[receipts.len() - 2..] {
        assert!(reader.count(Some(receipt), METRIC) >= by_http.len() as u64, "the receipt {receipt} is not honoured");
    }
    // A direct producer has no receipt.
    wait::until("the direct producer's samples are stored", || {
        (reader.count(None, METRIC) >= samples.len() as u64).then_some(())
    });
    for (aggregation, dimension) in [("count", "status"), ("sum", "status"), ("count", "client"), ("sum", "client")] {
        let found = answered(&reader, aggregation, dimension);
        assert_eq!(found, expected(&samples, aggregation, dimension), "{aggregation} by {dimension}");
    }
    cluster.operate(&["reconcile"]);
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

/// The table's arithmetic of times must not wrap: not before 1970, and not where a time and a long retention add up to more than
/// a number of seconds holds.
#[test]
fn samples_of_all_times_are_there_whatever_their_retention() {
    const DAY: i64 = 86_400_000;
    let retention = json!({"tenants": {"long": {"defaultDays": 10_000}, "short": {"defaultDays": 2}}});
    let gateway = json!({"gateway": {"samples": {"furthestFuture": "200000d"}}});
    let cluster = Cluster::prepare(ClusterOptions { gateway, retention, ..ClusterOptions::default() });
    let (gateway, query, _writer) = (cluster.start_gateway(), cluster.start_query(), cluster.start_writer());
    let now = now_ms();
    let (first, last) = (-2_208_988_800_000, 10_413_791_999_999);
    let ahead = [now, now + 3650 * DAY, 4_294_967_295_000, 4_294_967_296_000, last];
    let tenants = [
        ("ever", [&[first, -1, 0, now - 10_001 * DAY], ahead.as_slice()].concat()),
        ("long", [&[now - 9_999 * DAY], ahead.as_slice()].concat()),
        ("short", [&[now - DAY], ahead.as_slice()].concat()),
    ];
    let receipts = tenants.each_ref().map(|(tenant, times)| {
        let sample = |time: &i64| json!({"name": "times", "timestamp": time, "value": 1});
        client(&gateway, tenant).write_all(&json!({"metrics": times.iter().map(sample).collect::<Vec<_>>()}))
    });
    for merged in [false, true] {
        for ((tenant, times), receipt) in tenants.iter().zip(&receipts) {
            let answer = client(&query, tenant).query(
                Some(receipt),
                &json!({"queryType": "raw", "metricName": "times", "timeRange": {"start": first, "end": last + 1}}),
            );
            let found = answer["samples"].as_array().unwrap().iter();
            let found: Vec<i64> = found.map(|sample| sample["timestamp"].as_i64().unwrap()).collect();
            assert_eq!(&found, times, "of the tenant {tenant}, merged: {merged}");
        }
        // Merges remove what has expired.
        cluster.clickhouse.query(&format!("OPTIMIZE TABLE {}.samples FINAL", cluster.database()));
    }
}
