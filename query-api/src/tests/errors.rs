//! Every error that a query can be answered, with what it says.

use std::sync::Arc;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{Request, StatusCode};
use luminate_auth::Scope;
use luminate_query::conformance::ScanOnly;
use luminate_runtime::config::ByteSize;
use serde_json::{Value, json};

use super::harness::{TestApi, latencies, token};
use crate::QueryConfig;

/// A good query with some fields set otherwise; null removes a field.
fn with(fields: Value) -> String {
    let mut query = json!({
        "queryType": "aggregate", "metricName": "api_latency", "timeRange": {"relative": "24h"}, "aggregation": "avg",
    });
    for (field, value) in fields.as_object().unwrap() {
        query[field] = value.clone();
    }
    query.to_string()
}

async fn assert_refused(api: &TestApi, cases: &[(String, &str, &str)]) {
    for (body, code, detail) in cases {
        let answered = api.query(body).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::BAD_REQUEST, *code), "{body}: {}", answered.body);
        assert_eq!(answered.body["detail"], *detail, "{body}");
        assert_eq!(answered.body["type"], format!("/docs/errors#{code}"));
    }
}

#[tokio::test]
async fn what_is_no_query_is_refused() {
    let api = TestApi::over(latencies().await);
    let expected_range =
        r#"an object with "relative" (as in "24h"), or with "start" and "end" (ms since 1970, or RFC 3339)"#;
    let cases = [
        (String::new(), "query_malformed", "the query is not a JSON object: the body is empty"),
        ("[1]".to_owned(), "query_malformed", "the query is not a JSON object: it does not begin with {"),
        (
            "{\"queryType\": ".to_owned(),
            "query_malformed",
            "the query is not a JSON object: EOF while parsing a value at line 1 column 14",
        ),
        (with(json!({"queryType": null})), "query_field_missing", "queryType is missing: \"aggregate\" or \"raw\""),
        (with(json!({"queryType": 5})), "query_field_invalid", "queryType: expected \"aggregate\" or \"raw\", found 5"),
        (with(json!({"metricName": null})), "query_field_missing", "metricName is missing: the metric's name"),
        (
            with(json!({"metricName": ""})),
            "query_field_invalid",
            "metricName: expected the metric's name, not empty, found \"\"",
        ),
        (with(json!({"timeRange": null})), "query_field_missing", &format!("timeRange is missing: {expected_range}")),
    ];
    assert_refused(&api, &cases).await;
    let unknown = api.query(&with(json!({"metric": "m"}))).await;
    assert_eq!(unknown.code(), "query_field_invalid");
    assert!(unknown.body["detail"].as_str().unwrap().starts_with("unknown field `metric`, expected one of"));
    for later in ["rate", "increase", "timeWeighted", "series", "cardinality", "Aggregate", ""] {
        let detail = format!("queryType \"{later}\" is not supported; supported are aggregate and raw");
        assert_refused(&api, &[(with(json!({"queryType": later})), "query_type_unsupported", &detail)]).await;
    }
    let twice = api.query(r#"{"queryType": "raw", "queryType": "raw"}"#).await;
    assert!(twice.body["detail"].as_str().unwrap().starts_with("duplicate field `queryType`"), "{}", twice.body);
}

#[tokio::test]
async fn ranges_of_time_that_are_none_are_refused() {
    let api = TestApi::over(latencies().await);
    let duration = "expected a whole number, at least 1, with a unit (ms, s, m, h, d, w), as in \"24h\", found";
    let instant = "expected ms since 1970 as a whole number, or a time as in RFC 3339, found";
    let cases = [
        (json!({"relative": "1 day"}), format!("timeRange: relative: {duration} \"1 day\"")),
        (json!({"relative": "0s"}), format!("timeRange: relative: {duration} \"0s\"")),
        (json!({"relative": "99999999999999w"}), format!("timeRange: relative: {duration} \"99999999999999w\"")),
        (json!({"relative": 5}), "timeRange: relative: expected a duration, found 5".to_owned()),
        (json!({}), "timeRange: relative or start is missing".to_owned()),
        (json!({"relative": "1h", "end": 5}), "timeRange: relative stands alone, without start and end".to_owned()),
        (json!({"start": 5, "end": 5}), "timeRange: end must be after start".to_owned()),
        (json!({"start": "yesterday"}), format!("timeRange: start: {instant} \"yesterday\"")),
        (json!({"start": 1.5}), format!("timeRange: start: {instant} 1.5")),
        (
            json!({"start": 1_735_603_200_000_000_i64}),
            "timeRange: start: 1735603200000000 is outside the years 1900 to 2299; is it in ms since 1970?".to_owned(),
        ),
        (
            json!({"start": "2030-01-01T00:00:00Z"}),
            "timeRange: start must be in the past where end is not given".to_owned(),
        ),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(range, detail)| (with(json!({"timeRange": range})), "time_range_invalid", detail.as_str()))
        .collect();
    assert_refused(&api, &cases).await;
}

#[tokio::test]
async fn fields_that_make_no_sense_are_refused() {
    let api = TestApi::over(latencies().await);
    let functions = "one of avg, sum, min, max, count, stddev, distinct, first, last, or p with a number from 0 to 100";
    let ops = "one of eq, ne, in, notIn, exists, prefix, regex";
    let filter = |filter: Value| json!({"filters": [filter]});
    let cases: [(Value, &str, String); 22] = [
        (json!({"aggregation": null}), "query_field_missing", format!("aggregation is missing: {functions}")),
        (
            json!({"aggregation": "p101"}),
            "query_field_invalid",
            format!("aggregation: expected {functions}, found \"p101\""),
        ),
        (json!({"aggregation": "p"}), "query_field_invalid", format!("aggregation: expected {functions}, found \"p\"")),
        (
            json!({"aggregation": "p1e1"}),
            "query_field_invalid",
            format!("aggregation: expected {functions}, found \"p1e1\""),
        ),
        (json!({"of": "a"}), "query_field_invalid", "of belongs to distinct, not to \"avg\"".to_owned()),
        (
            json!({"groupBy": "a"}),
            "query_field_invalid",
            "groupBy: expected a list of dimension keys, found \"a\"".to_owned(),
        ),
        (json!({"groupBy": ["a", "a"]}), "query_field_invalid", "groupBy[1]: \"a\" stands there twice".to_owned()),
        (
            json!({"groupBy": [""]}),
            "query_field_invalid",
            "groupBy[0]: expected a dimension's key, not empty, found \"\"".to_owned(),
        ),
        (json!({"step": 5}), "query_field_invalid", "step: expected a duration, as in \"5m\", found 5".to_owned()),
        (json!({"align": "start"}), "query_field_invalid", "align belongs to step, which is not there".to_owned()),
        (
            json!({"step": "1h", "align": "end"}),
            "query_field_invalid",
            "align: expected \"epoch\" or \"start\", found end".to_owned(),
        ),
        (
            json!({"orderBy": "time"}),
            "query_field_invalid",
            "orderBy: expected \"group\" or \"value\", found time".to_owned(),
        ),
        (json!({"order": "up"}), "query_field_invalid", "order: expected \"asc\" or \"desc\", found up".to_owned()),
        (json!({"limit": 0}), "query_field_invalid", "limit: expected a whole number from 1, found 0".to_owned()),
        (
            json!({"limit": "10"}),
            "query_field_invalid",
            "limit: expected a whole number from 1, found \"10\"".to_owned(),
        ),
        (
            json!({"cursor": "x"}),
            "query_field_invalid",
            "cursor does not belong to a query of type aggregate".to_owned(),
        ),
        (
            json!({"queryType": "raw"}),
            "query_field_invalid",
            "aggregation does not belong to a query of type raw".to_owned(),
        ),
        (
            json!({"filters": {}}),
            "query_field_invalid",
            "filters: expected a list of objects with dimension, op and value, found {}".to_owned(),
        ),
        (
            filter(json!({"op": "eq", "value": "x"})),
            "query_field_missing",
            "filters[0].dimension is missing: the dimension's key".to_owned(),
        ),
        (
            filter(json!({"dimension": "a", "op": "like", "value": "x"})),
            "query_field_invalid",
            format!("filters[0].op: expected {ops}, found like"),
        ),
        (
            filter(json!({"dimension": "a", "op": "in", "value": "x"})),
            "query_field_invalid",
            "filters[0].value: expected a list of strings, found \"x\"".to_owned(),
        ),
        (
            filter(json!({"dimension": "a", "op": "exists", "value": "yes"})),
            "query_field_invalid",
            "filters[0].value: expected true or false, found \"yes\"".to_owned(),
        ),
    ];
    let cases: Vec<_> =
        cases.iter().map(|(fields, code, detail)| (with(fields.clone()), *code, detail.as_str())).collect();
    assert_refused(&api, &cases).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_limit_and_size() {
    let api = TestApi::over(latencies().await);
    let many = |n: usize| (0..n).map(|at| at.to_string()).collect::<Vec<_>>();
    let filter = json!({"dimension": "a", "op": "exists"});
    let cases = [
        (json!({"metricName": "m".repeat(1025)}), "metricName", 1025, 1024),
        (json!({"groupBy": many(17)}), "groupBy", 17, 16),
        (json!({"filters": vec![filter; 65]}), "filters", 65, 64),
        (
            json!({"filters": [{"dimension": "a", "op": "in", "value": many(10_001)}]}),
            "filters[0].value",
            10_001,
            10_000,
        ),
        (
            json!({"filters": [
                {"dimension": "a", "op": "in", "value": many(6000)}, {"dimension": "b", "op": "notIn", "value": many(6000)},
            ]}),
            "filters",
            12_000,
            10_000,
        ),
        (
            json!({"filters": [{"dimension": "a", "op": "eq", "value": "x".repeat(65_537)}]}),
            "filters[0].value",
            65_537,
            65_536,
        ),
        (
            json!({"filters": [{"dimension": "a", "op": "regex", "value": "x".repeat(1025)}]}),
            "filters[0].value",
            1025,
            1024,
        ),
        (json!({"limit": 10_001}), "limit", 10_001, 10_000),
        (json!({"step": "1s"}), "timeRange divided by step", 86_400, 11_000),
    ];
    for (fields, field, size, limit) in cases {
        let answered = api.query(&with(fields)).await;
        assert_eq!(
            (answered.status, answered.code()),
            (StatusCode::BAD_REQUEST, "query_too_large"),
            "{}",
            answered.body
        );
        let told = (&answered.body["field"], &answered.body["size"], &answered.body["limit"]);
        assert_eq!(told, (&json!(field), &json!(size), &json!(limit)));
    }
}

#[tokio::test]
async fn patterns_that_re2_does_not_have_are_refused() {
    let api = TestApi::over(latencies().await);
    for pattern in ["(", "(?=a)", r"\1", r"[a&&b]", r"\Z"] {
        let filter = json!({"filters": [{"dimension": "a", "op": "regex", "value": pattern}]});
        let answered = api.query(&with(filter)).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::BAD_REQUEST, "pattern_invalid"), "{pattern}");
        assert_eq!(answered.body["field"], "filters[0].value");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_request() {
    let api = TestApi::over(latencies().await);
    let mut query =
        json!({"queryType": "raw", "metricName": "api_latency", "timeRange": {"relative": "2h"}, "limit": 1});
    query["cursor"] = api.query(&query.to_string()).await.body["cursor"].clone();
    let mut of_other_time = query.clone();
    of_other_time["timeRange"] = json!({"relative": "3h"});
    let mut of_other_filter = query.clone();
    of_other_filter["filters"] = json!([{"dimension": "region", "op": "eq", "value": "eu"}]);
    let mut malformed = query.clone();
    malformed["cursor"] = "AQ".into();
    for refused in [of_other_time, of_other_filter, malformed] {
        assert_eq!(api.query(&refused.to_string()).await.code(), "cursor_invalid", "{refused}");
    }
    query["limit"] = 100.into();
    assert_eq!(api.query(&query.to_string()).await.body["samples"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn only_json_as_it_is_makes_a_query() {
    let api = TestApi::over(latencies().await);
    let request = |content_type: &str, encoding: &str| {
        Request::post("/api/v1/query")
            .header(AUTHORIZATION, token("acme", Scope::Read))
            .header(CONTENT_TYPE, content_type)
            .header(CONTENT_ENCODING, encoding)
            .body(Body::from(with(json!({}))))
            .unwrap()
    };
    assert_eq!(api.send(request("application/json", "identity")).await.status, StatusCode::OK);
    for (content_type, encoding, code) in [
        ("application/x-www-form-urlencoded", "identity", "content_type_unsupported"),
        ("text/plain", "identity", "content_type_unsupported"),
        ("application/json", "gzip", "content_encoding_unsupported"),
    ] {
        let answered = api.send(request(content_type, encoding)).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, code));
    }
    let get = api.get("/api/v1/query").await;
    assert_eq!((get.status, get.code()), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    let large = api.query(&" ".repeat((1 << 20) + 1)).await;
    assert_eq!((large.status, large.code()), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
}

#[tokio::test]
async fn a_query_that_hits_a_limit_is_told_which() {
    type Spoil = fn(&mut QueryConfig);
    let memory = latencies().await;
    let spoil: [(&str, Spoil); 3] = [
        ("query_memory_limit", |c| c.max_memory = ByteSize::bytes(50)),
        ("query_samples_limit", |c| c.max_samples = 4),
        ("query_rows_limit", |c| c.limits.max_values = 2),
    ];
    for (code, spoil) in spoil {
        let mut config = QueryConfig::default();
        spoil(&mut config);
        let api = TestApi::new(config, Arc::new(ScanOnly(memory.clone())));
        let answered = api.query(&with(json!({"aggregation": "p95", "groupBy": ["endpoint"], "step": "10m"}))).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::UNPROCESSABLE_ENTITY, code), "{}", answered.body);
        assert!(answered.body["limit"].is_number());
        let counted = format!("luminate_query_limits_hit_total{{code=\"{code}\"}} 1");
        assert!(api.metrics.render().unwrap().contains(&counted));
    }
}

#[tokio::test]
async fn a_tenant_that_asks_too_often_is_told_when_to_come_again() {
    let mut config = QueryConfig::default();
    config.rate_limit.requests_per_second = Some(1.try_into().unwrap());
    let api = TestApi::new(config, latencies().await);
    assert_eq!(api.query(&with(json!({}))).await.status, StatusCode::OK);
    let answered = api.query(&with(json!({}))).await;
    assert_eq!((answered.status, answered.code()), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"));
    assert!(answered.retry_after);
    assert_eq!(api.get("/api/v1/metrics").await.code(), "rate_limited");
}
