#![allow(clippy::unwrap_used, clippy::panic)]

use luminate_storage::{DimensionTest, Direction};
use serde_json::{Value, json};

use super::*;

fn parse(body: &Value) -> Result<QueryRequest, QueryError> {
    QueryRequest::parse(body.to_string().as_bytes(), &RequestLimits::default())
}

fn aggregate(fields: Value) -> Result<AggregateQuery, QueryError> {
    let mut body =
        json!({"queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "1h"}, "aggregation": "avg"});
    for (field, value) in fields.as_object().unwrap() {
        body[field] = value.clone();
    }
    match parse(&body)?.kind {
        QueryKind::Aggregate(query) => Ok(query),
        QueryKind::Raw(_) => panic!("an aggregate was asked for"),
    }
}

#[test]
fn the_example_of_the_docs_is_read() {
    let body = json!({
        "queryType": "aggregate", "metricName": "api_latency", "timeRange": {"relative": "24h"},
        "filters": [{"dimension": "endpoint", "op": "eq", "value": "/api/users"}],
        "aggregation": "p95", "groupBy": ["customer_id"], "step": "5m", "orderBy": "value", "limit": 10,
    });
    let key = "endpoint".to_owned();
    let test = DimensionTest::Equal("/api/users".to_owned());
    let expected = QueryRequest {
        metric: "api_latency".to_owned(),
        time: RequestedTime::Relative(86_400_000),
        filters: vec![DimensionFilter { key, test }],
        kind: QueryKind::Aggregate(AggregateQuery {
            function: AggregateFunction::Percentile(95.0),
            group_by: vec!["customer_id".to_owned()],
            step: Some(RequestedStep { width: 300_000, align: Align::Epoch }),
            order: GroupOrder::Value(Direction::Descending),
            limit: 10,
        }),
    };
    assert_eq!(parse(&body).unwrap(), expected);
}

#[test]
fn functions_have_their_names() {
    use AggregateFunction as F;
    let named = [
        ("avg", F::Avg),
        ("sum", F::Sum),
        ("min", F::Min),
        ("max", F::Max),
        ("count", F::Count),
        ("stddev", F::Stddev),
        ("distinct", F::Distinct { of: None }),
        ("first", F::First),
        ("last", F::Last),
        ("p0", F::Percentile(0.0)),
        ("p99.9", F::Percentile(99.9)),
        ("p100", F::Percentile(100.0)),
    ];
    for (name, function) in named {
        assert_eq!(aggregate(json!({"aggregation": name})).unwrap().function, function);
    }
    let of = aggregate(json!({"aggregation": "distinct", "of": "user"})).unwrap().function;
    assert_eq!(of, F::Distinct { of: Some("user".to_owned()) });
    for bad in ["AVG", "p", "p-1", "p100.1", "p1e1", "pNaN", "pinf", "p+5", "p.5", "p5%", "median"] {
        assert_eq!(aggregate(json!({"aggregation": bad})).unwrap_err().code(), "query_field_invalid", "{bad}");
    }
}

#[test]
fn orders_have_their_defaults() {
    let order = |fields: Value| aggregate(fields).unwrap().order;
    assert_eq!(order(json!({})), GroupOrder::GroupAscending);
    assert_eq!(order(json!({"order": "desc"})), GroupOrder::GroupDescending);
    assert_eq!(order(json!({"orderBy": "group", "order": "asc"})), GroupOrder::GroupAscending);
    assert_eq!(order(json!({"orderBy": "value"})), GroupOrder::Value(Direction::Descending));
    assert_eq!(order(json!({"orderBy": "value", "order": "asc"})), GroupOrder::Value(Direction::Ascending));
}

#[test]
fn filters_take_values_of_their_kind() {
    let test = |op: &str, value: Value| {
        let filters = json!([{"dimension": "d", "op": op, "value": value}]);
        let body = json!({"queryType": "raw", "metricName": "m", "timeRange": {"relative": "1h"}, "filters": filters});
        parse(&body).map(|request| request.filters[0].test.clone())
    };
    let text = |text: &str| text.to_owned();
    let set = |values: &[&str]| values.iter().map(|value| text(value)).collect();
    assert_eq!(test("eq", json!("")).unwrap(), DimensionTest::Equal(text("")));
    assert_eq!(test("ne", json!("a")).unwrap(), DimensionTest::NotEqual(text("a")));
    assert_eq!(test("in", json!(["b", "a", "b"])).unwrap(), DimensionTest::In(set(&["a", "b"])));
    assert_eq!(test("notIn", json!([])).unwrap(), DimensionTest::NotIn(set(&[])));
    assert_eq!(test("exists", Value::Null).unwrap(), DimensionTest::Exists(true));
    assert_eq!(test("exists", json!(false)).unwrap(), DimensionTest::Exists(false));
    assert_eq!(test("prefix", json!("a")).unwrap(), DimensionTest::Prefix(text("a")));
    assert!(matches!(test("regex", json!("a.*")).unwrap(), DimensionTest::Regex(pattern) if pattern.text() == "a.*"));
    for (op, value) in
        [("eq", json!(["a"])), ("eq", json!(5)), ("in", json!([5])), ("prefix", json!(true)), ("regex", json!([]))]
    {
        assert_eq!(test(op, value).unwrap_err().code(), "query_field_invalid", "{op}");
    }
    for op in ["eq", "in", "regex"] {
        assert_eq!(test(op, Value::Null).unwrap_err().code(), "query_field_missing", "{op}");
    }
}

#[test]
fn durations_have_a_unit() {
    let cases =
        [("1ms", 1), ("10s", 10_000), ("5m", 300_000), ("24h", 86_400_000), ("7d", 604_800_000), ("2w", 1_209_600_000)];
    for (text, ms) in cases {
        assert_eq!(parse_duration(text), Ok(ms));
    }
    for bad in [
        "",
        "5",
        "m",
        "0m",
        "-5m",
        "+5m",
        "5 m",
        "5M",
        "1.5h",
        "1h30m",
        "5y",
        "99999999999999999999h",
        "9223372036854775807w",
    ] {
        assert!(parse_duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn instants_are_as_in_rfc_3339() {
    assert_eq!(parse_instant("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(parse_instant("2024-12-31T01:00:00.0019+01:00"), Some(1_735_603_200_001));
    assert_eq!(parse_instant("1969-12-31T23:59:59.9999Z"), Some(-1));
    for bad in ["2024-12-31", "2024-12-31 00:00:00", "2024-12-31T00:00:00", "1735603200000", "2024-13-01T00:00:00Z", ""]
    {
        assert_eq!(parse_instant(bad), None, "{bad}");
    }
}

#[test]
fn arbitrary_bytes_are_refused_without_panic() {
    let mut dice = luminate_storage::conformance::Dice::new(5);
    let good = br#"{"queryType":"aggregate","metricName":"m","timeRange":{"start":1,"end":"2024-12-31T00:00:00Z"},"filters":[{"dimension":"d","op":"in","value":["a"]}],"aggregation":"p95","step":"5m","limit":10}"#;
    assert!(QueryRequest::parse(good, &RequestLimits::default()).is_ok());
    let mut refused = 0;
    for _ in 0..5000 {
        let mut spoilt = good.to_vec();
        for _ in 0..1 + dice.below(3) {
            let at = dice.below(spoilt.len());
            match dice.below(3) {
                0 => spoilt[at] = dice.any() as u8,
                1 => spoilt.truncate(at.max(1)),
                _ => drop(spoilt.remove(at.min(spoilt.len() - 1))),
            }
            spoilt.push(b'}');
        }
        refused += usize::from(QueryRequest::parse(&spoilt, &RequestLimits::default()).is_err());
    }
    assert!(refused > 1000);
    let deep = format!("{}{}", "{\"filters\":".repeat(200_000), "[".repeat(200_000));
    assert_eq!(QueryRequest::parse(deep.as_bytes(), &RequestLimits::default()).unwrap_err().code(), "query_malformed");
}
