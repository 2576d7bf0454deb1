//! The database of an edge node goes on with the partitions that it belongs to, and with no others.

use std::time::Duration;

use luminate_tests::cluster::ClusterOptions;
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Cluster, Server, ServerOptions};
use serde_json::{Value, json};

use super::{edge, edge_config};

/// Starts the ended node with another assignment; returns what it said when it refused to.
fn refused(edge: &mut Server, cluster: &Cluster, assign: &Value) -> String {
    edge.options_mut().config = edge_config(cluster, assign);
    edge.spawn();
    let status = edge.try_wait_end(Duration::from_secs(30)).expect("the start is refused");
    assert_eq!(status.code(), Some(1), "{}", edge.log());
    edge.log()
}

#[test]
fn partitions_can_be_added_and_not_dropped() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 3, ..ClusterOptions::default() });
    let topic = cluster.samples_topic();
    let mut edge = edge(&cluster, &json!({topic.clone(): [0, 1]}));
    edge.start_again();
    let mut maker = SampleMaker::new(1);
    for number in 0..6 {
        edge.client(&format!("tenant-{number}")).write_all(&maker.body("m", 3).0);
    }
    assert!(edge.stop().success(), "{}", edge.log());

    let said = refused(&mut edge, &cluster, &json!({topic.clone(): [1, 2]}));
    for named in [
        format!("belongs to {topic}/0, {topic}/1"),
        format!("assigns {topic}/1, {topic}/2"),
        format!("{topic}/0 is missing"),
    ] {
        assert!(said.contains(&named), "{named}: {said}");
    }

    edge.options_mut().config = edge_config(&cluster, &json!({topic: [0, 1, 2]}));
    edge.start_again();
    for number in 0..6 {
        let client = edge.client(&format!("tenant-{number}"));
        let receipt = client.write_all(&maker.body("m", 1).0);
        // What partition 2 had before it was added is read from its beginning.
        assert_eq!(client.count(Some(&receipt), "m"), 4);
    }
}

#[test]
fn a_topic_made_again_is_refused() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() });
    let topic = cluster.samples_topic();
    let assign = json!({topic.clone(): [0]});
    let mut edge = edge(&cluster, &assign);
    edge.start_again();
    let receipt = edge.client("acme").write_all(&SampleMaker::new(2).body("m", 3).0);
    assert_eq!(edge.client("acme").count(Some(&receipt), "m"), 3);
    assert!(edge.stop().success(), "{}", edge.log());
    cluster.kafka.tool("org.apache.kafka.tools.TopicCommand", &["--delete", "--topic", &topic]);
    cluster.operate(&["topics", "apply"]);
    let said = refused(&mut edge, &cluster, &assign);
    assert!(said.contains("it was made again") && said.contains(&topic), "{said}");
}

#[test]
fn a_start_without_an_assignment_says_what_to_set() {
    let environment = [("LUMINATE_QUEUE_BACKEND", "kafka"), ("LUMINATE_KAFKA_BROKERS", "127.0.0.1:1")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let mut edge = Server::prepare(ServerOptions { environment, ..ServerOptions::default() });
    edge.spawn();
    let status = edge.try_wait_end(Duration::from_secs(30)).expect("the start is refused");
    assert_eq!(status.code(), Some(1));
    assert!(edge.log().contains("kafka.consumer.assign is empty"), "{}", edge.log());
}
