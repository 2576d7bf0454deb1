//! What the catalogue answers.

use http::StatusCode;
use serde_json::json;

use super::harness::{NOW, TestApi, latencies};

#[tokio::test]
async fn metrics_dimensions_and_values_are_listed_with_their_samples() {
    let api = TestApi::over(latencies().await);
    let metrics = api.get("/api/v1/metrics").await;
    assert_eq!(metrics.status, StatusCode::OK, "{}", metrics.body);
    let expected = json!([{"name": "api_latency", "samples": 5}, {"name": "http_requests", "samples": 1}]);
    assert_eq!(metrics.body["metrics"], expected);
    assert_eq!(metrics.body["truncated"], false);
    assert!(metrics.body["watermark"].is_string() && metrics.body["stats"].is_object());

    let dimensions = api.get("/api/v1/dimensions?metric=api_latency").await.body;
    assert_eq!(dimensions["dimensions"], json!([{"key": "endpoint", "samples": 4}, {"key": "region", "samples": 5}]));

    let values = api.get("/api/v1/dimensions/endpoint/values?limit=1").await.body;
    assert_eq!(values["values"], json!([{"value": "/api/users", "samples": 3}]));
    assert_eq!(values["truncated"], true);
    let next = api.get("/api/v1/dimensions/endpoint/values?limit=1&after=/api/users").await.body;
    assert_eq!((&next["values"], &next["truncated"]), (&json!([{"value": "/login", "samples": 1}]), &json!(false)));
}

#[tokio::test]
async fn pages_are_narrowed_by_prefix_and_time() {
    let api = TestApi::over(latencies().await);
    let api = &api;
    let of = |path: String| async move { api.get(&path).await.body["values"].clone() };
    let prefixed = of("/api/v1/dimensions/endpoint/values?prefix=%2Flog".to_owned()).await;
    assert_eq!(prefixed, json!([{"value": "/login", "samples": 1}]));
    let early = of(format!("/api/v1/dimensions/endpoint/values?end={}", NOW - 3_000_000)).await;
    assert_eq!(early, json!([{"value": "/api/users", "samples": 1}]));
    let late = of("/api/v1/dimensions/endpoint/values?start=2024-12-31T23:45:00Z".to_owned()).await;
    assert_eq!(late, json!([{"value": "/login", "samples": 1}]));
    assert_eq!(of("/api/v1/dimensions/no%20such/values".to_owned()).await, json!([]));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let api = TestApi::over(latencies().await);
    let cases = [
        ("/api/v1/metrics?limit=0", "query_field_invalid"),
        ("/api/v1/metrics?limit=ten", "query_field_invalid"),
        ("/api/v1/metrics?limit=10001", "query_too_large"),
        ("/api/v1/metrics?metric=m", "query_field_invalid"),
        ("/api/v1/metrics?unknown=1", "query_field_invalid"),
        ("/api/v1/dimensions?start=yesterday", "time_range_invalid"),
        ("/api/v1/dimensions?start=2000&end=1000", "time_range_invalid"),
        ("/api/v1/dimensions/%ff/values", "query_field_invalid"),
    ];
    for (path, code) in cases {
        let answered = api.get(path).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::BAD_REQUEST, code), "{path}: {}", answered.body);
    }
    let long = format!("/api/v1/dimensions/{}/values", "k".repeat(1025));
    assert_eq!(api.get(&long).await.code(), "query_too_large");
}
