//! An edge node is killed under load, Kafka is gone for a while, and records were removed before they were stored.

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Engine, Load, LoadOptions, client};
use luminate_tests::engines::{Kafka, KafkaOptions};
use luminate_tests::health::assert_names_no_server;
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, Cluster, wait};
use serde_json::json;

use super::{assert_exactly_once, crash, edge, open_door};

/// A gateway of the cluster and the node's own write; the node is killed at random moments.
fn survive(mut rounds: Rounds) {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let _gateway = cluster.start_gateway();
    let mut edge = edge(&cluster, &json!({cluster.samples_topic(): [0, 1, 2, 3]}));
    edge.start_again();
    let doors = cluster.doors();
    open_door(&doors, &edge);
    let load = Load::start_at(&doors, &LoadOptions { seed: rounds.seed(), ..LoadOptions::default() });
    while rounds.next_round().is_some() {
        load.wait_more(50);
        std::thread::sleep(rounds.moment(800));
        crash(&doors, &mut edge);
    }
    load.wait_more(1);
    rounds.tell(assert_exactly_once(&mut edge, &load.finish()));
}

#[test]
fn acknowledged_samples_are_stored_exactly_once_whenever_the_node_dies() {
    survive(Rounds::few("edge node kills", 5));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_edge_node_kills() {
    survive(Rounds::many("edge node kills", 50));
}

#[test]
fn queries_go_on_while_kafka_is_gone_and_writes_when_it_is_back() {
    let kafka = Engine::Own(Kafka::start(KafkaOptions::default()));
    let cluster = Cluster::prepare(ClusterOptions { kafka, partitions: 2, ..ClusterOptions::default() });
    let mut edge = edge(&cluster, &json!({cluster.samples_topic(): [0, 1]}));
    edge.start_again();
    let mut maker = SampleMaker::new(1);
    let receipt = edge.client("acme").write_all(&maker.body("m", 10).0);
    assert_eq!(edge.client("acme").count(Some(&receipt), "m"), 10);

    cluster.kafka.kill_node(1);
    let health = wait::until("health tells", || {
        let health = Client::new(edge.url(), "").get("/api/v1/health").json();
        (health["dependencies"]["kafka"]["status"] == "down").then_some(health)
    });
    assert_names_no_server(&health);
    let refused = edge.client("acme").write(&maker.body("m", 1).0).unwrap();
    assert_eq!(refused.status, 503, "{}", refused.json());
    assert_eq!(edge.client("acme").count(None, "m"), 10);
    // Neither a stop nor a start needs Kafka.
    assert!(edge.stop().success(), "{}", edge.log());
    edge.start_again();
    assert_eq!(edge.client("acme").count(None, "m"), 10);

    cluster.kafka.start_node(1);
    let answer = wait::until("writes are accepted again", || {
        let answer = edge.client("acme").write(&maker.body("back", 5).0).unwrap();
        (answer.status == 202).then_some(answer)
    });
    let receipt = answer.json()["receipt"].as_str().unwrap().to_owned();
    assert!(edge.client("acme").count(Some(&receipt), "back") >= 5);
}

#[test]
fn records_that_retention_removed_before_they_were_stored_stop_the_partition() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() });
    let gateway = cluster.start_gateway();
    let topic = cluster.samples_topic();
    let mut edge = edge(&cluster, &json!({topic.clone(): [0]}));
    edge.start_again();
    let mut maker = SampleMaker::new(3);
    let receipt = client(&gateway, "acme").write_all(&maker.body("m", 10).0);
    assert_eq!(edge.client("acme").count(Some(&receipt), "m"), 10);
    assert!(edge.stop().success(), "{}", edge.log());
    client(&gateway, "acme").write_all(&maker.body("m", 10).0);
    // As retention would: all that there is.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets.json");
    let offsets = json!({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": -1}]});
    std::fs::write(&file, offsets.to_string()).unwrap();
    let file = file.display().to_string();
    cluster.kafka.tool("org.apache.kafka.tools.DeleteRecordsCommand", &["--offset-json-file", &file]);
    client(&gateway, "acme").write_all(&maker.body("m", 10).0);

    edge.start_again();
    wait::until("the partition is stopped", || (edge.metric("luminate_partitions_stopped", "") >= 1.0).then_some(()));
    assert!(edge.log().contains("queue_offset_out_of_range"), "{}", edge.log());
    let health = Client::new(edge.url(), "").get("/api/v1/health").json();
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(edge.client("acme").count(None, "m"), 10, "the partition went on over the gap");

    // An operator gives up what is lost: one record of 10 samples.
    assert!(edge.stop().success(), "{}", edge.log());
    edge.options_mut().arguments = vec!["--skip-to".to_owned(), format!("{}:0:2", cluster.samples_topic())];
    edge.start_again();
    let receipt = client(&gateway, "acme").write_all(&maker.body("m", 5).0);
    assert_eq!(edge.client("acme").count(Some(&receipt), "m"), 25);
}

#[test]
fn an_empty_folder_begins_with_what_kafka_holds_whatever_the_group_was_told() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() });
    let assign = json!({cluster.samples_topic(): [0]});
    let mut first = edge(&cluster, &assign);
    first.start_again();
    let mut maker = SampleMaker::new(4);
    for round in 1..=3 {
        let receipt = first.client("acme").write_all(&maker.body("m", 10).0);
        assert_eq!(first.client("acme").count(Some(&receipt), "m"), 10 * round);
    }
    wait_for_hint(&cluster, 3);
    first.kill();
    let mut second = edge(&cluster, &assign);
    second.start_again();
    let receipt = second.client("acme").write_all(&maker.body("m", 1).0);
    assert_eq!(second.client("acme").count(Some(&receipt), "m"), 31);
}

#[test]
fn a_clusters_writer_does_not_take_a_hint_for_a_place_to_continue_from() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() });
    // The tests' configuration has the group of the cluster's writers, against all advice.
    let mut edge = edge(&cluster, &json!({cluster.samples_topic(): [0]}));
    edge.start_again();
    let receipt = edge.client("acme").write_all(&SampleMaker::new(5).body("m", 10).0);
    assert_eq!(edge.client("acme").count(Some(&receipt), "m"), 10);
    wait_for_hint(&cluster, 1);
    edge.kill();
    let writer = cluster.start_writer();
    wait::until("the partition is stopped", || (writer.metric("luminate_partitions_stopped", "") >= 1.0).then_some(()));
    assert!(writer.log().contains("commit_metadata_unreadable"), "{}", writer.log());
}

/// Waits until the group knows that the only partition is stored up to this offset.
fn wait_for_hint(cluster: &Cluster, next: u64) {
    wait::until("the group was told", || {
        let arguments = ["--describe", "--offsets", "--group", cluster.name()];
        let told = cluster.kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &arguments);
        // group, topic, partition, committed offset, end, ...
        let row = told.lines().find(|line| line.contains(&cluster.samples_topic()))?;
        (row.split_whitespace().nth(3)? == next.to_string()).then_some(())
    });
}
