//! The judge of the other tests: it finds what is foreign, doubled or lost.

use std::panic::{AssertUnwindSafe, catch_unwind};

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use serde_json::Value;

#[test]
fn one_row_too_many_or_too_few_is_found() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let (_gateway, query, _writer) = (cluster.start_gateway(), cluster.start_query(), cluster.start_writer());
    let load = Load::start(&cluster, &LoadOptions { tenants: 1, ..LoadOptions::default() });
    load.wait_more(200);
    let written = load.finish();
    let judge = || cluster.assert_exactly_once(&query, &written);
    let is_refused = || catch_unwind(AssertUnwindSafe(judge)).is_err();
    let sound = judge();
    assert_eq!((sound.stored, sound.unknown), (sound.acknowledged, 0));

    // Rows come and go behind the writer's back.
    let table = format!("{}.samples", cluster.database());
    let copy = |columns: &str| {
        let row = format!("SELECT * FROM {table} WHERE value = 7");
        cluster.clickhouse.query(&format!("INSERT INTO {table} SELECT {columns} FROM ({row})"));
    };
    let delete = |value: &str| {
        let delete = format!("ALTER TABLE {table} DELETE WHERE value = {value} SETTINGS mutations_sync = 2");
        cluster.clickhouse.query(&delete);
    };
    // What `luminate reconcile`, which is a part of the judge, says by itself: missing, doubled, foreign.
    let reconciled = || {
        let output = cluster.try_operate(&["reconcile", "--json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let counts = ["missing", "doubled", "foreign"].map(|key| report[key].as_u64().unwrap());
        (output.status.code(), report["clean"].as_bool(), counts)
    };
    assert_eq!(reconciled(), (Some(0), Some(true), [0, 0, 0]));
    copy("* REPLACE (1e6 AS value)");
    assert!(is_refused(), "a foreign sample was not found");
    assert_eq!(reconciled(), (Some(1), Some(false), [0, 0, 1]));
    delete("1e6");
    judge();
    copy("*");
    assert!(is_refused(), "a doubled sample was not found");
    assert_eq!(reconciled(), (Some(1), Some(false), [0, 1, 0]));
    delete("7");
    assert!(is_refused(), "a lost sample was not found");
    assert_eq!(reconciled(), (Some(1), Some(false), [1, 0, 0]));
}
