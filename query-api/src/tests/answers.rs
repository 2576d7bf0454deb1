//! What queries answer.

use std::sync::Arc;

use http::StatusCode;
use luminate_query::conformance::ScanOnly;
use serde_json::{Value, json};

use super::harness::{NOW, TestApi, latencies};
use crate::openapi::{AnswerBody, QueryBody};

/// Over the store that computes by itself, and over scans of it.
async fn apis() -> [TestApi; 2] {
    let memory = latencies().await;
    [TestApi::over(memory.clone()), TestApi::over(Arc::new(ScanOnly(memory)))]
}

async fn answers(query: Value) -> Value {
    let mut answers = Vec::new();
    for api in apis().await {
        // What is documented is what is read and written.
        serde_json::from_value::<QueryBody>(query.clone()).unwrap();
        let answered = api.query(&query.to_string()).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        serde_json::from_value::<AnswerBody>(answered.body.clone()).unwrap();
        assert!(answered.body["watermark"].is_string());
        answers.push(answered.stable());
    }
    assert_eq!(answers[0]["results"], answers[1]["results"]);
    answers.remove(1)
}

#[tokio::test]
async fn an_aggregate_answers_a_value_for_each_group() {
    let answer = answers(json!({
        "queryType": "aggregate", "metricName": "api_latency", "timeRange": {"relative": "24h"},
        "aggregation": "avg", "groupBy": ["endpoint"], "orderBy": "value", "limit": 2,
    }))
    .await;
    let results = json!([
        {"group": {"endpoint": "/login"}, "value": 45.5},
        {"group": {"endpoint": "/api/users"}, "value": 16.666666666666668},
    ]);
    assert_eq!(answer["results"], results);
    assert_eq!(answer["truncated"], true);
    assert_eq!(answer["stats"]["samplesRead"], 5);
}

#[tokio::test]
async fn a_missing_dimension_is_null_and_comes_last() {
    let answer = answers(json!({
        "queryType": "aggregate", "metricName": "api_latency", "timeRange": {"relative": "24h"},
        "aggregation": "count", "groupBy": ["endpoint"], "order": "desc",
    }))
    .await;
    let results = json!([
        {"group": {"endpoint": "/login"}, "value": 1},
        {"group": {"endpoint": "/api/users"}, "value": 3},
        {"group": {"endpoint": null}, "value": 1},
    ]);
    assert_eq!(answer["results"], results);
    assert_eq!(answer["truncated"], false);
}

#[tokio::test]
async fn steps_answer_buckets_that_have_samples() {
    let answer = answers(json!({
        "queryType": "aggregate", "metricName": "api_latency",
        "timeRange": {"start": NOW - 7_200_000, "end": "2025-01-01T00:00:00Z"},
        "filters": [{"dimension": "endpoint", "op": "prefix", "value": "/api"}],
        "aggregation": "p50", "step": "15m",
    }))
    .await;
    let results = json!([{"group": {}, "values": [[NOW - 3_600_000, 10], [NOW - 1_800_000, 20]]}]);
    assert_eq!(answer["results"], results);
}

#[tokio::test]
async fn buckets_lie_on_the_start_where_asked() {
    let start = NOW - 3_600_001;
    let answer = answers(json!({
        "queryType": "aggregate", "metricName": "api_latency", "timeRange": {"start": start},
        "aggregation": "sum", "step": "1h", "align": "start",
    }))
    .await;
    assert_eq!(answer["results"], json!([{"group": {}, "values": [[start, 102.5]]}]));
}

#[tokio::test]
async fn raw_answers_pages_in_order() {
    let mut query = json!({
        "queryType": "raw", "metricName": "api_latency", "timeRange": {"relative": "2h"},
        "filters": [{"dimension": "endpoint", "op": "exists"}], "limit": 2,
    });
    let first = answers(query.clone()).await;
    let sample = |seconds_ago: i64, value: f64, endpoint: &str, region: &str| {
        let dimensions = json!({"endpoint": endpoint, "region": region});
        json!({"timestamp": NOW - seconds_ago * 1000, "value": value, "dimensions": dimensions})
    };
    let equal_ones = sample(1800, 20.0, "/api/users", "us");
    let shown = |answer: &Value| answer["samples"].as_array().unwrap().iter().map(to_floats).collect::<Vec<_>>();
    assert_eq!(shown(&first), [sample(3600, 10.0, "/api/users", "eu"), equal_ones.clone()]);
    assert_eq!(first["truncated"], true);
    query["cursor"] = first["cursor"].clone();
    let second = answers(query).await;
    assert_eq!(shown(&second), [equal_ones, sample(600, 45.5, "/login", "eu")]);
    assert_eq!((second.get("cursor"), &second["truncated"]), (None, &json!(false)));
}

/// Whole numbers are written without a fraction, and JSON knows only numbers.
fn to_floats(sample: &Value) -> Value {
    let mut sample = sample.clone();
    sample["value"] = sample["value"].as_f64().unwrap().into();
    sample
}

#[tokio::test]
async fn nothing_found_is_an_answer() {
    let query = json!({
        "queryType": "aggregate", "metricName": "unknown", "timeRange": {"relative": "1h"}, "aggregation": "max",
    });
    assert_eq!(answers(query).await["results"], json!([]));
}

#[tokio::test]
async fn queries_are_counted_and_timed() {
    let [api, _] = apis().await;
    let query = r#"{"queryType": "raw", "metricName": "api_latency", "timeRange": {"relative": "2h"}}"#;
    api.query(query).await;
    api.query("{").await;
    let rendered = api.metrics.render().unwrap();
    for line in [
        "luminate_query_requests_total 2",
        "luminate_query_latency_seconds_count 1",
        "luminate_storage_query_duration_seconds_count 1",
        // A page of raw samples looks at timestamps first, then at its samples.
        "luminate_query_samples_read_total 10",
    ] {
        assert!(rendered.contains(line), "{line} in {rendered}");
    }
}
