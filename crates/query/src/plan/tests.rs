#![allow(clippy::unwrap_used, clippy::panic)]

use luminate_storage::conformance::generate::tenant;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_735_689_600_000;

fn planned(body: &Value, limits: &RequestLimits) -> Result<Plan, QueryError> {
    let request = QueryRequest::parse(body.to_string().as_bytes(), &RequestLimits::default()).unwrap();
    let retention = TenantRetention { default_days: 30, ..TenantRetention::default() };
    plan(&request, &Asker { tenant: &tenant("acme"), retention, now: NOW }, limits)
}

fn aggregate(time: Value, step: &str, align: &str) -> Result<AggregateRequest, QueryError> {
    let body = json!({
        "queryType": "aggregate", "metricName": "m", "timeRange": time, "aggregation": "avg", "step": step, "align": align,
    });
    match planned(&body, &RequestLimits::default())? {
        Plan::Aggregate(plan) => Ok(plan.request),
        Plan::Raw(_) => panic!("an aggregate was planned"),
    }
}

fn raw(body: &Value) -> Result<RawPlan, QueryError> {
    match planned(body, &RequestLimits::default())? {
        Plan::Raw(plan) => Ok(plan),
        Plan::Aggregate(_) => panic!("raw was planned"),
    }
}

#[test]
fn tenant_retention_and_time_come_from_the_asker() {
    let request = aggregate(json!({"relative": "1h"}), "1m", "epoch").unwrap();
    assert_eq!(*request.scan.tenant(), tenant("acme"));
    assert_eq!(request.scan.retention.default_days, 30);
    assert_eq!(request.scan.as_of, NOW);
    assert_eq!(request.scan.time, TimeRange { start: NOW - 3_600_000, end: NOW });
    let open = aggregate(json!({"start": NOW - 5}), "1m", "epoch").unwrap();
    assert_eq!(open.scan.time, TimeRange { start: NOW - 5, end: NOW });
    let beyond_all_time = aggregate(json!({"relative": "99999w"}), "52w", "epoch").unwrap();
    assert_eq!(beyond_all_time.scan.time.start, MIN_TIMESTAMP);
}

#[test]
fn steps_begin_on_the_epoch_or_on_the_start() {
    let of = |align: &str| aggregate(json!({"start": 1000, "end": 5000}), "3s", align).unwrap().step.unwrap();
    assert_eq!(of("epoch"), Step { width: 3000, origin: 0 });
    assert_eq!(of("start"), Step { width: 3000, origin: 1000 });
    assert_eq!(of("start").bucket(4001), 4000);
    assert_eq!(of("epoch").bucket(-1), -3000);
}

#[test]
fn buckets_are_bounded() {
    // 11,000 buckets of a second, then one more because the range begins inside of one.
    assert!(aggregate(json!({"start": 0, "end": 11_000_000}), "1s", "epoch").is_ok());
    let error = aggregate(json!({"start": 1, "end": 11_000_001}), "1s", "epoch").unwrap_err();
    assert!(matches!(error, QueryError::TooLarge { size: 11_001, limit: 11_000, .. }), "{error}");
    assert!(aggregate(json!({"start": 1, "end": 11_000_001}), "1s", "start").is_ok());
    // A step wider than all time is one bucket.
    assert!(aggregate(json!({"start": 0, "end": 1}), "15250284452w", "epoch").is_ok());
}

#[test]
fn a_page_begins_where_the_one_before_ended_and_ends_where_the_first_did() {
    let mut body = json!({"queryType": "raw", "metricName": "m", "timeRange": {"relative": "1h"}, "limit": 5});
    let first = raw(&body).unwrap();
    assert_eq!((first.limit, &first.after), (5, &None));
    let position = Position { timestamp: NOW - 1000, dimensions: Vec::new(), value: 1.0, shown: 2 };
    let cursor = Cursor { fingerprint: first.fingerprint, end: NOW - 500, position: position.clone() };
    body["cursor"] = cursor.encode().into();
    let second = raw(&body).unwrap();
    assert_eq!(second.scan.time, TimeRange { start: NOW - 1000, end: NOW - 500 });
    assert_eq!(second.after, Some(position));
    body["metricName"] = "other".into();
    assert_eq!(raw(&body).unwrap_err().code(), "cursor_invalid");
}

#[test]
fn what_decides_the_samples_decides_the_fingerprint() {
    let of = |change: &dyn Fn(&mut Value)| {
        let filter = json!({"dimension": "a", "op": "in", "value": ["x", "y"]});
        let mut body = json!({"queryType": "raw", "metricName": "m", "timeRange": {"start": 5}, "filters": [filter]});
        change(&mut body);
        raw(&body).unwrap().fingerprint
    };
    let plain = of(&|_| {});
    let changes: [&dyn Fn(&mut Value); 6] = [
        &|body| body["metricName"] = "n".into(),
        &|body| body["timeRange"] = json!({"start": 6}),
        &|body| body["timeRange"] = json!({"start": 5, "end": 600}),
        &|body| body["filters"][0]["op"] = "notIn".into(),
        &|body| body["filters"][0]["value"] = json!(["xy"]),
        &|body| body["filters"] = json!([]),
    ];
    for change in changes {
        assert_ne!(of(change), plain);
    }
    assert_eq!(of(&|body| body["limit"] = 7.into()), plain);
    assert_eq!(of(&|body| body["filters"][0]["value"] = json!(["y", "x"])), plain);
}
