//! Dead letters have no more room: their partition waits and says so, nothing is dropped, and a purge mends it.

use luminate_tests::samples::now_ms;
use luminate_tests::{Client, Server, ServerOptions, wait};
use serde_json::{Value, json};

const LETTERS: &str = "/api/v1/admin/dead-letters";

/// Room for one.
const CONFIG: &str = "
queue:
  partitions: 1
  maxDeadLetterBytes: 1KiB
writer:
  batch:
    maxAge: 100ms
";

fn body(value: i64) -> Value {
    json!({"metrics": [{"name": "m", "timestamp": now_ms(), "value": value, "dimensions": {"text": "x".repeat(500)}}]})
}

/// Uses a key for two bodies, so that the second becomes a dead letter.
fn conflict(client: &Client, key: &str) {
    for value in 0..2 {
        assert_eq!(client.post_json("/api/v1/write", &[("Idempotency-Key", key)], &body(value)).unwrap().status, 202);
    }
}

fn letters(client: &Client) -> usize {
    client.get(LETTERS).json()["deadLetters"].as_array().unwrap().len()
}

#[test]
fn a_partition_waits_until_dead_letters_have_room_again() {
    let mut server = Server::start_with(ServerOptions { config: CONFIG.to_owned(), ..ServerOptions::default() });
    let admin = server.admin("acme");
    conflict(&admin, "first");
    wait::until("the first dead letter is kept", || (letters(&admin) == 1).then_some(()));
    assert_eq!(admin.get("/api/v1/health").json()["status"], "ok");
    // Dead letters are kept before the batch is stored.
    wait::until("the first of the two is stored", || (admin.count(None, "m") == 1).then_some(()));

    conflict(&admin, "second");
    let behind = admin.write_all(&body(7));
    let health = wait::until("health says so", || {
        let health = admin.get("/api/v1/health").json();
        (health["status"] == "degraded").then_some(health)
    });
    assert!(health.to_string().contains("queue.maxDeadLetterBytes is 1024"), "{health}");
    wait::until("the log says so", || server.log().contains("dead_letters_full").then_some(()));
    wait::until("the metric tells", || (server.metric("luminate_dead_letter_bytes", "") > 500.0).then_some(()));
    assert_eq!(letters(&admin), 1);
    let late = admin.post_json(
        "/api/v1/query",
        &[("X-Luminate-Receipt", &behind)],
        &json!({
            "queryType": "aggregate", "metricName": "m", "aggregation": "count", "timeRange": {"relative": "1h"}
        }),
    );
    late.unwrap().assert_problem("what is behind it waits", 504, "receipt_timeout");

    // A restart changes nothing, and loses nothing.
    server.kill();
    server.start_again();
    let admin = server.admin("acme");
    wait::until("it is the same", || (admin.get("/api/v1/health").json()["status"] == "degraded").then_some(()));
    assert_eq!(letters(&admin), 1);

    let purged = admin.post_json(&format!("{LETTERS}/purge"), &[], &json!({})).unwrap().json();
    assert_eq!(purged["purged"], 1);
    assert_eq!(admin.count(Some(&behind), "m"), 3, "two of the conflicts, and what waited behind them");
    assert_eq!(letters(&admin), 1, "the second dead letter has the room now");
    wait::until("health is well again", || (admin.get("/api/v1/health").json()["status"] == "ok").then_some(()));
}
