//! What a request is answered, word for word.

use luminate_model::{Receipt, Sample};
use serde_json::json;

use crate::fixture::{Fixture, NOW, metric, metrics, post};

#[tokio::test]
async fn samples_are_durable_when_they_are_accepted() {
    let fixture = Fixture::new();
    let body = r#" { "metrics" : [
        {"name": "api_latency", "timestamp": 1735603200000, "value": 145.5,
         "dimensions": {"endpoint": "/api/users", "customer_id": "cust_123", "empty": ""}},
        {"value": -0.5e-3, "timestamp": -1, "name": "caf\u00e9 \ud83d\ude00"}
    ] } "#;
    let answer = fixture.json(body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let receipt = answer.body["receipt"].as_str().unwrap().to_owned();
    assert_eq!(answer.body, json!({"accepted": 2, "rejected": 0, "errors": [], "receipt": receipt}));

    let stored = fixture.stored().await;
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].key.as_str(), stored[0].idempotency), ("acme/0", None));
    let dimensions = [("customer_id", "cust_123"), ("endpoint", "/api/users")].into_iter().collect();
    let first = Sample { metric: "api_latency".to_owned(), timestamp: NOW, value: 145.5, dimensions };
    let second =
        Sample { metric: "café 😀".to_owned(), timestamp: -1, value: -0.5e-3, dimensions: Default::default() };
    assert_eq!(stored[0].samples, [first, second]);

    let receipt = Receipt::decode(&receipt).unwrap();
    let [(source, next)] = receipt.places() else { panic!("{receipt:?}") };
    assert_eq!((fixture.queue.source(source.partition), next.0), (*source, 1));
    assert_eq!(fixture.metrics.samples_accepted.get(), 2);
    assert_eq!(fixture.metrics.write_requests.get(), 1);
}

#[tokio::test]
async fn a_request_is_partly_accepted() {
    let fixture = Fixture::new();
    let bad = r#"{"name":"b","timestamp":1,"value":"1"}"#.to_owned();
    let answer = fixture.json(metrics(&[metric("a", 1.0), bad, metric("c", 3.0)])).await;
    assert_eq!(answer.status, 202);
    let errors = json!([{"index": 1, "code": "invalid_value", "detail": "value must be a number, got a string"}]);
    let receipt = &answer.body["receipt"];
    assert_eq!(answer.body, json!({"accepted": 2, "rejected": 1, "errors": errors, "receipt": receipt}));
    assert_eq!(fixture.samples().await.iter().map(|sample| sample.metric.as_str()).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(fixture.metrics.samples_rejected.with(["invalid_value"]).get(), 1);
}

#[tokio::test]
async fn nothing_valid_is_a_problem_with_the_same_list() {
    let fixture = Fixture::new();
    let answer = fixture.json(r#"{"metrics":[{}, 7]}"#).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(
        answer.body,
        json!({
            "type": "/docs/errors#no_valid_samples", "title": "No valid samples", "status": 400,
            "code": "no_valid_samples", "detail": "none of the 2 samples is valid", "accepted": 0, "rejected": 2,
            "errors": [
                {"index": 0, "code": "missing_name", "detail": "the metric has no name"},
                {"index": 1, "code": "invalid_sample", "detail": "expected an object, got a number"},
            ],
        })
    );
    assert!(fixture.stored().await.is_empty());
    assert_eq!(fixture.metrics.samples_rejected.with(["missing_name"]).get(), 1);
    assert_eq!(fixture.metrics.write_requests.get(), 1);
}

#[tokio::test]
async fn no_samples_are_a_problem() {
    let fixture = Fixture::new();
    for (content_type, body) in [
        ("application/json", r#"{"metrics":[]}"#),
        ("application/x-ndjson", ""),
        ("application/x-ndjson", "\n \r\n\t\n"),
    ] {
        let answer = fixture.send(post(content_type, &[], body)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "no_samples"), "{body:?}");
    }
}

#[tokio::test]
async fn the_first_hundred_errors_are_named() {
    let fixture = Fixture::new();
    let bad = |count: usize| vec![r#"{"name":"b"}"#.to_owned(); count];
    let answer = fixture.json(metrics(&bad(100))).await;
    assert_eq!((answer.errors().len(), answer.body.get("errorsTruncated")), (100, None));
    let answer = fixture.json(metrics(&bad(101))).await;
    assert_eq!((answer.errors().len(), &answer.body["errorsTruncated"]), (100, &json!(true)));
    let answer = fixture.json(metrics(&[bad(101), vec![metric("a", 1.0)]].concat())).await;
    assert_eq!(answer.status, 202);
    assert_eq!((&answer.body["rejected"], &answer.body["errorsTruncated"]), (&json!(101), &json!(true)));
    assert_eq!(answer.errors().last().unwrap(), &(99, "missing_timestamp".to_owned()));
}

#[tokio::test]
async fn a_document_that_is_no_write_request_says_where() {
    let fixture = Fixture::new();
    let answer = fixture.json("{\"metrics\": [\n  {\"name\": }\n]}").await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        json!({
            "type": "/docs/errors#malformed_json", "title": "Malformed JSON", "status": 400, "code": "malformed_json",
            "detail": "expected a value at byte 25 (line 2, column 12)", "position": 25, "line": 2, "column": 12,
        })
    );
    for (body, code) in [
        ("", "malformed_json"),
        ("{\"metrics\":[]", "malformed_json"),
        ("{\"metrics\":[]} x", "malformed_json"),
        ("{\"metrics\":[{\"name\":\"\u{1}\"}]}", "malformed_json"),
        ("[]", "invalid_request"),
        ("7", "invalid_request"),
        ("{}", "invalid_request"),
        ("{\"metrics\":{}}", "invalid_request"),
        ("{\"metrics\":null}", "invalid_request"),
        ("{\"metrics\":[],\"metrics\":[]}", "invalid_request"),
        ("{\"tenant\":\"other\",\"metrics\":[]}", "invalid_request"),
    ] {
        let answer = fixture.json(body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code), "{body}");
    }
    let answer = fixture.json(b"{\"metrics\":[{\"name\":\"\xff\"}]}".to_vec()).await;
    assert_eq!(answer.body["detail"], "invalid UTF-8 at byte 21 (line 1, column 22)");
}

#[tokio::test]
async fn nothing_is_stored_of_a_document_that_breaks_off() {
    let fixture = Fixture::new();
    let many = metrics(&(0..20_000).map(|n| metric("a", f64::from(n))).collect::<Vec<_>>());
    let answer = fixture.json(many[..many.len() - 1].to_owned()).await;
    assert_eq!(answer.code(), "malformed_json");
    assert!(fixture.stored().await.is_empty());
}

#[tokio::test]
async fn lines_stand_alone() {
    let fixture = Fixture::new();
    let (a, b) = (metric("a", 1.0), metric("b", 2.0));
    let mut body = format!("\n{a}\r\n{{\"name\":\n  \n{b} x\n[]\n").into_bytes();
    body.extend_from_slice(b"{\"name\":\"\xff\"}\n");
    body.extend_from_slice(b.as_bytes());
    let answer = fixture.ndjson(body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let invalid: Vec<_> = (1..5).map(|index| (index, "invalid_sample".to_owned())).collect();
    assert_eq!(answer.errors(), invalid);
    assert_eq!(answer.body["errors"][0]["detail"], "the line is not JSON: expected a value at byte 8 of the line");
    assert_eq!(
        answer.body["errors"][1]["detail"],
        format!("the line is not JSON: expected the end at byte {} of the line", b.len() + 1)
    );
    assert_eq!(fixture.samples().await.iter().map(|sample| sample.metric.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}
