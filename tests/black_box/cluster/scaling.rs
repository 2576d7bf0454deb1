//! Writers come and go under load, and every acknowledged sample is stored exactly once.

use luminate_tests::Cluster;
use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use rand::Rng as _;

fn scale(mut rounds: Rounds) {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 6, ..ClusterOptions::default() });
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let mut writers = vec![cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { tenants: 6, seed: rounds.seed(), ..LoadOptions::default() });
    while rounds.next_round().is_some() {
        load.wait_more(2_000);
        for _ in 0..2 {
            writers.push(cluster.start_writer());
            load.wait_more(2_000);
        }
        for mut writer in writers.drain(1..) {
            assert!(writer.stop().success(), "{}", writer.log());
            load.wait_more(2_000);
        }
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(&verdict);
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
}

#[test]
fn writers_scale_from_one_to_three_and_back_under_load() {
    scale(Rounds::few("scaling", 1));
}

/// Members join before the group has settled, and leave in both ways: with and without a word.
fn storm(mut rounds: Rounds) {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 6, ..ClusterOptions::default() });
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let _steady = cluster.start_writer();
    let load = Load::start(&cluster, &LoadOptions { tenants: 6, seed: rounds.seed(), ..LoadOptions::default() });
    while rounds.next_round().is_some() {
        let mut fleeting = [cluster.start_writer(), cluster.start_writer()];
        load.wait_more(if rounds.random.random_bool(0.5) { 1 } else { 1_000 });
        std::thread::sleep(rounds.moment(500));
        fleeting[0].kill();
        assert!(fleeting[1].stop().success(), "{}", fleeting[1].log());
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(&verdict);
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
}

#[test]
fn a_storm_of_rebalances_loses_and_doubles_nothing() {
    storm(Rounds::few("storm of rebalances", 6));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_scaling() {
    scale(Rounds::many("scaling", 10));
}

#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_storm_of_rebalances() {
    storm(Rounds::many("storm of rebalances", 50));
}
