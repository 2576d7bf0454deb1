//! Engines are killed while a writer is at a step of its protocol with them: before they have the request, and when they have
//! done it and the writer does not know.

use std::time::Duration;

use luminate_tests::Cluster;
use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Engine, Half, Load, LoadOptions, Step};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions};

/// One writer under load; at each of the moments in turn, `kill` ends an engine, and `back` starts it again.
fn survive(mut rounds: Rounds, cluster: &Cluster, moments: &[(Step, Half)], kill: fn(&Cluster), back: fn(&Cluster)) {
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
        kill(cluster);
        drop(held);
        back(cluster);
        load.wait_more(500);
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(&verdict);
    assert_eq!(verdict.unknown, 0, "every request was repeated until it was acknowledged");
    assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0, "{}", writer.log());
}

/// `make chaos`.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_store_killed_at_steps() {
    let clickhouse = Engine::Own(ClickHouse::start(ClickHouseOptions::default()));
    let cluster = Cluster::prepare(ClusterOptions { clickhouse, ..ClusterOptions::default() });
    let moments = [
        (Step::Ledger, Half::Request),
        (Step::Ledger, Half::Answer),
        (Step::Insert, Half::Request),
        (Step::Insert, Half::Answer),
        (Step::Count, Half::Request),
        (Step::Count, Half::Answer),
    ];
    let (kill, back) =
        (|cluster: &Cluster| cluster.clickhouse.kill(), |cluster: &Cluster| cluster.clickhouse.restart());
    survive(Rounds::many("store killed at steps", 12), &cluster, &moments, kill, back);
}

/// `make chaos`.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_broker_killed_at_steps() {
    let kafka = Engine::Own(Kafka::start(KafkaOptions::default()));
    let cluster = Cluster::prepare(ClusterOptions { kafka, ..ClusterOptions::default() });
    let moments = [
        (Step::Intent, Half::Request),
        (Step::Intent, Half::Answer),
        (Step::Settled, Half::Request),
        (Step::Settled, Half::Answer),
    ];
    let (kill, back) =
        (|cluster: &Cluster| cluster.kafka.kill_node(1), |cluster: &Cluster| cluster.kafka.start_node(1));
    survive(Rounds::many("broker killed at steps", 12), &cluster, &moments, kill, back);
}
