//! Three brokers, three copies of every record, two of them in sync: the leader of a busy partition is killed, then the
//! coordinator of the writers' group, and each comes back.

use std::time::Duration;

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Engine, Load, LoadOptions, ServiceProcess};
use luminate_tests::engines::{Kafka, KafkaOptions};
use luminate_tests::{Cluster, wait};
use rand::Rng as _;
use serde_json::json;

pub(super) const PARTITIONS: u32 = 4;
/// Requests wait meanwhile for another leader to be chosen.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) fn cluster_of_three_brokers() -> Cluster {
    // A dead broker is noticed after 9 s unless told otherwise.
    let properties = [("broker.session.timeout.ms", "3000"), ("broker.heartbeat.interval.ms", "500")];
    let properties = properties.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let kafka = Engine::Own(Kafka::start(KafkaOptions { nodes: 3, properties, ..KafkaOptions::default() }));
    let kafka_section = json!({"topics": {"replication": 3, "minInsyncReplicas": 2}});
    Cluster::prepare(ClusterOptions { kafka, kafka_section, partitions: PARTITIONS, ..ClusterOptions::default() })
}

fn describe(cluster: &Cluster, more: &[&str]) -> String {
    let topic = cluster.samples_topic();
    let arguments = [&["--describe", "--topic", topic.as_str()], more].concat();
    cluster.kafka.tool("org.apache.kafka.tools.TopicCommand", &arguments)
}

/// The broker that leads a partition of the topic that gateways write.
pub(super) fn leader(cluster: &Cluster, partition: u32) -> usize {
    let text = describe(cluster, &[]);
    let of_partition = |line: &&str| line.contains(&format!("\tPartition: {partition}\t"));
    let line = text.lines().find(of_partition).unwrap_or_else(|| panic!("no partition {partition}: {text}"));
    let leader = line.split("Leader: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    leader.and_then(|leader| leader.parse().ok()).unwrap_or_else(|| panic!("no leader: {text}"))
}

/// The broker that coordinates the writers' group.
pub(super) fn coordinator(cluster: &Cluster) -> usize {
    let arguments = ["--describe", "--state", "--group", cluster.name()];
    let text = cluster.kafka.tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", &arguments);
    let line = text.lines().find(|line| line.starts_with(cluster.name())).unwrap_or_else(|| panic!("no group: {text}"));
    let number = line.split('(').nth(1).and_then(|rest| rest.split(')').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no coordinator: {text}"))
}

fn stored(writers: &[ServiceProcess]) -> f64 {
    writers.iter().map(|writer| writer.metric("luminate_samples_stored_total", "")).sum()
}

fn survive(mut rounds: Rounds) {
    let cluster = cluster_of_three_brokers();
    let _gateways = [cluster.start_gateway(), cluster.start_gateway()];
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let options = LoadOptions { keyed: true, patience: PATIENCE, seed: rounds.seed(), ..LoadOptions::default() };
    let load = Load::start(&cluster, &options);
    load.wait_more(2_000);
    while let Some(round) = rounds.next_round() {
        let partition = rounds.random.random_range(0..PARTITIONS);
        let victim = if round % 2 == 0 { leader(&cluster, partition) } else { coordinator(&cluster) };
        eprintln!("  broker {victim}");
        cluster.kafka.kill_node(victim);
        load.wait_more(4_000);
        let before = stored(&writers);
        wait::until("writers store without that broker", || (stored(&writers) > before + 1_000.0).then_some(()));
        cluster.kafka.start_node(victim);
        wait::until("all copies are in sync again", || {
            describe(&cluster, &["--under-replicated-partitions"]).trim().is_empty().then_some(())
        });
        load.wait_more(1_000);
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(&verdict);
    for writer in &writers {
        assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0, "{}", writer.log());
    }
}

#[test]
fn a_killed_leader_and_a_killed_coordinator_of_three_brokers_lose_and_double_nothing() {
    survive(Rounds::few("broker kills", 2));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_broker_kills() {
    survive(Rounds::many("broker kills", 20));
}
