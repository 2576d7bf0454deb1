//! A partition that was idle goes on after a restart. One whose records were removed before they were stored, or whose commits are
//! gone, stops: loudly, and without a sample stored that does not belong there.

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, ServiceProcess, client};
use luminate_tests::samples::SampleMaker;
use luminate_tests::wait;

/// One partition, so that each write goes where the last went.
fn one_partition() -> Cluster {
    Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() })
}

fn wait_stopped(writer: &ServiceProcess) {
    wait::until("the partition is stopped", || (writer.metric("luminate_partitions_stopped", "") >= 1.0).then_some(()));
    let health = writer.health();
    assert_eq!(health["status"], "degraded", "{health}");
    assert!(health.to_string().contains("stopped"), "{health}");
}

#[test]
fn an_idle_partition_goes_on_after_restarts() {
    let cluster = one_partition();
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let mut writer = cluster.start_writer();
    let mut maker = SampleMaker::new(1);
    for round in 1..=3 {
        let receipt = client(&gateway, "acme").write_all(&maker.body("idle", 10).0);
        assert_eq!(client(&query, "acme").count(Some(&receipt), "idle"), 10 * round);
        assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0);
        if round % 2 == 0 {
            writer.kill();
        } else {
            assert!(writer.stop().success(), "{}", writer.log());
        }
        writer.start_again();
    }
    let receipt = client(&gateway, "acme").write_all(&maker.body("idle", 10).0);
    assert_eq!(client(&query, "acme").count(Some(&receipt), "idle"), 40);
}

#[test]
fn records_that_retention_removed_before_they_were_stored_stop_the_partition() {
    let cluster = one_partition();
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let mut writer = cluster.start_writer();
    let mut maker = SampleMaker::new(3);
    let receipt = client(&gateway, "acme").write_all(&maker.body("removed", 10).0);
    assert_eq!(client(&query, "acme").count(Some(&receipt), "removed"), 10);

    assert!(writer.stop().success(), "{}", writer.log());
    for _ in 0..3 {
        client(&gateway, "acme").write_all(&maker.body("removed", 10).0);
    }
    // As retention would: all that there is.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets.json");
    let topic = cluster.samples_topic();
    let offsets = serde_json::json!({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": -1}]});
    std::fs::write(&file, offsets.to_string()).unwrap();
    let file = file.display().to_string();
    cluster.kafka.tool("org.apache.kafka.tools.DeleteRecordsCommand", &["--offset-json-file", &file]);
    client(&gateway, "acme").write_all(&maker.body("removed", 10).0);
    writer.start_again();
    wait_stopped(&writer);
    assert_eq!(cluster.stored_numbers("acme", "removed").len(), 10, "the partition went on over the gap");
}

#[test]
fn a_group_that_lost_its_offsets_stores_nothing_twice() {
    let cluster = one_partition();
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let mut writer = cluster.start_writer();
    let mut maker = SampleMaker::new(4);
    // Batches whose bounds nobody would choose again.
    for round in 1..=3 {
        let receipt = client(&gateway, "acme").write_all(&maker.body("forgotten", 10).0);
        assert_eq!(client(&query, "acme").count(Some(&receipt), "forgotten"), 10 * round);
    }
    assert!(writer.stop().success(), "{}", writer.log());
    // As Kafka does by itself once a group was idle for a week.
    let group = ["--delete", "--group", cluster.name()];
    cluster.kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &group);
    client(&gateway, "acme").write_all(&maker.body("forgotten", 10).0);
    writer.start_again();
    wait::until("the partition stops", || (writer.metric("luminate_partitions_stopped", "") >= 1.0).then_some(()));
    let stored = cluster.stored_numbers("acme", "forgotten");
    assert!(stored.len() == 30 && stored.values().all(|times| *times == 1), "nothing more is stored: {stored:?}");
}
