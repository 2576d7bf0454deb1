//! Errors that need a server of their own: one whose limits are small.
//!
//! That every documented code is answered in some test is looked at by `tests/error_codes`.

use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, RawConnection, Server, ServerOptions, wait};
use serde_json::{Value, json};

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
