//! What tests rely on of ClickHouse.

use std::fs;

use serde_json::json;

use super::{ClickHouse, ClickHouseOptions};
use crate::{process, wait};

#[test]
fn acknowledged_rows_outlive_a_kill() {
    let clickhouse = ClickHouse::start(ClickHouseOptions::default());
    let database = clickhouse.database("kill");
    clickhouse.query(&format!("CREATE TABLE {database}.t (a UInt64) ENGINE = MergeTree ORDER BY a"));
    clickhouse.query(&format!("INSERT INTO {database}.t SELECT number FROM numbers(1000)"));

    let pid = clickhouse.pid(1).expect("it runs");
    clickhouse.kill();
    assert!(!process::is_running(pid));
    assert!(clickhouse.try_query_on(1, "SELECT 1").is_err());
    clickhouse.restart();
    assert_eq!(clickhouse.query(&format!("SELECT count(), sum(a) FROM {database}.t")), "1000\t499500\n");

    let refused = clickhouse.try_query_on(1, "SELECT * FROM nowhere.t").expect_err("there is no such table");
    assert!(refused.contains("UNKNOWN_DATABASE"), "{refused}");
    assert!(clickhouse.data_path(1).join("store").is_dir());
}

#[test]
fn two_nodes_are_two_shards_of_a_cluster() {
    let clickhouse = ClickHouse::start(ClickHouseOptions { nodes: 2, ..ClickHouseOptions::default() });
    let shards =
        clickhouse.query("SELECT shard_name FROM system.clusters WHERE cluster = 'luminate' ORDER BY shard_num");
    assert_eq!(shards, "shard-1\nshard-2\n");
    for node in 1..=2 {
        clickhouse.query_on(node, "CREATE DATABASE d");
        clickhouse.query_on(node, "CREATE TABLE d.t (a UInt64) ENGINE = MergeTree ORDER BY a");
        clickhouse.query_on(node, &format!("INSERT INTO d.t VALUES ({node})"));
    }
    let sum = "SELECT sum(a) FROM cluster('luminate', 'd', 't')";
    assert_eq!(clickhouse.query_on(1, sum), "3\n");
    assert_eq!(clickhouse.query_on(2, sum), "3\n");

    clickhouse.kill_node(2);
    let error = clickhouse.try_query_on(1, sum).expect_err("a shard is missing");
    assert!(error.contains("ALL_CONNECTION_TRIES_FAILED"), "{error}");
}

#[test]
fn users_come_from_the_options() {
    let reader = "<reader><password>secret</password><profile>reading</profile><quota>default</quota>\
                  <networks><ip>::/0</ip></networks></reader>";
    let profile = "<reading><readonly>1</readonly></reading>";
    let options =
        ClickHouseOptions { users: reader.to_owned(), profiles: profile.to_owned(), ..ClickHouseOptions::default() };
    let clickhouse = ClickHouse::start(options);
    let host = clickhouse.url().strip_prefix("http://").expect("a URL");
    let as_reader = ClickHouse::at(&format!("http://reader:secret@{host}/"));
    assert_eq!(as_reader.query("SELECT currentUser()"), "reader\n");
    let settings = as_reader.settings("d");
    let expected = json!({
        "addresses": [format!("http://{host}")], "database": "d", "username": "reader", "password": "secret",
    });
    assert_eq!(settings, expected);
    let error = as_reader.try_query_on(1, "CREATE DATABASE d").expect_err("it may read only");
    assert!(error.contains("READONLY"), "{error}");
    let stranger = ClickHouse::at(&format!("http://reader:wrong@{host}"));
    assert!(stranger.try_query_on(1, "SELECT 1").expect_err("a wrong password").contains("AUTHENTICATION_FAILED"));
}

#[test]
fn nodes_end_with_their_supervisor_and_with_the_test() {
    let killed = ClickHouse::start(ClickHouseOptions::default());
    let pid = killed.pid(1).expect("it runs");
    let folder = killed.folder();
    killed.kill_supervisor();
    wait::until("no node outlives its supervisor", || (!process::is_running(pid)).then_some(()));
    fs::remove_dir_all(folder).expect("the folder is still there");

    let dropped = ClickHouse::start(ClickHouseOptions::default());
    let pid = dropped.pid(1).expect("it runs");
    let folder = dropped.folder();
    drop(dropped);
    assert!(!process::is_running(pid));
    assert!(!folder.exists(), "the folder goes with the engine");
}

#[test]
fn tests_share_a_server() {
    assert!(std::ptr::eq(ClickHouse::shared(), ClickHouse::shared()));
    assert_eq!(ClickHouse::shared().query("SELECT 1"), "1\n");
}

#[test]
fn a_paused_node_answers_once_it_goes_on() {
    let clickhouse = ClickHouse::start(ClickHouseOptions::default());
    clickhouse.pause_node(1);
    // A thread that is at work when the signal comes stops a moment later.
    wait::until("the node is paused", || process::is_stopped(clickhouse.pid(1)?).then_some(()));
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| clickhouse.query("SELECT 1"));
        assert!(!answer.is_finished());
        clickhouse.resume_node(1);
        assert_eq!(answer.join().expect("an answer"), "1\n");
    });
}
