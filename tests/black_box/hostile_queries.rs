//! Queries that are none, or ask for too much: each is refused with its own code, and the next one is answered.

use luminate_tests::samples::now_ms;
use luminate_tests::{Answer, Client, Server, ServerOptions};
use serde_json::{Value, json};

const QUERY: &str = "/api/v1/query";

/// A query that must be answered.
fn good_query() -> Value {
    json!({"queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "24h"}, "aggregation": "count"})
}

/// A good query with other fields; null takes one out.
fn query_with(fields: Value) -> Value {
    let mut query = good_query();
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => drop(query.as_object_mut().unwrap().remove(name)),
            value => query[name] = value.clone(),
        }
    }
    query
}

fn raw_with(fields: Value) -> Value {
    let mut query = query_with(fields);
    query["queryType"] = json!("raw");
    query.as_object_mut().unwrap().remove("aggregation");
    query
}

fn filter(op: &str, value: Value) -> Value {
    query_with(json!({"filters": [{"dimension": "d", "op": op, "value": value}]}))
}

/// Writes a few samples, so that queries do something; returns the receipt.
fn write_samples(client: &Client) -> String {
    let now = now_ms();
    let sample = |n: i64| json!({"name": "m", "timestamp": now - n, "value": n, "dimensions": {"d": format!("v{n}")}});
    client.write_all(&json!({"metrics": (0..2000).map(sample).collect::<Vec<_>>()}))
}

fn server_with_samples() -> (Server, Client) {
    let server = Server::start();
    let client = server.client("acme");
    let receipt = write_samples(&client);
    assert_eq!(client.count(Some(&receipt), "m"), 2000);
    (server, client)
}

#[track_caller]
fn ask(client: &Client, query: &Value) -> Answer {
    client.post_json(QUERY, &[], query).unwrap_or_else(|error| panic!("{query}: {error}"))
}

#[track_caller]
fn assert_refused(client: &Client, cases: &[(&str, Value, u16, &str)]) {
    for (case, query, status, code) in cases {
        ask(client, query).assert_problem(case, *status, code);
        assert_eq!(ask(client, &good_query()).status, 200, "after {case}");
    }
}

