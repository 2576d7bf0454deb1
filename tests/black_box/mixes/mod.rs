//! The two mixes: `luminate serve` in front of ClickHouse, and an edge node (Kafka in, RocksDB out).
//!
//! | module | what holds |
//! |---|---|
//! | `clickhouse` | samples go through the embedded queue into ClickHouse; nothing starts without tables |
//! | `clickhouse_faults` | the server and ClickHouse are killed, or ClickHouse is gone for a while |
//! | `edge` | records of gateways and direct producers are stored by the node that has their partition |
//! | `edge_faults` | the node is killed, Kafka is gone for a while, records were removed |
//! | `edge_reconcile` | a stopped node is compared with Kafka, and what is missing comes back |
//! | `edge_assignments` | a database goes on with the partitions that it belongs to, and with no others |

mod clickhouse;
mod clickhouse_faults;
mod edge;
mod edge_assignments;
mod edge_faults;
mod edge_reconcile;

use std::collections::BTreeMap;
use std::process::{Command, Output};

use luminate_tests::Cluster;
use luminate_tests::cluster::load::METRIC;
use luminate_tests::cluster::verdict::Verdict;
use luminate_tests::cluster::{Doors, Written};
use luminate_tests::engines::ClickHouse;
use luminate_tests::server::binary;
use luminate_tests::{Server, ServerOptions};
use serde_json::{Value, json};

/// The variables with which `luminate` finds a database of ClickHouse.
fn clickhouse_variables(clickhouse: &ClickHouse, database: &str) -> Vec<(String, String)> {
    [
        ("LUMINATE_STORAGE_BACKEND", "clickhouse"),
        ("LUMINATE_CLICKHOUSE_HOSTS", clickhouse.url()),
        ("LUMINATE_CLICKHOUSE_DATABASE", database),
        ("LUMINATE_CLICKHOUSE_USERNAME", clickhouse.username()),
        ("LUMINATE_CLICKHOUSE_PASSWORD", clickhouse.password()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Makes the tables, as an operator would.
fn migrate(variables: &[(String, String)]) {
    let mut command = Command::new(binary());
    let Output { status, stderr, .. } = command.arg("migrate").envs(variables.iter().cloned()).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
}

/// A server with batches of a fraction of a second, in front of a database that has its tables.
fn server_of(variables: Vec<(String, String)>, config: &str) -> Server {
    let quick = "writer: {batch: {maxAge: 50ms}, retry: {maxDelay: 500ms}}\nquery: {receiptTimeout: 60s}\n";
    let config = format!("{quick}{config}");
    Server::start_with(ServerOptions { config, environment: variables, ..ServerOptions::default() })
}

/// The configuration of an edge node of a cluster's topics, of which it has these partitions.
fn edge_config(cluster: &Cluster, assign: &Value) -> String {
    let mut kafka = cluster.kafka_section().clone();
    kafka["consumer"]["assign"] = assign.clone();
    // JSON is YAML.
    json!({
        "queue": {"backend": "kafka"}, "kafka": kafka,
        "writer": {"batch": {"maxAge": "50ms"}, "retry": {"maxDelay": "500ms"}},
        "query": {"receiptTimeout": "60s"},
    })
    .to_string()
}

/// An edge node, not started yet.
fn edge(cluster: &Cluster, assign: &Value) -> Server {
    Server::prepare(ServerOptions { config: edge_config(cluster, assign), ..ServerOptions::default() })
}

/// Has loads write to this server as well.
fn open_door(doors: &Doors, server: &Server) {
    doors.lock().unwrap().push(server.url().to_owned());
}

/// Kills a server as a crash would, and starts it again at another address. Loads write to it as soon as it is there.
fn crash(doors: &Doors, server: &mut Server) {
    let before = server.url().to_owned();
    server.signal(libc::SIGKILL);
    // At once, or what nobody hears would be unknown samples by the thousand.
    doors.lock().unwrap().retain(|door| *door != before);
    server.wait_end();
    server.start_again();
    open_door(doors, server);
}

/// Waits, by each tenant's receipt, until what it wrote is stored; then every acknowledged sample must be there once, by what
/// queries answer, and, once the server is stopped, `luminate reconcile` must find nothing wrong.
fn assert_exactly_once(server: &mut Server, written: &[Written]) -> Verdict {
    let mut verdict = Verdict::default();
    for tenant in written {
        let client = server.client(&tenant.tenant);
        let answered = client.count(tenant.receipt.as_deref(), METRIC);
        let numbers = client.count_by(None, METRIC, "n").into_iter();
        let stored: BTreeMap<u64, u64> = numbers.map(|(number, times)| (number.parse().unwrap(), times)).collect();
        verdict.add(tenant, &stored, answered, |_| String::new());
    }
    assert!(verdict.acknowledged > 0, "nothing was acknowledged: this run proves nothing");
    assert!(server.stop().success(), "{}", server.log());
    let output = server.command(&["reconcile", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert!(output.status.success() && report["clean"] == true, "{report}");
    assert!(report["expected"].as_u64().unwrap() > 0, "nothing was compared: this run proves nothing: {report}");
    verdict
}
