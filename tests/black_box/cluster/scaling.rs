//! Writers come and go under load, and every acknowledged sample is stored exactly once.

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use luminate_tests::{Cluster, wait};
use rand::Rng as _;
use serde_json::json;

const PARTITIONS: u32 = 6;

/// Some partitions, each of which has samples: tenants are spread over many shards.
fn busy_partitions() -> Cluster {
    let gateway = json!({"gateway": {"shards": {"default": 16}}});
    Cluster::prepare(ClusterOptions { partitions: PARTITIONS, gateway, ..ClusterOptions::default() })
}

fn scale(mut rounds: Rounds) {
    let cluster = busy_partitions();
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let mut writers = vec![cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { tenants: 6, seed: rounds.seed(), ..LoadOptions::default() });
    while rounds.next_round().is_some() {
        load.wait_more(2_000);
        for _ in 0..2 {
            let writer = cluster.start_writer();
            let stored = || writer.metric("luminate_samples_stored_total", "");
            wait::until("the new writer takes part", || (stored() > 0.0).then_some(()));
            load.wait_more(2_000);
            writers.push(writer);
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
    let cluster = busy_partitions();
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let steady = cluster.start_writer();
    let let_go = || steady.log().matches("a partition was let go").count();
    let owns = || steady.log().matches("a partition was assigned").count() - let_go();
    let load = Load::start(&cluster, &LoadOptions { tenants: 6, seed: rounds.seed(), ..LoadOptions::default() });
    while let Some(round) = rounds.next_round() {
        // In every second round all partitions are in the steady writer's hands, and some leave them.
        let is_calm = round % 2 == 0;
        if is_calm {
            wait::until("the steady writer has all partitions", || (owns() == PARTITIONS as usize).then_some(()));
        }
        let before = let_go();
        let mut fleeting = [cluster.start_writer(), cluster.start_writer()];
        if is_calm {
            wait::until("the steady writer gives partitions away", || (let_go() > before).then_some(()));
        } else {
            load.wait_more(if rounds.random.random_bool(0.5) { 1 } else { 1_000 });
        }
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
