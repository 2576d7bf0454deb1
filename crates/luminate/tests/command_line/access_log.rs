//! The import of a real access log, and answers that were computed from the same file by other means.

use crate::server::Server;

const SPAN: [&str; 4] = ["--start", "2015-05-17", "--end", "2015-05-21"];

/// Percentiles with linear interpolation between ranks.
const P95_BY_METHOD: [(&str, f64); 4] = [("GET", 131072.0), ("HEAD", 0.0), ("OPTIONS", 626.0), ("POST", 12028.6)];

/// Hours in which there was a request.
const HOURS: usize = 84;

fn query(server: &Server, words: &[&str]) -> serde_json::Value {
    let all: Vec<&str> =
        ["query", "-m", "http_response_bytes", "--json"].iter().chain(words).chain(&SPAN).copied().collect();
    server.run(&all, "").done().json()
}

/// `[(value of the dimension, value)]`
fn groups(answer: &serde_json::Value, key: &str) -> Vec<(String, f64)> {
    let results = answer["results"].as_array().unwrap().iter();
    results.map(|row| (row["group"][key].as_str().unwrap().to_owned(), row["value"].as_f64().unwrap())).collect()
}

#[test]
fn a_real_log_is_imported_whole_but_for_its_malformed_line() {
    let server = Server::start();
    let file = Server::data_file("apache_access.log.gz");
    let imported = server.run(&["import", "access-log", &file, "--wait"], "").done();
    assert_eq!(imported.data, "");
    assert!(imported.messages.contains("line 8899 is malformed"), "{imported:?}");
    assert!(imported.messages.contains("samples stored: 9999, in requests: 2, malformed lines: 1"), "{imported:?}");

    // zcat apache_access.log.gz | awk and Python's statistics over the same 9,999 lines.
    let by_status = query(&server, &["-a", "count", "-g", "status", "--order-by", "value"]);
    let expected = [
        ("200", 9125.0),
        ("304", 445.0),
        ("404", 213.0),
        ("301", 164.0),
        ("206", 45.0),
        ("500", 3.0),
        ("403", 2.0),
        ("416", 2.0),
    ];
    assert_eq!(groups(&by_status, "status"), expected.map(|(status, count)| (status.to_owned(), count)));
    let series = query(&server, &["-a", "distinct"]);
    assert_eq!(series["results"][0]["value"], 8110, "{series}");
    let heaviest = query(&server, &["-a", "sum", "-g", "client", "--order-by", "value", "-l", "1"]);
    assert_eq!(groups(&heaviest, "client"), [("68.180.224.225".to_owned(), 168_132_893.0)]);
    let p95 = query(&server, &["-a", "p95", "-g", "method"]);
    let expected = P95_BY_METHOD.map(|(method, value)| (method.to_owned(), value));
    for ((method, value), (expected_method, expected)) in groups(&p95, "method").into_iter().zip(expected) {
        assert_eq!(method, expected_method);
        assert!((value - expected).abs() <= expected * 1e-12, "{method}: {value} is not {expected}");
    }
    let hours = query(&server, &["-a", "count", "--step", "1h"]);
    let hours = hours["results"][0]["values"].as_array().unwrap().clone();
    assert_eq!(hours.iter().map(|hour| hour[1].as_f64().unwrap()).sum::<f64>(), 9999.0);
    assert_eq!(hours.len(), HOURS);
}
