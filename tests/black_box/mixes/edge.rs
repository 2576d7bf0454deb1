//! Records of gateways and of direct producers are stored by the edge node that has their partition.

use luminate_tests::Cluster;
use luminate_tests::cluster::direct::DirectProducer;
use luminate_tests::cluster::{ClusterOptions, client};
use luminate_tests::samples::{SampleMaker, now_ms};
use luminate_tests::server::token;
use luminate_tests::{Client, Server, metrics, wait};
use serde_json::{Value, json};

use super::edge;

fn count_query(metric: &str) -> Value {
    json!({"queryType": "aggregate", "metricName": metric, "timeRange": {"relative": "1h"}, "aggregation": "count"})
}

#[test]
fn records_of_gateways_and_of_direct_producers_are_stored() {
    let direct_tenants = vec!["sensor".to_owned()];
    let cluster = Cluster::prepare(ClusterOptions { partitions: 2, direct_tenants, ..ClusterOptions::default() });
    let direct_topic = format!("luminate.tenant.{}-sensor.samples.v1", cluster.name());
    let mut edge = edge(&cluster, &json!({cluster.samples_topic(): [0, 1], direct_topic: [0, 1]}));
    edge.start_again();
    let gateway = cluster.start_gateway();
    let mut maker = SampleMaker::new(1);
    let first = client(&gateway, "acme").write_all(&maker.body("m", 40).0);
    let second = edge.client("acme").write_all(&maker.body("m", 2).0);
    let other = edge.client("beta").write_all(&maker.body("m", 5).0);
    assert!(edge.client("acme").count(Some(&first), "m") >= 40);
    assert_eq!(edge.client("acme").count(Some(&second), "m"), 42);
    assert_eq!(edge.client("beta").count(Some(&other), "m"), 5, "each tenant has its own");

    let line = |value: u32| json!({"name": "t", "timestamp": now_ms(), "value": value, "dimensions": {"n": value.to_string()}});
    let lines: Vec<String> = (0..30).map(|value| line(value).to_string()).collect();
    DirectProducer::default().write_all(&cluster, "sensor", &lines.join("\n"));
    // The topic's name says whose the samples are.
    let sensor = Client::new(edge.url(), &token("sensor", "read"));
    wait::until("the direct producer's samples are stored", || (sensor.count(None, "t") == 30).then_some(()));
    let health = Client::new(edge.url(), "").get("/api/v1/health").json();
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["dependencies"]["kafka"]["status"], "up", "{health}");
    assert!(!edge.data().join("queue").exists());
    metrics::assert_exported(edge.url(), &["gateway", "writer", "query-api", "own store"]);
}

/// The answer to a query with a receipt.
fn ask(edge: &Server, tenant: &str, receipt: &str) -> (u16, String, Value) {
    let answer = edge.client(tenant).post_json("/api/v1/query", &[("X-Luminate-Receipt", receipt)], &count_query("m"));
    let answer = answer.unwrap();
    (answer.status, answer.code(), answer.json())
}

#[test]
fn each_node_stores_its_partitions_and_says_which_receipts_are_not_its_own() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 2, ..ClusterOptions::default() });
    let mut nodes = [0, 1].map(|partition| edge(&cluster, &json!({cluster.samples_topic(): [partition]})));
    nodes.iter_mut().for_each(Server::start_again);
    let mut maker = SampleMaker::new(2);
    let mut stored_by = [0, 0];
    for number in 0..8 {
        let tenant = format!("tenant-{number}");
        // Whichever node takes them: its gateway writes to all partitions.
        let receipt = nodes[number % 2].client(&tenant).write_all(&maker.body("m", 3).0);
        let answers = nodes.each_ref().map(|node| ask(node, &tenant, &receipt));
        let owner = usize::from(answers[1].0 == 200);
        assert_eq!(answers[owner].0, 200, "{answers:?}");
        assert_eq!(answers[owner].2["results"][0]["value"], 3.0, "{answers:?}");
        let (status, code, problem) = &answers[1 - owner];
        assert_eq!((*status, code.as_str()), (410, "receipt_gone"), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("does not read the partition"), "{problem}");
        assert_eq!(nodes[1 - owner].client(&tenant).count(None, "m"), 0);
        stored_by[owner] += 1;
    }
    assert!(stored_by.iter().all(|tenants| *tenants > 0), "all tenants are on one partition: this proves nothing");
}
