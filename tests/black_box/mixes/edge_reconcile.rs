//! A stopped edge node's store is held against what Kafka has, and what was lost comes back.

use std::path::Path;
use std::process::{Command, Output};

use luminate_tests::cluster::ClusterOptions;
use luminate_tests::samples::SampleMaker;
use luminate_tests::server::binary;
use luminate_tests::{Cluster, Server};
use serde_json::{Value, json};

use super::{edge, edge_config};

/// Runs the command with the node's configuration; its report, and whether nothing was wrong.
fn reconcile(config: &Path, node: &Server, more: &[&str]) -> (Value, bool) {
    let mut command = Command::new(binary());
    command.args(["reconcile", "--json", "--config"]).arg(config).arg("--data").arg(node.data()).args(more);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let report = serde_json::from_slice(&stdout);
    (report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr))), status.success())
}

#[test]
fn what_an_operator_gave_up_is_missing_and_comes_back_once() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() });
    let assign = json!({cluster.samples_topic(): [0]});
    let mut node = edge(&cluster, &assign);
    node.start_again();
    let mut maker = SampleMaker::new(5);
    let receipt = node.client("acme").write_all(&maker.body("m", 100).0);
    assert_eq!(node.client("acme").count(Some(&receipt), "m"), 100);
    assert!(node.stop().success());

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("edge.yaml");
    std::fs::write(&config, edge_config(&cluster, &assign)).unwrap();
    let (report, clean) = reconcile(&config, &node, &[]);
    assert!(clean && report["expected"] == 100, "{report}");

    // Another node begins with an empty store behind the records.
    let mut late = edge(&cluster, &assign);
    late.options_mut().arguments =
        vec![format!("--skip-to={}:0:{}", cluster.samples_topic(), report["sources"][0]["to"])];
    late.start_again();
    let receipt = late.client("acme").write_all(&maker.body("m", 7).0);
    assert_eq!(late.client("acme").count(Some(&receipt), "m"), 7);
    assert!(late.stop().success());
    let (report, clean) = reconcile(&config, &late, &[]);
    assert!(!clean && report["missing"] == 100 && report["expected"] == 107, "{report}");
    let (report, clean) = reconcile(&config, &late, &["--mend"]);
    assert!(clean && report["mended"] == 100, "{report}");
    let (report, clean) = reconcile(&config, &late, &["--mend"]);
    assert!(clean && report["mended"] == 0 && report["expected"] == 107, "{report}");
    late.options_mut().arguments.clear();
    late.start_again();
    assert_eq!(late.client("acme").count(None, "m"), 107);
}
