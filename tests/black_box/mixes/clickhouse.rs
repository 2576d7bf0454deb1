//! Samples go through the embedded queue into ClickHouse, and queries are answered from there.

use std::fs;
use std::path::Path;
use std::time::Duration;

use luminate_tests::engines::ClickHouse;
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, Server, ServerOptions, metrics, wait};
use serde_json::json;

use super::{clickhouse_variables, migrate, server_of};

#[test]
fn what_is_written_is_read_from_clickhouse() {
    let clickhouse = ClickHouse::shared();
    let database = clickhouse.database("serve");
    let variables = clickhouse_variables(clickhouse, &database);
    migrate(&variables);
    let mut server = server_of(variables, "");
    let mut maker = SampleMaker::new(1);
    let receipt = server.client("acme").write_all(&maker.body("m", 100).0);
    let other = server.client("beta").write_all(&maker.body("m", 7).0);
    assert_eq!(server.client("acme").count(Some(&receipt), "m"), 100);
    assert_eq!(server.client("beta").count(Some(&other), "m"), 7, "each tenant has its own");
    let rows = clickhouse.query(&format!("SELECT tenant, count() FROM {database}.samples GROUP BY 1 ORDER BY 1"));
    assert_eq!(rows.trim(), "acme\t100\nbeta\t7");
    assert!(server.data().join("queue").exists() && !server.data().join("store").exists());

    let parts = ["gateway", "writer", "query-api", "embedded queue"];
    wait::until("the queue is measured", || (server.metric("luminate_disk_bytes", "queue") > 0.0).then_some(()));
    metrics::assert_exported(server.url(), &parts);
    let health = Client::new(server.url(), "").get("/api/v1/health").json();
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["dependencies"]["clickhouse"]["status"], "up", "{health}");

    // A restart goes on where it was, and with the same receipts.
    assert!(server.stop().success(), "{}", server.log());
    server.start_again();
    assert_eq!(server.client("acme").count(Some(&receipt), "m"), 100);
    let elsewhere = Server::start().client("acme").write_all(&maker.body("m", 1).0);
    let headers = [("X-Luminate-Receipt", elsewhere.as_str())];
    let query =
        json!({"queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "1h"}, "aggregation": "count"});
    let refused = server.client("acme").post_json("/api/v1/query", &headers, &query).unwrap();
    refused.assert_problem("a receipt of another queue", 410, "receipt_gone");
}

#[test]
fn operators_find_dead_letters_and_erase() {
    let clickhouse = ClickHouse::shared();
    let database = clickhouse.database("serve");
    let variables = clickhouse_variables(clickhouse, &database);
    migrate(&variables);
    // Files of before an erasure are deleted a minute later; this test cannot wait so long.
    clickhouse.query(&format!(
        "ALTER TABLE {database}.samples MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, \
         max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0"
    ));
    let server = server_of(variables, "");
    let client = server.client("acme");
    let mut maker = SampleMaker::new(2);
    let keyed = [("Idempotency-Key", "once")];
    let body = maker.body("m", 10).0;
    for _ in 0..2 {
        assert_eq!(client.post_json("/api/v1/write", &keyed, &body).unwrap().status, 202);
    }
    // The same key with another body.
    let conflict = client.post_json("/api/v1/write", &keyed, &maker.body("m", 3).0).unwrap();
    assert_eq!(client.count(conflict.json()["receipt"].as_str(), "m"), 10);
    let admin = server.admin("acme");
    let letters = admin.get("/api/v1/admin/dead-letters").json();
    assert_eq!(letters["deadLetters"][0]["code"], "idempotency_conflict", "{letters}");

    let begun = admin.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap().json();
    let path = format!("/api/v1/admin/erase/{}", begun["id"].as_str().expect("an id"));
    let done = wait::until("the erasure ends", || {
        let erasure = admin.get(&path).json();
        (erasure["status"] != "running").then_some(erasure)
    });
    assert_eq!(
        (&done["status"], &done["samples"], &done["deadLetters"]),
        (&json!("done"), &json!(10), &json!(1)),
        "{done}"
    );
    assert_eq!(client.count(None, "m"), 0);
    let receipt = client.write_all(&maker.body("m", 4).0);
    assert_eq!(client.count(Some(&receipt), "m"), 4, "what comes later stays");
}

#[test]
fn a_start_without_tables_is_refused() {
    let clickhouse = ClickHouse::shared();
    let variables = clickhouse_variables(clickhouse, &clickhouse.database("serve"));
    let mut server = Server::prepare(ServerOptions { environment: variables, ..ServerOptions::default() });
    server.spawn();
    let status = server.try_wait_end(Duration::from_secs(30)).expect("the start is refused");
    assert_eq!(status.code(), Some(1));
    assert!(server.log().contains("run `luminate migrate`"), "{}", server.log());
}

#[test]
fn a_queue_that_was_put_back_from_an_older_copy_is_refused() {
    let clickhouse = ClickHouse::shared();
    let variables = clickhouse_variables(clickhouse, &clickhouse.database("serve"));
    migrate(&variables);
    let mut server = server_of(variables, "queue: {partitions: 1}\n");
    let mut maker = SampleMaker::new(3);
    let mut write = |server: &Server| {
        let receipt = server.client("acme").write_all(&maker.body("m", 10).0);
        server.client("acme").count(Some(&receipt), "m")
    };
    assert_eq!(write(&server), 10);
    assert!(server.stop().success(), "{}", server.log());
    let queue = server.data().join("queue");
    let copy = tempfile::tempdir().unwrap();
    copy_files(&queue, copy.path());
    server.start_again();
    assert_eq!(write(&server), 20);
    assert!(server.stop().success(), "{}", server.log());
    fs::remove_dir_all(&queue).unwrap();
    fs::create_dir(&queue).unwrap();
    copy_files(copy.path(), &queue);
    server.spawn();
    let status = server.try_wait_end(Duration::from_secs(30)).expect("the start is refused");
    assert_eq!(status.code(), Some(1));
    assert!(server.log().contains("was put back from an older copy"), "{}", server.log());
}

fn copy_files(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn a_folder_of_another_store_is_refused() {
    let mut server = Server::start();
    assert!(server.stop().success());
    let clickhouse = ClickHouse::shared();
    server.options_mut().environment = clickhouse_variables(clickhouse, &clickhouse.database("serve"));
    server.spawn();
    let status = server.try_wait_end(Duration::from_secs(30)).expect("the start is refused");
    assert_eq!(status.code(), Some(1));
    assert!(server.log().contains("is for queue `embedded` and store `rocksdb`"), "{}", server.log());
}
