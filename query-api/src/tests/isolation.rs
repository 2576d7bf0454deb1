//! A tenant sees its own samples and no other's, whatever its requests say.

use std::sync::Arc;

use axum::body::Body;
use http::header::AUTHORIZATION;
use http::{Request, StatusCode};
use luminate_auth::Scope;
use luminate_query::conformance::ScanOnly;
use luminate_storage::conformance::generate::tenant;
use serde_json::json;

use super::harness::{TestApi, latencies, query_of, store, token};

#[tokio::test]
async fn no_tenant_sees_anothers_samples() {
    let memory = latencies().await;
    store(&memory, &tenant("beta"), &[("api_latency", 60, 1.0, &[("secret", "of beta")])]).await;
    for api in [TestApi::over(memory.clone()), TestApi::over(Arc::new(ScanOnly(memory)))] {
        let raw = r#"{"queryType": "raw", "metricName": "api_latency", "timeRange": {"start": 0}}"#;
        let of_acme = api.send(query_of("acme", raw)).await.body["samples"].to_string();
        let of_beta = api.send(query_of("beta", raw)).await.body["samples"].to_string();
        let of_nobody = api.send(query_of("nobody", raw)).await.body["samples"].clone();
        assert!(of_acme.contains("/login") && !of_acme.contains("secret"), "{of_acme}");
        assert!(of_beta.contains("of beta") && !of_beta.contains("region"), "{of_beta}");
        assert_eq!(of_nobody, json!([]));
        let count = r#"{"queryType": "aggregate", "metricName": "api_latency", "timeRange": {"start": 0}, "aggregation": "count"}"#;
        assert_eq!(api.send(query_of("acme", count)).await.body["results"][0]["value"], 5);
        assert_eq!(api.send(query_of("beta", count)).await.body["results"][0]["value"], 1);
        for path in ["/api/v1/dimensions", "/api/v1/dimensions/secret/values"] {
            assert!(!api.get(path).await.body.to_string().contains("beta"), "{path}");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_tenant_is_refused() {
    let memory = latencies().await;
    store(&memory, &tenant("beta"), &[("api_latency", 60, 1.0, &[])]).await;
    let api = TestApi::over(memory);
    let mut query =
        json!({"queryType": "raw", "metricName": "api_latency", "timeRange": {"relative": "2h"}, "limit": 1});
    query["cursor"] = api.query(&query.to_string()).await.body["cursor"].clone();
    assert!(query["cursor"].is_string());
    let answered = api.send(query_of("beta", &query.to_string())).await;
    assert_eq!((answered.status, answered.code()), (StatusCode::BAD_REQUEST, "cursor_invalid"));
}

#[tokio::test]
async fn a_tenant_in_a_query_is_refused() {
    let api = TestApi::over(latencies().await);
    let query = r#"{"queryType": "raw", "tenant": "beta", "metricName": "m", "timeRange": {"relative": "1h"}}"#;
    assert_eq!(api.query(query).await.code(), "query_field_invalid");
}

#[tokio::test]
async fn who_may_only_write_reads_nothing() {
    let api = TestApi::over(latencies().await);
    for path in ["/api/v1/metrics", "/api/v1/dimensions", "/api/v1/dimensions/a/values"] {
        let request =
            Request::get(path).header(AUTHORIZATION, token("acme", Scope::Write)).body(Body::empty()).unwrap();
        let answered = api.send(request).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::FORBIDDEN, "scope_missing"), "{path}");
        let answered = api.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::UNAUTHORIZED, "token_missing"), "{path}");
    }
    let strangers = Request::post("/api/v1/query").body(Body::from("{}")).unwrap();
    assert_eq!(api.send(strangers).await.code(), "token_missing");
}
