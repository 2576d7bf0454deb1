//! `luminate reconcile --mend` beside running writers: a lost batch comes back, once, and nothing else does.

use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use luminate_tests::{Cluster, wait};
use serde_json::Value;

#[test]
fn a_lost_batch_comes_back_once_while_writers_go_on() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let (_gateway, query, _writer) = (cluster.start_gateway(), cluster.start_query(), cluster.start_writer());
    let load = Load::start(&cluster, &LoadOptions { tenants: 2, ..LoadOptions::default() });
    load.wait_more(2000);

    let table = format!("{}.samples", cluster.database());
    // What is acknowledged is stored some time later, day by day: a batch is there whole once its partition has begun the next one.
    let begun = format!("SELECT source, max(batch) FROM {table} GROUP BY source");
    let question = format!(
        "SELECT source, batch, count() FROM {table} WHERE (source, batch) NOT IN ({begun}) GROUP BY 1, 2 ORDER BY 2, 1 LIMIT 1"
    );
    let first = wait::until("a batch is stored", || {
        Some(cluster.clickhouse.query(&question)).filter(|first| !first.trim().is_empty())
    });
    let [source, batch, rows]: [&str; 3] = first.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
    cluster.clickhouse.query(&format!(
        "ALTER TABLE {table} DELETE WHERE source = '{source}' AND batch = {batch} SETTINGS mutations_sync = 2"
    ));
    load.wait_more(500);

    let mended = cluster.operate(&["reconcile", "--mend", "--json"]);
    let report: Value = serde_json::from_slice(&mended.stdout).unwrap();
    let rows: u64 = rows.parse().unwrap();
    let number = |key: &str| report[key].as_u64().unwrap();
    assert_eq!((number("missing"), number("mended"), report["clean"].as_bool()), (rows, rows, Some(true)), "{report}");
    assert_eq!((number("doubled"), number("foreign")), (0, 0), "{report}");

    load.wait_more(500);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    assert_eq!((verdict.stored, verdict.unknown), (verdict.acknowledged, 0));
}
