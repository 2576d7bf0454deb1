//! Tenant A never sees what tenant B wrote, by any route.

use luminate_tests::{Client, Server};
use serde_json::{Value, json};

/// Stands in the values that tenant-b writes; a request never holds it, so an answer that does is a leak.
const MARKER: &str = "only-b-may-see-this";

/// Stands in the names and keys that tenant-b writes; requests name them, so answers may repeat them.
const NAME_OF_B: &str = "of-b";

/// Everything that a tenant can read: each with the body of its request, where it has one.
fn everything(client: &Client) -> Vec<(String, Value)> {
    let all_time = json!({"start": 0, "end": 4_102_444_800_000_i64});
    let mut answers = Vec::new();
    for metric in ["shared", NAME_OF_B] {
        for aggregation in ["count", "avg", "p50", "distinct", "first", "last"] {
            let body = json!({"queryType": "aggregate", "metricName": metric, "aggregation": aggregation,
                "timeRange": all_time, "groupBy": ["owner", NAME_OF_B]});
            answers.push((body.to_string(), client.query(None, &body)));
        }
        let body = json!({"queryType": "raw", "metricName": metric, "timeRange": all_time, "limit": 100});
        answers.push((body.to_string(), client.query(None, &body)));
        for path in [
            "/api/v1/dimensions".to_owned(),
            format!("/api/v1/dimensions/{NAME_OF_B}/values"),
            "/api/v1/dimensions/owner/values".to_owned(),
        ] {
            for path in [path.clone(), format!("{path}?metric={metric}")] {
                let answer = client.get(&path);
                assert_eq!(answer.status, 200, "{path}: {}", answer.json());
                answers.push((path, answer.json()));
            }
        }
    }
    answers.push(("metrics".to_owned(), client.get("/api/v1/metrics").json()));
    answers
}

fn sample(metric: &str, owner: &str, extra: Value) -> Value {
    let mut dimensions = json!({"owner": owner});
    if let Some(extra) = extra.as_object() {
        dimensions.as_object_mut().unwrap().extend(extra.clone());
    }
    json!({"name": metric, "timestamp": 1_735_603_200_000_i64, "value": 1, "dimensions": dimensions})
}

/// Whether the samples of one tenant can be read by another.
fn sees(client: &Client, marker: &str) -> Option<String> {
    let found = everything(client).into_iter().find(|(_, answer)| answer.to_string().contains(marker));
    found.map(|(request, answer)| format!("{request} -> {answer}"))
}

#[test]
fn a_tenant_sees_its_own_samples_and_no_others() {
    let server = Server::start();
    let (a, b) = (server.client("tenant-a"), server.client("tenant-b"));
    let of_a = json!({"metrics": [sample("shared", "owner-a", Value::Null)]});
    let of_b = json!({"metrics": [sample("shared", MARKER, json!({NAME_OF_B: MARKER})), sample(NAME_OF_B, MARKER, Value::Null)]});
    // Both in one batch and so in one block, where only a condition keeps them apart.
    let (receipt_a, receipt_b) = (a.write_all(&of_a), b.write_all(&of_b));
    assert_eq!((a.count(Some(&receipt_a), "shared"), b.count(Some(&receipt_b), "shared")), (1, 1));
    if let Some(leak) = sees(&a, MARKER) {
        panic!("tenant-a sees what tenant-b wrote: {leak}");
    }
    for path in ["/api/v1/metrics", "/api/v1/dimensions"] {
        assert!(!a.get(path).json().to_string().contains(NAME_OF_B), "tenant-a sees a name of tenant-b: {path}");
        assert!(b.get(path).json().to_string().contains(NAME_OF_B), "tenant-b must see its own names: {path}");
    }
    assert!(sees(&b, MARKER).is_some(), "tenant-b must see its own samples, or this test proves nothing");
    assert!(sees(&a, "owner-a").is_some() && sees(&b, "owner-a").is_none());
}

#[test]
fn a_token_decides_the_tenant_and_nothing_else_does() {
    let server = Server::start();
    let a = server.client("tenant-a");
    let mut body = json!({"metrics": [sample("m", "a", Value::Null)]});
    body["tenant"] = json!("tenant-b");
    let answer = a.write(&body).unwrap();
    assert_eq!(answer.status, 400, "a tenant in a body is an unknown field: {}", answer.json());
    let body = json!({"metrics": [sample("m", "a", Value::Null)]});
    for headers in [[("X-Tenant", "tenant-b")], [("X-Scope-OrgID", "tenant-b")]] {
        let answer = a.post_json("/api/v1/write?tenant=tenant-b", &headers, &body).unwrap();
        assert!(answer.status == 202 || answer.status == 400, "{}", answer.json());
    }
    let receipt = a.write_all(&body);
    assert!(a.count(Some(&receipt), "m") >= 1);
    assert_eq!(server.client("tenant-b").count(None, "m"), 0);
}
