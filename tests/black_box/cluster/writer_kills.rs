//! Writers are killed at any moment: every acknowledged sample is stored exactly once, and what a dead writer had begun,
//! another finishes.

use luminate_tests::Cluster;
use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use rand::Rng as _;

/// Two writers under load; one of them is killed at a random moment and comes back, again and again.
fn survive(mut rounds: Rounds) {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let mut writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { seed: rounds.seed(), ..LoadOptions::default() });
    while rounds.next_round().is_some() {
        let victim = &mut writers[rounds.random.random_range(0..2)];
        std::thread::sleep(rounds.moment(1500));
        victim.kill();
        // At times the other one takes over before it is back, at times it is back first.
        std::thread::sleep(rounds.moment(2500));
        victim.start_again();
    }
    load.wait_more(1);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(&verdict);
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
}

#[test]
fn acknowledged_samples_are_stored_exactly_once_whenever_writers_die() {
    survive(Rounds::few("writer kills", 8));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_writer_kills() {
    survive(Rounds::many("writer kills", 50));
}
