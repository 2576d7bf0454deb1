//! Every reason for which a sample is rejected, and what the client reads about it.

use std::collections::{BTreeMap, BTreeSet};

use luminate_ingest_gateway::GatewayConfig;
use luminate_model::time::DAY_MS;
use luminate_model::{RetentionRules, TenantRetention};
use luminate_queue::memory::MemoryQueueConfig;
use luminate_runtime::config::HumanDuration;

use crate::fixture::{Fixture, NOW, metric, metrics, tenant};

/// A metric without its braces around these members.
fn with(members: &str) -> String {
    format!(r#"{{"name":"m","timestamp":{NOW},"value":1,{members}}}"#)
}

fn rules() -> RetentionRules {
    let metrics = BTreeMap::from([("short".to_owned(), 2)]);
    RetentionRules {
        default_days: 0,
        tenants: BTreeMap::from([(tenant("acme"), TenantRetention { default_days: 0, metrics })]),
    }
}

fn fixture() -> Fixture {
    let mut config = GatewayConfig::default();
    let samples = &mut config.samples;
    samples.max_name_bytes = 5.try_into().unwrap();
    samples.max_dimension_key_bytes = 6.try_into().unwrap();
    samples.max_dimension_value_bytes = 7.try_into().unwrap();
    samples.max_dimensions = 2;
    samples.oldest_age = Some(HumanDuration::new(std::time::Duration::from_secs(10 * 86_400)));
    Fixture::with(config, rules(), MemoryQueueConfig::default())
}

#[tokio::test]
async fn every_fault_has_its_code_and_a_sentence() {
    let cases: Vec<(String, &str, String)> = [
        ("7".to_owned(), "invalid_sample", "expected an object, got a number".to_owned()),
        ("[{}]".to_owned(), "invalid_sample", "expected an object, got an array".to_owned()),
        ("null".to_owned(), "invalid_sample", "expected an object, got null".to_owned()),
        (with(r#""tenant":{"a":[1,{}]}"#), "unknown_field", "\"tenant\" is no field of a metric".to_owned()),
        (with(r#""\ud800":1"#), "unknown_field", "a field's name holds half of a surrogate pair".to_owned()),
        (with(r#""value":1"#), "duplicate_key", "the field \"value\" is given twice".to_owned()),
        (with(r#""nam\u0065":"n""#), "duplicate_key", "the field \"name\" is given twice".to_owned()),
        (with(r#""dimensions":{"a":"1","b":"2","a":""}"#), "duplicate_key", "dimensions name the key \"a\" twice".to_owned()),
        (format!(r#"{{"timestamp":{NOW},"value":1}}"#), "missing_name", "the metric has no name".to_owned()),
        (r#"{"name":"m","value":1}"#.to_owned(), "missing_timestamp", "the metric has no timestamp".to_owned()),
        (format!(r#"{{"name":"m","timestamp":{NOW}}}"#), "missing_value", "the metric has no value".to_owned()),
        (r#"{"name":null}"#.to_owned(), "invalid_name", "name must be a string, got null".to_owned()),
        (format!(r#"{{"name":"","timestamp":{NOW},"value":1}}"#), "invalid_name", "name is empty".to_owned()),
        (format!(r#"{{"name":"a\n","timestamp":{NOW},"value":1}}"#), "invalid_name", "name holds a control character".to_owned()),
        (r#"{"name":"\ude00"}"#.to_owned(), "invalid_name", "name holds half of a surrogate pair".to_owned()),
        (metric("äöü", 1.0), "name_too_long", "name has 6 bytes, the limit is 5".to_owned()),
        (r#"{"timestamp":"1"}"#.to_owned(), "invalid_timestamp", "timestamp must be an integer of ms since 1970, got a string".to_owned()),
        (r#"{"timestamp":1.0}"#.to_owned(), "invalid_timestamp", "timestamp must be an integer of ms since 1970, got 1.0".to_owned()),
        (r#"{"timestamp":1e3}"#.to_owned(), "invalid_timestamp", "timestamp must be an integer of ms since 1970, got 1e3".to_owned()),
        (
            r#"{"timestamp":9223372036854775808}"#.to_owned(),
            "invalid_timestamp",
            "timestamp must be an integer of ms since 1970, got 9223372036854775808".to_owned(),
        ),
        (
            r#"{"name":"m","timestamp":9223372036854775807,"value":1}"#.to_owned(),
            "invalid_timestamp",
            "timestamp 9223372036854775807 is outside [-2208988800000, 10413792000000), ms since 1970 of the years 1900 to 2299".to_owned(),
        ),
        (
            format!(r#"{{"name":"m","timestamp":{},"value":1}}"#, NOW - 10 * DAY_MS - 1),
            "timestamp_too_old",
            "timestamp is 864000001 ms old, the limit is 864000000 ms".to_owned(),
        ),
        (
            format!(r#"{{"name":"m","timestamp":{},"value":1}}"#, NOW + 3_600_001),
            "timestamp_too_new",
            "timestamp is 3600001 ms in the future, the limit is 3600000 ms".to_owned(),
        ),
        (
            format!(r#"{{"name":"short","timestamp":{},"value":1}}"#, NOW - 2 * DAY_MS - 1),
            "retention_exceeded",
            "timestamp is 172800001 ms old, the retention of this metric is 2 days".to_owned(),
        ),
        (r#"{"value":"NaN"}"#.to_owned(), "invalid_value", "value must be a number, got a string".to_owned()),
        (r#"{"value":true}"#.to_owned(), "invalid_value", "value must be a number, got a boolean".to_owned()),
        (r#"{"value":1e400}"#.to_owned(), "value_not_finite", "value does not fit a 64-bit float, got 1e400".to_owned()),
        (with(r#""dimensions":[]"#), "invalid_dimensions", "dimensions must be an object of strings, got an array".to_owned()),
        (with(r#""dimensions":null"#), "invalid_dimensions", "dimensions must be an object of strings, got null".to_owned()),
        (with(r#""dimensions":{"a":1}"#), "invalid_dimensions", "the value of dimension \"a\" must be a string, got a number".to_owned()),
        (
            with(r#""dimensions":{"a":"\udead"}"#),
            "invalid_dimensions",
            "the value of dimension \"a\" holds half of a surrogate pair".to_owned(),
        ),
        (with(r#""dimensions":{"":"1"}"#), "invalid_dimension_key", "a key of dimensions is empty".to_owned()),
        (with(r#""dimensions":{"\t":"1"}"#), "invalid_dimension_key", "a key of dimensions holds a control character".to_owned()),
        (
            with(r#""dimensions":{"\udead":"1"}"#),
            "invalid_dimension_key",
            "a key of dimensions holds half of a surrogate pair".to_owned(),
        ),
        (
            with(r#""dimensions":{"abcdefg":"1"}"#),
            "dimension_key_too_long",
            "the key \"abcdefg\" of dimensions has 7 bytes, the limit is 6".to_owned(),
        ),
        (
            with(r#""dimensions":{"a":"12345678"}"#),
            "dimension_value_too_long",
            "the value of dimension \"a\" has 8 bytes, the limit is 7".to_owned(),
        ),
        (
            with(r#""dimensions":{"a":"1","b":"2","c":"3","d":""}"#),
            "too_many_dimensions",
            "3 dimensions, the limit is 2".to_owned(),
        ),
        (
            with(&format!(r#""dimensions":{{{}}}"#, (0..1025).map(|n| format!(r#""{n}":"""#)).collect::<Vec<_>>().join(","))),
            "too_many_dimensions",
            "more than 1024 keys of dimensions, empty values included".to_owned(),
        ),
    ]
    .to_vec();

    let fixture = fixture();
    for (body, code, detail) in &cases {
        let expected = serde_json::json!([{"index": 0, "code": code, "detail": detail}]);
        let answer = fixture.json(metrics(std::slice::from_ref(body))).await;
        assert_eq!((answer.status.as_u16(), &answer.body["errors"]), (400, &expected), "{body}");
        let answer = fixture.ndjson(body.clone()).await;
        assert_eq!((answer.status.as_u16(), &answer.body["errors"]), (400, &expected), "{body}");
    }
    // The others come from the queue and the writer.
    let seen: BTreeSet<_> = cases.iter().map(|(_, code, _)| *code).collect();
    let elsewhere = ["record_", "tenant_mismatch", "idempotency_"];
    for code in luminate_model::RejectCode::ALL {
        let is_elsewhere = elsewhere.iter().any(|prefix| code.code().starts_with(prefix));
        assert!(is_elsewhere || seen.contains(code.code()), "{code} is produced by no case");
    }
    assert!(fixture.stored().await.is_empty());
}

#[tokio::test]
async fn a_reject_does_not_spoil_its_neighbours() {
    let fixture = fixture();
    let first_fault_wins = r#"{"value":"x","name":7,"timestamp":{}}"#.to_owned();
    let answer =
        fixture.json(metrics(&[metric("a", 1.0), first_fault_wins, metric("b", 2.0), with(r#""x":[{}]"#)])).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.errors(), [(1, "invalid_value".to_owned()), (3, "unknown_field".to_owned())]);
    let samples = fixture.samples().await;
    assert_eq!(
        samples.iter().map(|sample| (sample.metric.as_str(), sample.value)).collect::<Vec<_>>(),
        [("a", 1.0), ("b", 2.0)]
    );
    assert!(samples.iter().all(|sample| sample.dimensions.len() == 1), "nothing is left of the sample before");
}

#[tokio::test]
async fn edges_of_what_is_valid_are_taken() {
    let fixture = fixture();
    let old = |name: &str, days: i64| format!(r#"{{"name":"{name}","timestamp":{},"value":1}}"#, NOW - days * DAY_MS);
    let new = format!(r#"{{"name":"m","timestamp":{},"value":-1.7976931348623157e308}}"#, NOW + 3_600_000);
    let answer = fixture.json(metrics(&[old("m", 10), old("short", 2), new, metric("abcde", 0.0)])).await;
    assert_eq!((answer.status.as_u16(), answer.errors().len()), (202, 0), "{answer:?}");
    assert_eq!(fixture.stored().await[0].retention_days, [0, 2, 0, 0], "the retention travels in the record");
}