#[test]
fn what_is_no_query_is_refused() {
    let (_server, client) = server_with_samples();
    for (case, body) in [
        ("nothing", b"".to_vec()),
        ("a word", b"hello".to_vec()),
        ("an array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("half an object", b"{\"queryType\":".to_vec()),
        ("two objects", b"{}{}".to_vec()),
        ("invalid UTF-8", b"{\"queryType\":\"\xff\"}".to_vec()),
        ("90,000 objects in each other", br#"{"filters":"#.repeat(90_000)),
        ("100,000 arrays in each other", [b"{\"filters\":".as_slice(), &b"[".repeat(100_000)].concat()),
    ] {
        let answer = client.send("POST", QUERY, &[("Content-Type", "application/json")], &body).unwrap();
        answer.assert_problem(case, 400, "query_malformed");
    }
    let cases = [
        ("no fields", json!({}), 400, "query_field_missing"),
        ("no metric", query_with(json!({"metricName": null})), 400, "query_field_missing"),
        ("no time", query_with(json!({"timeRange": null})), 400, "query_field_missing"),
        ("no aggregation", query_with(json!({"aggregation": null})), 400, "query_field_missing"),
        ("an unknown field", query_with(json!({"tenant": "other"})), 400, "query_field_invalid"),
        ("an empty metric", query_with(json!({"metricName": ""})), 400, "query_field_invalid"),
        ("a metric of another type", query_with(json!({"metricName": 7})), 400, "query_field_invalid"),
        ("a metric's name of 2 KB", query_with(json!({"metricName": "m".repeat(2000)})), 400, "query_too_large"),
        ("another type of query", query_with(json!({"queryType": "sql"})), 400, "query_type_unsupported"),
        ("a type for later", query_with(json!({"queryType": "rate"})), 400, "query_type_unsupported"),
        ("an unknown function", query_with(json!({"aggregation": "median"})), 400, "query_field_invalid"),
        ("p101", query_with(json!({"aggregation": "p101"})), 400, "query_field_invalid"),
        ("p-1", query_with(json!({"aggregation": "p-1"})), 400, "query_field_invalid"),
        ("pNaN", query_with(json!({"aggregation": "pNaN"})), 400, "query_field_invalid"),
        ("p1e1", query_with(json!({"aggregation": "p1e1"})), 400, "query_field_invalid"),
        ("an order of its own", query_with(json!({"orderBy": "random"})), 400, "query_field_invalid"),
        ("a limit of none", query_with(json!({"limit": 0})), 400, "query_field_invalid"),
        ("a negative limit", query_with(json!({"limit": -1})), 400, "query_field_invalid"),
        ("a limit with a point", query_with(json!({"limit": 1.5})), 400, "query_field_invalid"),
        ("a limit beyond 64 bits", query_with(json!({"limit": 1e30})), 400, "query_field_invalid"),
        ("the largest limit of 64 bits", query_with(json!({"limit": u64::MAX})), 400, "query_too_large"),
        ("a cursor in an aggregate", query_with(json!({"cursor": "x"})), 400, "query_field_invalid"),
        ("a step in a raw query", raw_with(json!({"step": "1m"})), 400, "query_field_invalid"),
        ("groupBy twice the same", query_with(json!({"groupBy": ["d", "d"]})), 400, "query_field_invalid"),
        ("an empty key", query_with(json!({"groupBy": [""]})), 400, "query_field_invalid"),
    ];
    assert_refused(&client, &cases);
}

#[test]
fn times_that_are_none_or_lead_nowhere() {
    let (_server, client) = server_with_samples();
    let range = |range: Value| query_with(json!({ "timeRange": range }));
    let invalid = [
        ("a number", json!(5), "query_field_invalid"),
        ("nothing in it", json!({}), "time_range_invalid"),
        ("an end alone", json!({"end": 5}), "time_range_invalid"),
        ("both kinds", json!({"relative": "1h", "start": 5}), "time_range_invalid"),
        ("backwards", json!({"start": 10, "end": 5}), "time_range_invalid"),
        ("empty", json!({"start": 5, "end": 5}), "time_range_invalid"),
        ("the smallest and the largest number", json!({"start": i64::MIN, "end": i64::MAX}), "time_range_invalid"),
        ("beyond 64 bits", json!({"start": 1e300, "end": 2e300}), "time_range_invalid"),
        ("a day that there is not", json!({"start": "2025-02-30T00:00:00Z"}), "time_range_invalid"),
        ("a start in the future", json!({"start": now_ms() + 3_600_000}), "time_range_invalid"),
        ("a relative number", json!({"relative": 5}), "time_range_invalid"),
        ("no unit", json!({"relative": "5"}), "time_range_invalid"),
        ("no time", json!({"relative": "0h"}), "time_range_invalid"),
        ("a negative time", json!({"relative": "-1h"}), "time_range_invalid"),
        ("too many weeks", json!({"relative": "99999999999999999w"}), "time_range_invalid"),
        ("an unknown field", json!({"relative": "1h", "zone": "CET"}), "query_field_invalid"),
    ];
    let cases = invalid.map(|(case, time, code)| (case, range(time), 400, code));
    assert_refused(&client, &cases);
    let years = json!({"start": 0, "end": now_ms()});
    let step = |step: &str| query_with(json!({"timeRange": years, "step": step}));
    let cases = [
        ("1 ms over half a century", step("1ms"), 400, "query_too_large"),
        ("1 s over half a century", step("1s"), 400, "query_too_large"),
        ("a step of nothing", step("0s"), 400, "query_field_invalid"),
        ("a step beyond 64 bits", step("9223372036854775807w"), 400, "query_field_invalid"),
    ];
    assert_refused(&client, &cases);
    // The widest that is allowed is answered, and not by walking through empty buckets.
    let wide = ask(&client, &query_with(json!({"timeRange": {"relative": "6000w"}, "step": "5999w"})));
    assert_eq!(
        (wide.status, wide.json()["results"][0]["values"].as_array().map(Vec::len)),
        (200, Some(1)),
        "{}",
        wide.json()
    );
}

#[test]
fn conditions_beyond_all_measure() {
    let (_server, client) = server_with_samples();
    let equal = json!({"dimension": "d", "op": "eq", "value": "v1"});
    let strings = |count: usize| (0..count).map(|n| format!("v{n}")).collect::<Vec<_>>();
    let keys = |count: usize| (0..count).map(|n| format!("k{n}")).collect::<Vec<_>>();
    let lists = |count: usize| vec![json!({"dimension": "d", "op": "in", "value": strings(4000)}); count];
    let cases = [
        ("65 conditions", query_with(json!({"filters": vec![equal.clone(); 65]})), 400, "query_too_large"),
        ("10,000 conditions", query_with(json!({"filters": vec![equal; 10_000]})), 400, "query_too_large"),
        ("a list of 10,001", filter("in", json!(strings(10_001))), 400, "query_too_large"),
        ("three lists of 4,000", query_with(json!({"filters": lists(3)})), 400, "query_too_large"),
        ("a value of 70 KB", filter("eq", json!("v".repeat(70_000))), 400, "query_too_large"),
        ("17 dimensions", query_with(json!({"groupBy": keys(17)})), 400, "query_too_large"),
        ("a number", filter("eq", json!(5)), 400, "query_field_invalid"),
        ("null", filter("eq", Value::Null), 400, "query_field_missing"),
        ("a list for one", filter("eq", json!(["v1"])), 400, "query_field_invalid"),
        ("one for a list", filter("in", json!("v1")), 400, "query_field_invalid"),
        ("a list of numbers", filter("notIn", json!([1])), 400, "query_field_invalid"),
        ("exists perhaps", filter("exists", json!("perhaps")), 400, "query_field_invalid"),
        ("another condition", filter("like", json!("%")), 400, "query_field_invalid"),
        ("conditions of another type", query_with(json!({"filters": {"d": "v1"}})), 400, "query_field_invalid"),
        (
            "a condition without a key",
            query_with(json!({"filters": [{"op": "eq", "value": ""}]})),
            400,
            "query_field_missing",
        ),
    ];
    assert_refused(&client, &cases);
    // As much as is allowed is answered.
    let most = ask(&client, &filter("in", json!(strings(10_000))));
    assert_eq!((most.status, &most.json()["results"][0]["value"]), (200, &json!(2000)), "{}", most.json());
}

#[test]
fn patterns_are_bounded_in_size_and_never_in_doubt() {
    let (_server, client) = server_with_samples();
    let cases = [
        ("an open bracket", "(", "pattern_invalid"),
        ("nothing to repeat", "*", "pattern_invalid"),
        ("a reference back", r"(a)\1", "pattern_invalid"),
        ("looking ahead", "(?=a)", "pattern_invalid"),
        ("looking behind", "(?<!a)b", "pattern_invalid"),
        ("an atomic group", "(?>a)", "pattern_invalid"),
        ("a backwards range", "[z-a]", "pattern_invalid"),
        ("a thousand million repetitions", "(((a{1000}){1000}){1000})", "pattern_invalid"),
        ("a million letters of any kind", r"(\pL{100}){100}", "pattern_invalid"),
    ];
    let cases = cases.map(|(case, pattern, code)| (case, filter("regex", json!(pattern)), 400, code));
    assert_refused(&client, &cases);
    let long = [("10 KB", filter("regex", json!("a".repeat(10_000))), 400, "query_too_large")];
    assert_refused(&client, &long);

    // The classics against engines that go back: here they cost what others cost.
    let long_value =
        json!({"name": "m2", "timestamp": now_ms(), "value": 1, "dimensions": {"d": "a".repeat(2000) + "!"}});
    let receipt = client.write_all(&json!({"metrics": [long_value]}));
    for pattern in ["(a+)+", "(a|a)*", "(a|aa)+", "(.*)*(.*)*(.*)*x", "(a?){50}a{50}"] {
        let mut query = filter("regex", json!(pattern));
        query["metricName"] = json!("m2");
        let answer = client.query(Some(&receipt), &query);
        assert!(answer["stats"]["elapsedMs"].as_u64().unwrap() < 5000, "{pattern}: {answer}");
        assert_eq!(answer["results"], json!([]), "{pattern} does not match the whole of it");
    }
}

#[test]
fn cursors_and_receipts_that_nobody_gave_out() {
    let (server, client) = server_with_samples();
    let page = ask(&client, &raw_with(json!({"limit": 3, "timeRange": {"start": 0, "end": now_ms() + 1}}))).json();
    let cursor = page["cursor"].as_str().expect("there is more").to_owned();
    let whole = raw_with(json!({"limit": 3, "timeRange": {"start": 0, "end": now_ms() + 1}}));
    let with = |cursor: &str| {
        let mut query = whole.clone();
        query["cursor"] = json!(cursor);
        query
    };
    let foreign = raw_with(json!({"metricName": "other", "limit": 3, "cursor": cursor}));
    let flipped: String = cursor.chars().map(|c| if c == 'A' { 'B' } else { c }).collect();
    let cases = [
        ("an empty cursor", with(""), 400, "cursor_invalid"),
        ("a word", with("hello"), 400, "cursor_invalid"),
        ("bytes", with("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), 400, "cursor_invalid"),
        ("half a cursor", with(&cursor[..cursor.len() / 2]), 400, "cursor_invalid"),
        ("a changed one", with(&flipped), 400, "cursor_invalid"),
        ("a cursor of 1 MB", with(&"A".repeat(1_000_000)), 400, "cursor_invalid"),
        ("a cursor of another request", foreign.clone(), 400, "cursor_invalid"),
    ];
    assert_refused(&client, &cases);
    let of_other_tenant = server.client("other").post_json(QUERY, &[], &with(&cursor)).unwrap();
    of_other_tenant.assert_problem("another tenant's cursor", 400, "cursor_invalid");

    let asked = |receipt: &str| client.post_json(QUERY, &[("X-Luminate-Receipt", receipt)], &good_query()).unwrap();
    for bad in ["x", "AAAA", "AQAA", "!!!", "null", &"A".repeat(3000)] {
        asked(bad).assert_problem("a receipt", 400, "receipt_invalid");
    }
    let mut of_another_queue = vec![1];
    of_another_queue.extend([7; 16]);
    of_another_queue.extend([0, 1]);
    let of_another_queue = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, of_another_queue);
    asked(&of_another_queue).assert_problem("a receipt of another queue", 410, "receipt_gone");
    assert_eq!(asked("AQ").status, 200, "a receipt of nothing is passed at once");
}

#[test]
fn a_query_that_hits_a_limit_says_which() {
    let percentiles = query_with(json!({"aggregation": "p95", "groupBy": ["d"]}));
    let steps = query_with(json!({"groupBy": ["d"], "timeRange": {"relative": "10s"}, "step": "1ms"}));
    for (config, query, code) in [
        ("maxSamples: 1000", good_query(), "query_samples_limit"),
        ("maxMemory: 4KiB", percentiles, "query_memory_limit"),
        ("limits:\n    maxValues: 100", steps, "query_rows_limit"),
    ] {
        let server =
            Server::start_with(ServerOptions { config: format!("query:\n  {config}\n"), ..ServerOptions::default() });
        let client = server.client("acme");
        let receipt = write_samples(&client);
        let answer = client.post_json(QUERY, &[("X-Luminate-Receipt", &receipt)], &query).unwrap();
        answer.assert_problem(config, 422, code);
        assert!(answer.json()["limit"].as_u64().is_some(), "it does not say what the limit is: {}", answer.json());
    }
}

#[test]
fn bodies_of_queries_are_bounded_and_typed() {
    let (_server, client) = server_with_samples();
    let huge = format!(r#"{{"queryType":"{}"}}"#, "x".repeat(20 << 20));
    let answer = client.send("POST", QUERY, &[("Content-Type", "application/json")], huge.as_bytes());
    // The server may have closed the connection before the last byte was sent.
    if let Ok(answer) = answer {
        answer.assert_problem("20 MB", 413, "body_too_large");
    }
    let body = good_query().to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/sql"] {
        let answer = client.send("POST", QUERY, &[("Content-Type", content_type)], body.as_bytes()).unwrap();
        answer.assert_problem(content_type, 415, "content_type_unsupported");
    }
    assert_eq!(ask(&client, &good_query()).status, 200);
}

#[test]
fn catalogue_parameters_that_make_no_sense() {
    let (_server, client) = server_with_samples();
    for query in [
        "limit=0",
        "limit=-1",
        "limit=many",
        "limit=99999999999",
        "start=x",
        "start=5&end=5",
        "start=10&end=5",
        "unknown=1",
        "limit=1&limit=2",
    ] {
        for path in ["/api/v1/metrics", "/api/v1/dimensions", "/api/v1/dimensions/d/values"] {
            let answer = client.get(&format!("{path}?{query}"));
            assert_eq!(answer.status, 400, "{path}?{query}: {}", answer.json());
            answer.assert_sound_problem(query);
        }
    }
    let long = "k".repeat(2000);
    let answer = client.get(&format!("/api/v1/dimensions/{long}/values"));
    assert!(answer.status == 400 || answer.json()["values"] == json!([]), "{}", answer.json());
    for key in ["%00", "%ff", "..%2f..", "%22%3B%20DROP"] {
        let answer = client.get(&format!("/api/v1/dimensions/{key}/values"));
        assert!(matches!(answer.status, 200 | 400), "{key}: {}", answer.status);
        answer.assert_nothing_internal(key);
    }
}
