//! `luminate serve` in front of ClickHouse: each of them is killed under load, and ClickHouse is gone for a while.

use std::collections::BTreeMap;

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::load::METRIC;
use luminate_tests::cluster::{Doors, Load, LoadOptions};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions};
use luminate_tests::health::assert_names_no_server;
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, Server, wait};
use serde_json::json;

use super::{assert_exactly_once, clickhouse_variables, crash, migrate, open_door, server_of};

/// How often each number is in the table, over all tenants and metrics.
fn rows_by_number(clickhouse: &ClickHouse, database: &str) -> BTreeMap<String, u64> {
    let sql = format!("SELECT concat(tenant, '/', dimensions['n']), count() FROM {database}.samples GROUP BY 1");
    let line = |line: &str| {
        let (number, count) = line.split_once('\t').unwrap();
        (number.to_owned(), count.parse().unwrap())
    };
    clickhouse.query(&sql).lines().map(line).collect()
}

/// The server is killed at random moments under load, and so is ClickHouse in the middle of it.
fn survive(mut rounds: Rounds) {
    let clickhouse = ClickHouse::start(ClickHouseOptions::default());
    let database = clickhouse.database("serve");
    let variables = clickhouse_variables(&clickhouse, &database);
    migrate(&variables);
    let mut server = server_of(variables, "");
    let doors = Doors::default();
    open_door(&doors, &server);
    let load = Load::start_at(&doors, &LoadOptions { seed: rounds.seed(), ..LoadOptions::default() });
    while let Some(round) = rounds.next_round() {
        load.wait_more(50);
        std::thread::sleep(rounds.moment(800));
        if round == rounds.count() / 2 {
            clickhouse.kill();
            clickhouse.restart();
        }
        crash(&doors, &mut server);
    }
    load.wait_more(1);
    let written = load.finish();
    let verdict = assert_exactly_once(&mut server, &written);
    let rows = rows_by_number(&clickhouse, &database);
    assert!(rows.values().all(|times| *times == 1), "rows are doubled in the table");
    assert_eq!(rows.len() as u64, verdict.stored, "the table and the queries tell the same");
    rounds.tell(verdict);
}

#[test]
fn acknowledged_samples_are_in_clickhouse_exactly_once_whoever_dies() {
    survive(Rounds::few("serve with clickhouse kills", 5));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_serve_with_clickhouse_kills() {
    survive(Rounds::many("serve with clickhouse kills", 50));
}

fn status_of_clickhouse(server: &Server) -> String {
    let health = Client::new(server.url(), "").get("/api/v1/health").json();
    health["dependencies"]["clickhouse"]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn writes_are_accepted_while_clickhouse_is_gone_until_the_queue_is_full() {
    let clickhouse = ClickHouse::start(ClickHouseOptions::default());
    let database = clickhouse.database("serve");
    let variables = clickhouse_variables(&clickhouse, &database);
    migrate(&variables);
    let mut server = server_of(variables, "queue: {maxBytes: 1MiB, maxRecordBytes: 1MiB}\n");
    let mut maker = SampleMaker::new(3);
    let receipt = server.client("acme").write_all(&maker.body(METRIC, 10).0);
    assert_eq!(server.client("acme").count(Some(&receipt), METRIC), 10);

    clickhouse.kill();
    wait::until("health tells", || (status_of_clickhouse(&server) == "down").then_some(()));
    assert_names_no_server(&Client::new(server.url(), "").get("/api/v1/health").json());
    server.client("acme").write_all(&maker.body(METRIC, 10).0);
    let query = json!({
        "queryType": "aggregate", "metricName": METRIC, "aggregation": "count", "timeRange": {"relative": "1h"},
    });
    let refused = server.client("acme").post_json("/api/v1/query", &[], &query).unwrap();
    refused.assert_problem("no store", 503, "storage_unavailable");
    assert!(refused.headers.contains_key("retry-after"));

    // Neither a crash nor a start needs ClickHouse.
    server.kill();
    server.start_again();
    let client = server.client("acme");
    let mut receipt = client.write_all(&maker.body(METRIC, 10).0);
    let mut accepted = 30;
    let full = wait::until("the queue is full", || {
        let answer = client.write(&maker.body(METRIC, 2_000).0).unwrap();
        if answer.status != 202 {
            return Some(answer);
        }
        receipt = answer.json()["receipt"].as_str().unwrap().to_owned();
        accepted += 2_000;
        None
    });
    full.assert_problem("a full queue", 503, "queue_full");
    assert!(server.stop().success(), "a stop needs no ClickHouse: {}", server.log());
    server.start_again();

    clickhouse.restart();
    assert_eq!(server.client("acme").count(Some(&receipt), METRIC), accepted, "it catches up by itself");
    wait::until("health tells", || (status_of_clickhouse(&server) == "up").then_some(()));
    server.client("acme").write_all(&maker.body(METRIC, 1).0);
    let rows = rows_by_number(&clickhouse, &database);
    assert!(rows.values().all(|times| *times == 1), "rows are doubled in the table");
}
