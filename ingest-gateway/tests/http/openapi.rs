//! The document says what the gateway does.

use luminate_ingest_gateway::openapi::{WriteAnswerBody, WriteBody, WriteProblemBody, openapi};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::fixture::{Fixture, metric, metrics};

fn document() -> Value {
    serde_json::to_value(openapi()).unwrap()
}

/// The answer reads as the documented type, and is the same when it is written again.
fn reads_as<T: DeserializeOwned + serde::Serialize>(answer: &Value) {
    let read: T = serde_json::from_value(answer.clone()).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert_eq!(&serde_json::to_value(read).unwrap(), answer);
}

#[test]
fn the_write_request_is_documented() {
    let document = document();
    let operation = &document["paths"]["/api/v1/write"]["post"];
    assert_eq!(operation["operationId"], "write");
    let content: Vec<_> = operation["requestBody"]["content"].as_object().unwrap().keys().collect();
    assert_eq!(content, ["application/json", "application/x-ndjson"]);
    let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
    assert_eq!(statuses, ["202", "400", "401", "403", "408", "413", "415", "429", "500", "503"]);
    let parameters: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|p| p["name"].clone()).collect();
    assert_eq!(parameters, ["Content-Encoding", "Idempotency-Key"]);
}

#[test]
fn every_problem_has_a_documented_status() {
    let document = document();
    let responses = &document["paths"]["/api/v1/write"]["post"]["responses"];
    for problem in luminate_ingest_gateway::problems::ALL {
        assert!(responses.get(problem.status.as_str()).is_some(), "{}", problem.code);
    }
}

#[tokio::test]
async fn answers_have_the_documented_form() {
    let fixture = Fixture::new();
    let body = metrics(&[metric("a", 1.0), metric("b", 2.0)]);
    reads_as::<WriteBody>(&serde_json::from_str(&body.replace(":1,", ":1.0,").replace(":2,", ":2.0,")).unwrap());
    reads_as::<WriteAnswerBody>(&fixture.json(body).await.body);
    let some_bad = [vec!["7".to_owned(); 101], vec![metric("a", 1.0)]].concat();
    reads_as::<WriteAnswerBody>(&fixture.json(metrics(&some_bad)).await.body);
    for body in ["", "{}", "{\"metrics\":[]}", "{\"metrics\":[7]}"] {
        reads_as::<WriteProblemBody>(&fixture.json(body).await.body);
    }
}
