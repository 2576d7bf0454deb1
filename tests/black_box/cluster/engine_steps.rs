//! Engines are killed while a writer is at a step of its protocol with them: before they have the request, and when they have
//! done it and the writer does not know.

use std::time::Duration;

use luminate_tests::Cluster;
use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Engine, Half, Load, LoadOptions, Step};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions};
use rand::Rng as _;

use super::broker_kills::{PARTITIONS, cluster_of_three_brokers, coordinator, leader};

type Moment = (Step, Half);

/// The steps that a writer takes with ClickHouse.
const WITH_THE_STORE: [Moment; 6] = [
    (Step::Ledger, Half::Request),
    (Step::Ledger, Half::Answer),
    (Step::Insert, Half::Request),
    (Step::Insert, Half::Answer),
    (Step::Count, Half::Request),
    (Step::Count, Half::Answer),
];

/// The steps that a writer takes with brokers.
const WITH_BROKERS: [Moment; 4] = [
    (Step::Intent, Half::Request),
    (Step::Intent, Half::Answer),
    (Step::Settled, Half::Request),
    (Step::Settled, Half::Answer),
];

/// One writer under load; at each of the moments in turn, `kill` ends a node of an engine, and `back` starts it again.
fn survive(
    mut rounds: Rounds,
    cluster: &Cluster,
    moments: &[Moment],
    kill: fn(&Cluster, &mut Rounds, u64) -> usize,
    back: fn(&Cluster, usize),
) {
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let (writer, gates) = cluster.start_gated_writer();
    let patience = Duration::from_secs(180);
    let options = LoadOptions { keyed: true, patience, seed: rounds.seed(), ..LoadOptions::default() };
    let load = Load::start(cluster, &options);
    while let Some(round) = rounds.next_round() {
        let (step, half) = moments[round as usize % moments.len()];
        eprintln!("  {step:?}, {half:?}");
        let held = if step == Step::Count {
            // Rows are counted where the answer to an insert was lost.
            let lost = gates.catch(&load, Step::Insert, Half::Answer);
            let held = gates.hold(step, half);
            drop(lost);
            held.wait();
            held
        } else {
            gates.catch(&load, step, half)
        };
        let node = kill(cluster, &mut rounds, round);
        drop(held);
        back(cluster, node);
        load.wait_more(500);
    }
    rounds.tell(cluster.assert_exactly_once(&query, &load.finish()));
    assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0, "{}", writer.log());
}

fn kill_the_store(rounds: Rounds) {
    let clickhouse = Engine::Own(ClickHouse::start(ClickHouseOptions::default()));
    let cluster = Cluster::prepare(ClusterOptions { clickhouse, ..ClusterOptions::default() });
    let kill = |cluster: &Cluster, _: &mut Rounds, _: u64| {
        cluster.clickhouse.kill_node(1);
        1
    };
    survive(rounds, &cluster, &WITH_THE_STORE, kill, |cluster, node| cluster.clickhouse.start_node(node));
}

fn kill_the_broker(rounds: Rounds) {
    let kafka = Engine::Own(Kafka::start(KafkaOptions::default()));
    let cluster = Cluster::prepare(ClusterOptions { kafka, ..ClusterOptions::default() });
    let kill = |cluster: &Cluster, _: &mut Rounds, _: u64| {
        cluster.kafka.kill_node(1);
        1
    };
    survive(rounds, &cluster, &WITH_BROKERS, kill, |cluster, node| cluster.kafka.start_node(node));
}

/// One of three brokers: in turn the group's coordinator, which the step is with, and the leader of a partition.
fn kill_one_of_three_brokers(rounds: Rounds) {
    let cluster = cluster_of_three_brokers();
    let kill = |cluster: &Cluster, rounds: &mut Rounds, round: u64| {
        let partition = rounds.random.random_range(0..PARTITIONS);
        let is_coordinator = (round / WITH_BROKERS.len() as u64).is_multiple_of(2) == round.is_multiple_of(2);
        let victim = if is_coordinator { coordinator(cluster) } else { leader(cluster, partition) };
        eprintln!("  broker {victim}");
        cluster.kafka.kill_node(victim);
        victim
    };
    survive(rounds, &cluster, &WITH_BROKERS, kill, |cluster, node| cluster.kafka.start_node(node));
}

#[test]
fn a_store_killed_at_any_step_of_a_writer_has_each_sample_once() {
    kill_the_store(Rounds::few("store killed at steps", WITH_THE_STORE.len() as u64));
}

#[test]
fn a_broker_killed_at_any_step_of_a_writer_leaves_nothing_undone_or_done_twice() {
    kill_the_broker(Rounds::few("broker killed at steps", WITH_BROKERS.len() as u64));
}

#[test]
fn one_of_three_brokers_killed_at_any_step_of_a_writer_leaves_nothing_undone_or_done_twice() {
    kill_one_of_three_brokers(Rounds::few("one of three brokers killed at steps", WITH_BROKERS.len() as u64));
}

/// `make chaos`.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_store_killed_at_steps() {
    kill_the_store(Rounds::many("store killed at steps", 12));
}

/// `make chaos`.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_broker_killed_at_steps() {
    kill_the_broker(Rounds::many("broker killed at steps", 12));
}

/// `make chaos`.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_one_of_three_brokers_killed_at_steps() {
    kill_one_of_three_brokers(Rounds::many("one of three brokers killed at steps", 12));
}
