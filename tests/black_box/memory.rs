//! The most memory that a server takes, with more clients than it can serve: what is documented, and no more.

use std::process::Command;
use std::sync::Mutex;

use luminate_tests::samples::now_ms;
use luminate_tests::server::binary;
use luminate_tests::{Client, Server, process};
use serde_json::{Value, json};

const WRITERS: usize = 200;
const QUERIES: usize = 50;
/// The defaults, which `docs/operations.md` counts with.
const MAX_BODY_BYTES: usize = 16 << 20;
const MAX_SAMPLES: usize = 100_000;

/// The settings of a server without settings.
fn defaults() -> Value {
    let output = Command::new(binary()).args(["config", "dump", "--format", "json"]).output().expect("luminate runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A size as settings are written: `64MiB`, or a number of bytes.
fn bytes(size: &Value) -> u64 {
    let Some(text) = size.as_str() else { return size.as_u64().expect("a size") };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "GiB" => 1 << 30,
        "MiB" => 1 << 20,
        "KiB" => 1 << 10,
        "" => 1,
        unit => panic!("an unknown unit: {unit}"),
    };
    digits.trim().parse::<u64>().expect("a number") * unit
}

/// The formula of `docs/operations.md`, section "Memory".
fn documented_bound() -> u64 {
    const PARTITIONS: u64 = 4;
    const BASE: u64 = 96 << 20;
    let settings = defaults();
    let at = |path: &str| bytes(settings.pointer(path).unwrap_or_else(|| panic!("no setting {path}")));
    let requests = at("/http/maxBodyBytesInFlight");
    let queue = at("/queue/maxPendingBytes") + 2 * at("/queue/writeBuffer");
    let writer = PARTITIONS * (2 * at("/writer/batch/maxBytes") + at("/writer/batch/pollBytes"));
    let store =
        at("/storage/rocksdb/cache") + 2 * at("/storage/rocksdb/writeBuffer") + at("/storage/rocksdb/mergeMemory");
    let queries = at("/query/maxConcurrent") * at("/query/maxMemory");
    BASE + requests + queue + writer + store + queries
}

/// A body as large as a body may be, of as many samples as a request may have.
fn largest_body() -> Vec<u8> {
    let now = now_ms();
    let mut body = String::from(r#"{"metrics":["#);
    let room = MAX_BODY_BYTES / MAX_SAMPLES - 100;
    for n in 0..MAX_SAMPLES {
        let comma = if n == 0 { "" } else { "," };
        let timestamp = now - n as i64;
        body += &format!(
            r#"{comma}{{"name":"m","timestamp":{timestamp},"value":{n},"dimensions":{{"customer":"c{n:05}","pad":"{n:0>room$}"}}}}"#
        );
    }
    body += "]}";
    assert!(body.len() <= MAX_BODY_BYTES, "{} bytes", body.len());
    // White space up to the last byte.
    body += &" ".repeat(MAX_BODY_BYTES - body.len());
    body.into_bytes()
}

/// How often each status was answered; 0 where no answer came.
#[derive(Default, Debug)]
struct Statuses(std::collections::BTreeMap<u16, usize>);

impl Statuses {
    fn count(&mut self, status: u16) {
        *self.0.entry(status).or_default() += 1;
    }

    fn of(&self, status: u16) -> usize {
        self.0.get(&status).copied().unwrap_or_default()
    }
}

/// So many requests at once.
fn at_once(requests: usize, one: impl Fn(usize) -> u16 + Sync) -> Statuses {
    let statuses = Mutex::new(Statuses::default());
    std::thread::scope(|scope| {
        for number in 0..requests {
            let (one, statuses) = (&one, &statuses);
            let request = move || {
                let status = one(number);
                statuses.lock().unwrap().count(status);
            };
            // They mostly wait, and there are many of them.
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, request).expect("a thread");
        }
    });
    statuses.into_inner().unwrap()
}

fn heavy_query(number: usize) -> Value {
    let functions = ["p95", "distinct", "avg", "p50"];
    json!({
        "queryType": "aggregate", "metricName": "m", "aggregation": functions[number % 4], "groupBy": ["customer", "pad"],
        "timeRange": {"relative": "24h"}, "orderBy": "value", "limit": 10,
    })
}

#[test]
fn two_hundred_largest_bodies_and_fifty_heavy_queries_stay_below_the_bound() {
    let server = Server::start();
    let body = largest_body();
    let token = luminate_tests::server::token("acme", "read,write");
    let bound = documented_bound();

    let writes = at_once(WRITERS, |_| {
        let client = Client::new(server.url(), &token);
        let sent = client.send("POST", "/api/v1/write", &[("Content-Type", "application/json")], &body);
        // One that is refused early may be cut off while it still sends.
        sent.map_or(0, |answer| {
            if answer.status != 202 {
                answer.assert_sound_problem("a largest body");
            }
            answer.status
        })
    });
    let peak_of_writes = process::peak_memory(server.pid());
    println!(
        "{WRITERS} bodies of {MAX_BODY_BYTES} bytes: {writes:?}, peak {} MiB of {} MiB",
        peak_of_writes >> 20,
        bound >> 20
    );
    assert_eq!(writes.of(202) + writes.of(503) + writes.of(0), WRITERS, "{writes:?}");
    assert!(writes.of(202) >= 4, "hardly any was accepted: {writes:?}");
    assert!(peak_of_writes < bound, "{peak_of_writes} bytes, documented are {bound}");

    let client = Client::new(server.url(), &token);
    let receipt = client.write_all(&json!({"metrics": [{"name": "last", "timestamp": now_ms(), "value": 1}]}));
    let expected = (writes.of(202) * MAX_SAMPLES) as u64;
    assert!(client.count(Some(&receipt), "m") >= expected, "acknowledged samples are missing");

    let queries = at_once(QUERIES, |number| {
        let answer =
            Client::new(server.url(), &token).post_json("/api/v1/query", &[], &heavy_query(number)).expect("an answer");
        if answer.status != 200 {
            answer.assert_sound_problem("a heavy query");
        }
        answer.status
    });
    let peak = process::peak_memory(server.pid());
    println!("{QUERIES} queries: {queries:?}, peak {} MiB", peak >> 20);
    assert_eq!(
        queries.0.keys().filter(|status| ![200, 422, 429, 503, 504].contains(*status)).count(),
        0,
        "{queries:?}"
    );
    assert!(queries.of(200) + queries.of(422) >= 4, "hardly any did its work: {queries:?}");
    assert!(peak < bound, "{peak} bytes, documented are {bound}");
    assert_eq!(client.get("/api/v1/metrics").status, 200);
}
