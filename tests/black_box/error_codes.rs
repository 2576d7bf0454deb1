//! Every error code that the documentation lists is produced by a test, and no other is ever answered.
//!
//! The second half is kept by the harness: every problem that a test looks at must be documented, with its status
//! ([`luminate_tests::problem`]). The first half is kept here: each code is asserted by a black-box test, or, where no
//! request can bring it about, by a test beside the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use luminate_tests::problem::documented;
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, RawConnection, Server, ServerOptions, wait};
use serde_json::{Value, json};

/// Codes that no request to a sound server brings about, and the test that does: its file and name.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("internal", "crates/runtime/src/http/layers_tests.rs", "a_panic_is_an_internal_problem_that_tells_nothing"),
    (
        "queue_unavailable",
        "ingest-gateway/tests/http/queue_failures.rs",
        "a_full_or_absent_queue_is_503_with_retry_after",
    ),
    (
        "queue_outcome_unknown",
        "ingest-gateway/tests/http/queue_failures.rs",
        "a_queue_that_does_not_answer_is_an_unknown_outcome",
    ),
    (
        "record_too_large",
        "ingest-gateway/tests/http/queue_failures.rs",
        "samples_of_a_record_that_is_too_large_are_rejects",
    ),
    ("query_timeout", "query-api/src/tests/stopping.rs", "a_query_whose_store_hangs_ends_after_its_time"),
    ("queries_busy", "query-api/src/tests/stopping.rs", "queries_wait_for_a_slot_but_not_for_ever"),
    ("tenant_queries_busy", "query-api/src/tests/stopping.rs", "queries_wait_for_a_slot_but_not_for_ever"),
    (
        "storage_unavailable",
        "query-api/src/tests/stopping.rs",
        "a_store_that_is_away_or_damaged_says_nothing_of_itself",
    ),
    ("query_cancelled", "query-api/src/tests/receipts.rs", "a_closing_store_wakes_who_waits"),
    (
        "admin_queue_unavailable",
        "writer/src/admin/problems.rs",
        "a_queue_that_is_away_is_503_and_says_nothing_of_itself",
    ),
    ("record_malformed", "writer/src/pipeline_tests.rs", "what_cannot_be_used_is_kept_and_stops_nothing"),
    ("record_key_invalid", "writer/src/pipeline_tests.rs", "what_cannot_be_used_is_kept_and_stops_nothing"),
    ("record_schema_unknown", "schemas/tests/avro_oracle.rs", "another_schema_is_unknown_and_another_form_malformed"),
    ("idempotency_headers_invalid", "writer/src/decode.rs", "what_no_gateway_writes_is_told_apart"),
];

/// Codes that nothing in a single node can bring about: only producers that write to topics of their own can name a tenant.
const OF_DIRECT_PRODUCERS: &[&str] = &["tenant_mismatch"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the black-box tests say, the tables of this file aside.
fn sources_of_tests() -> String {
    let folder = repository().join("tests/black_box");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
    texts.map(|text| text.split("\nfn repository").last().unwrap_or_default().to_owned()).collect()
}

/// Whether a test's file names a code, in one of the ways that Rust writes it.
fn names(text: &str, code: &str) -> bool {
    let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
    let variant: String = code.split('_').map(capitalised).collect();
    [code.to_owned(), code.to_uppercase(), variant].iter().any(|form| text.contains(form))
}

#[test]
fn every_documented_code_is_produced_by_a_test() {
    let sources = sources_of_tests();
    let elsewhere: BTreeSet<&str> = ELSEWHERE.iter().map(|(code, ..)| *code).collect();
    let is_asserted = |code: &str| sources.contains(&format!("\"{code}\""));
    let is_excused = |code: &str| elsewhere.contains(code) || OF_DIRECT_PRODUCERS.contains(&code);
    let untested: Vec<&String> = documented().keys().filter(|code| !is_asserted(code) && !is_excused(code)).collect();
    assert!(untested.is_empty(), "documented, and produced by no test: {untested:?}");
    for (code, file, test) in ELSEWHERE {
        assert!(documented().contains_key(*code), "{code} is not documented");
        assert!(!is_asserted(code), "{code} is tested here: take it out of the table");
        let text = std::fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test}");
        assert!(names(&text, code), "{file} does not name {code}");
    }
}

fn server_with(config: &str) -> Server {
    Server::start_with(ServerOptions { config: config.to_owned(), ..ServerOptions::default() })
}

fn one_sample() -> Value {
    SampleMaker::new(1).body("m", 1).0
}

