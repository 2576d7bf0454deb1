//! What the server measures of itself: everything that the documentation lists, and the truth.

use std::collections::BTreeSet;

use luminate_tests::metrics::{self, Documented};
use luminate_tests::samples::{SampleMaker, now_ms};
use luminate_tests::{Client, Server, ServerOptions, files, process, wait};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

fn server_with(config: &str) -> Server {
    Server::start_with(ServerOptions { config: config.to_owned(), ..ServerOptions::default() })
}

fn write_keyed(client: &Client, key: &str, body: &Value) -> u64 {
    let answer = client.post_json("/api/v1/write", &[("Idempotency-Key", key)], body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["accepted"].as_u64().unwrap()
}

fn aggregate(metric: &str) -> Value {
    json!({"queryType": "aggregate", "metricName": metric, "timeRange": {"start": 0}, "aggregation": "count"})
}

/// The names of the labels of a line such as `name{a="1",b="2"} 3`.
fn labels(line: &str) -> BTreeSet<String> {
    let Some((_, labels)) = line.split_once('{') else { return BTreeSet::new() };
    let names = labels.split("=\"").filter_map(|part| part.rsplit(['{', ',', '"']).next());
    // What stands behind the last value is no name.
    let count = labels.matches("=\"").count();
    names.take(count).map(str::to_owned).collect()
}

/// Does something of everything that is counted by labels.
fn make_everything_count(server: &Server) {
    let client = server.client("acme");
    let mut maker = SampleMaker::new(1);
    write_keyed(&client, "k", &maker.body("m", 50).0);
    write_keyed(&client, "k", &maker.body("m", 50).0);
    let mixed = json!({"metrics": [{"name": "m", "timestamp": now_ms(), "value": 1}, {"name": "m"}]});
    let receipt = client.write(&mixed).unwrap().json()["receipt"].as_str().unwrap().to_owned();
    let headers = [("X-Luminate-Receipt", receipt.as_str())];
    let refused = client.post_json("/api/v1/query", &headers, &aggregate("m")).unwrap();
    refused.assert_problem("more than ten samples", 422, "query_samples_limit");
    let busy = server.client("busy");
    wait::until("a rate limit", || (busy.write(&maker.body("m", 1).0).unwrap().status == 429).then_some(()));
    wait::until("the dead letter", || (server.metric("luminate_dead_letters_total", "") == 1.0).then_some(()));
    wait::until("the sizes are looked at", || (server.metric("luminate_disk_bytes", "store") > 0.0).then_some(()));
}

#[test]
fn what_the_documentation_lists_is_scraped_and_nothing_else() {
    let server = server_with("gateway:\n  rateLimit:\n    requestsPerSecond: 10\nquery:\n  maxSamples: 10\n");
    make_everything_count(&server);
    let text = metrics::scrape(server.url());
    let (documented, scraped) = (metrics::documented(), metrics::scraped(&text));
    let names: BTreeSet<_> = documented.keys().collect();
    assert_eq!(names, scraped.keys().collect(), "documented on the left, scraped on the right");
    for (name, Documented { kind, labels: expected, .. }) in documented {
        assert_eq!(&scraped[name], kind, "{name}");
        let stem = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
        let line = text.lines().find(|line| line.strip_prefix(&stem).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let line = line.unwrap_or_else(|| panic!("{name} has no value in\n{text}"));
        assert_eq!(&labels(line), expected, "{line}");
    }
}

#[test]
fn requests_are_counted_as_they_were_answered() {
    let server = Server::start();
    let client = server.client("acme");
    let mut maker = SampleMaker::new(2);
    let mut receipt = String::new();
    for _ in 0..3 {
        receipt = client.write_all(&maker.body("m", 100).0);
    }
    let partly = json!({"metrics": [{"name": "m", "timestamp": now_ms(), "value": 1}, {"name": ""}, {"name": "n"}]});
    assert_eq!(client.write(&partly).unwrap().status, 202);
    assert_eq!(client.write(&json!({"metrics": []})).unwrap().code(), "no_samples");
    assert_eq!(client.count(Some(&receipt), "m"), 301);
    client.get("/api/v1/metrics");
    assert_eq!(client.post_json("/api/v1/query", &[], &json!({})).unwrap().code(), "query_field_missing");
    assert_eq!(client.get("/nowhere").code(), "not_found");

    let is = |name: &str, label: &str, value: f64| {
        assert_eq!(server.metric(name, label), value, "{name}{{{label}}}");
    };
    is("luminate_write_requests_total", "", 5.0);
    is("luminate_http_requests_total", r#"path="/api/v1/write""#, 5.0);
    is("luminate_http_requests_total", r#"path="/api/v1/write",status="202""#, 4.0);
    is("luminate_http_requests_total", r#"method="GET",path="unmatched",status="404""#, 1.0);
    is("luminate_http_request_duration_seconds_count", r#"path="/api/v1/write""#, 5.0);
    is("luminate_query_requests_total", "", 3.0);
    is("luminate_query_latency_seconds_count", "", 1.0);
    is("luminate_storage_query_duration_seconds_count", "", 2.0);
    is("luminate_http_problems_total", "", 3.0);
    is("luminate_http_problems_total", r#"code="no_samples""#, 1.0);
    is("luminate_samples_accepted_total", "", 301.0);
    is("luminate_samples_rejected_total", "", 2.0);
    is("luminate_publish_duration_seconds_count", "", 4.0);
    is("luminate_samples_stored_total", "", 301.0);
    is("luminate_batch_samples_sum", "", 301.0);
    let writes = server.metric("luminate_storage_writes_total", "");
    assert!((1.0..=4.0).contains(&writes), "{writes} batches of four records");
    is("luminate_storage_write_duration_seconds_count", "", writes);
    is("luminate_batch_age_seconds_count", "", writes);
    is("luminate_storage_write_failures_total", "", 0.0);
    is("luminate_partitions_stopped", "", 0.0);
    is("luminate_intents_open", "", 0.0);
    is("luminate_dependency_up", "", 3.0);
    is("luminate_build_info", "version=", 1.0);
    is("luminate_http_body_bytes_in_flight", "", 0.0);
    assert!(server.metric("luminate_query_samples_read_total", "") >= 301.0);

    // These are looked at once a second, or every few.
    wait::until("no lag is measured", || (server.metric("luminate_consumer_lag_records", "") == 0.0).then_some(()));
    wait::until("series are counted", || (server.metric("luminate_active_series", "") >= 301.0).then_some(()));
    let syncs = server.metric("luminate_queue_syncs_total", "");
    assert!((1.0..=8.0).contains(&syncs), "{syncs} syncs of four requests");
    assert!(server.metric("luminate_store_blocks", "") >= 1.0);
    let (disk, occupied) = (server.metric("luminate_disk_bytes", ""), files::occupied(server.data()) as f64);
    assert!((0.5..2.0).contains(&(disk / occupied)), "{disk} bytes are told, {occupied} are there");
    let (memory, peak) = (server.metric("luminate_memory_usage_bytes", ""), process::peak_memory(server.pid()) as f64);
    assert!(memory <= peak && memory > peak / 10.0, "{memory} bytes are told, the most was {peak}");
}

/// Batches close soon, and what has expired goes soon.
const QUICK: &str = "
writer:
  batch:
    maxAge: 300ms
storage:
  rocksdb:
    mergeAfter: 200ms
    idleAfter: 200ms
    expireEvery: 200ms
retention:
  tenants:
    acme:
      metrics:
        short_lived: 1
";

/// Accepted + unknown = stored + repeats + dead letters + erased, and stored = readable + expired + erased from the store.
#[test]
fn every_sample_that_was_accepted_is_accounted_for() {
    let server = server_with(QUICK);
    let (acme, gone) = (server.admin("acme"), server.admin("gone"));
    let mut maker = SampleMaker::new(3);
    let mut accepted = 0;

    // Stored, in one record or in several.
    for samples in [1, 500, 12_000] {
        acme.write_all(&maker.body("kept", samples).0);
        accepted += samples as u64;
    }
    // Repeats.
    let (repeated, _) = maker.body("kept", 700);
    for _ in 0..3 {
        accepted += write_keyed(&acme, "again", &repeated);
    }
    // Dead letters: one record each.
    let conflicts = [30, 40];
    for samples in conflicts {
        accepted += write_keyed(&acme, "again", &maker.body("kept", samples).0);
    }
    // Rejects are not accepted.
    let rejected = acme.write(&json!({"metrics": [{"name": "kept", "timestamp": 5, "value": "five"}]})).unwrap();
    rejected.assert_problem("no number", 400, "no_valid_samples");
    // Expires seconds from now, and is most of what there is.
    let short_lived: Vec<Value> = (0..20_000_i64)
        .map(|n| json!({"name": "short_lived", "timestamp": now_ms() - DAY_MS + 6000, "value": n}))
        .collect();
    acme.write_all(&json!({"metrics": short_lived}));
    accepted += 20_000;
    // Erased, in part before it is stored.
    let receipt = gone.write_all(&maker.body("kept", 900).0);
    assert_eq!(gone.count(Some(&receipt), "kept"), 900);
    gone.write_all(&maker.body("kept", 60).0);
    accepted += 960;
    let begun = gone.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap().json();
    let path = format!("/api/v1/admin/erase/{}", begun["id"].as_str().unwrap());
    let erased_from_store = wait::until("the erasure ends", || {
        let erasure = gone.get(&path).json();
        (erasure["status"] == "done").then(|| erasure["samples"].as_u64().unwrap())
    });
    let receipt = acme.write_all(&maker.body("kept", 5).0);
    accepted += 5;
    let readable = acme.count(Some(&receipt), "kept");
    assert_eq!(readable, 1 + 500 + 12_000 + 700 + 5);
    assert_eq!(gone.count(None, "kept"), 0);

    let total = |name: &str| server.metric(&format!("luminate_samples_{name}_total"), "") as u64;
    wait::until("what has expired is gone", || (total("expired") == 20_000).then_some(()));
    assert_eq!(acme.count(None, "short_lived"), 0);
    assert_eq!(total("accepted"), accepted);
    assert_eq!(total("unknown"), 0);
    assert_eq!(total("rejected"), 1);
    assert_eq!(total("repeated"), 1400);
    assert_eq!(server.metric("luminate_dead_letters_total", "idempotency_conflict"), conflicts.len() as f64);
    let in_dead_letters: u64 = conflicts.iter().map(|samples| *samples as u64).sum();
    let (stored, erased) = (total("stored"), total("erased"));
    assert_eq!(accepted, stored + total("repeated") + in_dead_letters + erased);
    assert_eq!(erased + erased_from_store, 960, "{erased} before they were stored, {erased_from_store} afterwards");
    assert_eq!(stored, readable + total("expired") + erased_from_store);
}
