//! A topic that was deleted and made again under the same name: what was not stored of the former one is gone, and the offsets mean
//! other records. Whoever notices first, or nobody until a writer starts, its partitions stop until an operator says where to go on.

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, ServiceProcess, client};
use luminate_tests::samples::SampleMaker;
use luminate_tests::wait;
use serde_json::{Value, json};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
const GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

/// A cluster with one partition, a gateway and a query-api, and what was written there.
struct Story {
    cluster: Cluster,
    gateway: ServiceProcess,
    query: ServiceProcess,
    maker: SampleMaker,
}

impl Story {
    /// `consumer` is set beside the tests' own in the writers' `kafka.consumer`.
    fn begin(consumer: Value) -> Self {
        let kafka_section = json!({ "consumer": consumer });
        let cluster = Cluster::prepare(ClusterOptions { partitions: 1, kafka_section, ..ClusterOptions::default() });
        let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
        Self { cluster, gateway, query, maker: SampleMaker::new(2) }
    }

    /// Ten samples; the receipt.
    fn write(&mut self) -> String {
        client(&self.gateway, "acme").write_all(&self.maker.body("again", 10).0)
    }

    fn count(&self, receipt: &str) -> u64 {
        client(&self.query, "acme").count(Some(receipt), "again")
    }

    fn delete_topic(&self) {
        self.cluster.kafka.tool(TOPICS, &["--delete", "--topic", &self.cluster.samples_topic()]);
    }

    /// As an operator would. Refused while the old one is being deleted.
    fn make_topic(&self) {
        wait::until("the topic is made again", || {
            let apply = || self.cluster.operate(&["topics", "apply"]);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(apply)).ok()
        });
    }

    /// Ten samples that go to the new topic.
    fn write_to_the_new_topic(&mut self) -> String {
        let gateway = self.cluster.start_gateway();
        std::mem::replace(&mut self.gateway, gateway).kill();
        self.write()
    }

    /// The partition has stopped because of the topic, and nothing of the new one is stored.
    fn assert_stopped(&self, writer: &ServiceProcess) {
        wait::until("the partition is stopped", || {
            let stopped = writer.metric("luminate_partitions_stopped", "") >= 1.0;
            let health = writer.health();
            (stopped && health["status"] == "degraded" && health.to_string().contains("topic_made_again")).then_some(())
        });
        let log = writer.log();
        assert!(
            log.lines().any(|line| line.contains("partition stopped") && line.contains("topic_made_again")),
            "{log}"
        );
        assert_eq!(self.cluster.stored_numbers("acme", "again").len(), 10, "a record of the new topic was stored");
    }

    /// A restart changes nothing; an operator's word does, given as the documentation says.
    fn go_on(&self, mut writer: ServiceProcess, receipt: &str) {
        assert!(writer.stop().success(), "{}", writer.log());
        writer.start_again();
        self.assert_stopped(&writer);
        assert!(writer.stop().success(), "{}", writer.log());
        let place = format!("{}:0", self.cluster.samples_topic());
        let group = ["--group", self.cluster.name(), "--topic", &place];
        self.cluster.kafka.tool(GROUPS, &[&group[..], &["--reset-offsets", "--to-earliest", "--execute"]].concat());
        writer.start_again();
        assert_eq!(self.count(receipt), 20);
        assert!(writer.stop().success(), "{}", writer.log());
        // The new one is known from now on, and its own commits are good.
        writer.start_again();
        let again = client(&self.gateway, "acme").write_all(&SampleMaker::new(3).body("again", 10).0);
        assert_eq!(self.count(&again), 30);
        assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0);
    }
}

#[test]
fn under_a_writer_that_looks_often_it_stops() {
    let mut story = Story::begin(json!({"watchInterval": "100ms", "discoveryInterval": "5s"}));
    let writer = story.cluster.start_writer();
    let receipt = story.write();
    assert_eq!(story.count(&receipt), 10);
    story.delete_topic();
    story.make_topic();
    let receipt = story.write_to_the_new_topic();
    story.assert_stopped(&writer);
    story.go_on(writer, &receipt);
}

#[test]
fn under_a_writer_whose_group_sees_it_first_it_stops() {
    let mut story = Story::begin(json!({"watchInterval": "1h", "discoveryInterval": "200ms"}));
    let writer = story.cluster.start_writer();
    let receipt = story.write();
    assert_eq!(story.count(&receipt), 10);
    story.delete_topic();
    wait::until("the group takes the partition away", || writer.log().contains("a partition was let go").then_some(()));
    story.make_topic();
    let receipt = story.write_to_the_new_topic();
    story.assert_stopped(&writer);
    story.go_on(writer, &receipt);
}

#[test]
fn without_a_writer_it_is_noticed_at_the_next_start() {
    let mut story = Story::begin(json!({}));
    let mut writer = story.cluster.start_writer();
    let receipt = story.write();
    assert_eq!(story.count(&receipt), 10);
    assert!(writer.stop().success(), "{}", writer.log());
    // Nobody will ever read these.
    story.write();
    story.delete_topic();
    story.make_topic();
    let receipt = story.write_to_the_new_topic();
    writer.start_again();
    story.assert_stopped(&writer);
    story.go_on(writer, &receipt);
}

/// Nothing was stored of the former topic, nothing is missed: it may be made as often as an operator likes.
#[test]
fn a_topic_of_which_nothing_was_stored_may_be_made_again() {
    let mut story = Story::begin(json!({}));
    let mut writer = story.cluster.start_writer();
    assert!(writer.stop().success(), "{}", writer.log());
    story.delete_topic();
    story.make_topic();
    let receipt = story.write_to_the_new_topic();
    writer.start_again();
    assert_eq!(story.count(&receipt), 10);
    assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0);
}