fn count_query() -> Value {
    json!({"queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "1h"}, "aggregation": "count"})
}

#[test]
fn too_many_requests_of_a_tenant_are_refused_and_others_are_not() {
    let server = server_with(
        "gateway:\n  rateLimit:\n    requestsPerSecond: 2\n    unavailableFor: [prometheus]\nquery:\n  rateLimit:\n    requestsPerSecond: 2\n",
    );
    for (tenant, status) in [("acme", 429), ("prometheus", 503)] {
        let client = server.client(tenant);
        let refused = wait::until("the limit holds", || {
            let answer = client.write(&one_sample()).unwrap();
            (answer.status != 202).then_some(answer)
        });
        refused.assert_problem(tenant, status, "rate_limited");
        assert!(refused.headers.contains_key("ratelimit") && refused.headers.contains_key("ratelimit-policy"));
    }
    let client = server.client("acme");
    let refused = wait::until("the limit of queries holds", || {
        let answer = client.post_json("/api/v1/query", &[], &count_query()).unwrap();
        (answer.status != 200).then_some(answer)
    });
    refused.assert_problem("queries", 429, "rate_limited");
    assert_eq!(server.client("other").write(&one_sample()).unwrap().status, 202);
    assert_eq!(Client::new(server.url(), "").get("/healthz").status, 200, "probes are not limited");
}

#[test]
fn too_many_samples_a_second_are_refused() {
    let server = server_with("gateway:\n  maxSamples: 100\n  rateLimit:\n    samplesPerSecond: 100\n");
    let client = server.client("acme");
    let refused = wait::until("the limit holds", || {
        let answer = client.write(&SampleMaker::new(1).body("m", 90).0).unwrap();
        (answer.status != 202).then_some(answer)
    });
    refused.assert_problem("samples", 429, "rate_limited");
}

#[test]
fn more_bytes_in_flight_than_there_may_be_are_refused_at_once() {
    const IN_FLIGHT: usize = 16;
    let config = format!(
        "http:\n  maxBodyBytesInFlight: {IN_FLIGHT}MiB\ngateway:\n  maxBodyBytes: 1MiB\n  maxDecompressedBytes: 1MiB\n"
    );
    let server = server_with(&config);
    let token = luminate_tests::server::token("acme", "write");
    let host = server.url().trim_start_matches("http://");
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: 1048576\r\n\r\n{{"
    );
    // Each announces a mebibyte and never sends it, so each holds its share; one after the other has it before the next.
    let mut held = Vec::new();
    let refused = loop {
        let mut connection = RawConnection::open(server.url());
        assert!(connection.send(head.as_bytes()));
        let taken = ((held.len() + 1) << 20) as f64;
        let outcome = wait::until("a share is taken or refused", || {
            let answer = connection.answer_so_far();
            let in_flight = server.metric("luminate_http_body_bytes_in_flight", "");
            (answer.is_some() || in_flight >= taken).then_some(answer)
        });
        match outcome {
            Some(answer) => break answer,
            None => held.push(connection),
        }
    };
    refused.assert_problem("one too many", 503, "overloaded");
    assert_eq!(held.len(), IN_FLIGHT);
    drop(held);
    wait::until("the budget comes back", || {
        (server.client("acme").write(&one_sample()).unwrap().status == 202).then_some(())
    });
}

#[test]
fn a_queue_that_is_full_says_so() {
    let server = server_with("queue:\n  maxBytes: 1MiB\n  maxRecordBytes: 1MiB\nwriter:\n  batch:\n    maxAge: 60s\n");
    let client = server.client("acme");
    let mut maker = SampleMaker::new(9);
    let refused = wait::until("the queue is full", || {
        let answer = client.write(&maker.body("m", 5000).0).unwrap();
        (answer.status != 202).then_some(answer)
    });
    refused.assert_problem("a megabyte", 503, "queue_full");
}

#[test]
fn samples_that_are_not_stored_in_time_are_not_waited_for_longer() {
    let server = server_with("writer:\n  batch:\n    maxAge: 60s\n");
    let client = server.client("acme");
    let receipt = client.write_all(&one_sample());
    let headers = [("X-Luminate-Receipt", receipt.as_str()), ("X-Luminate-Receipt-Timeout", "50ms")];
    let answer = client.post_json("/api/v1/query", &headers, &count_query()).unwrap();
    answer.assert_problem("a batch of a minute", 504, "receipt_timeout");
    let headers = [("X-Luminate-Receipt", receipt.as_str()), ("X-Luminate-Receipt-Timeout", "soon")];
    let answer = client.post_json("/api/v1/query", &headers, &count_query()).unwrap();
    answer.assert_problem("soon", 400, "receipt_invalid");
}
