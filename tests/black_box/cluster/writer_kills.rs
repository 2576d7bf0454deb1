//! Writers are killed at any moment: every acknowledged sample is stored exactly once, and what a dead writer had begun,
//! another finishes.

use std::time::Duration;

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Two writers under load; one of them is killed at a random moment and comes back, again and again.
fn survive(rounds: u64, seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::prepare(ClusterOptions::default());
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let mut writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { seed, ..LoadOptions::default() });
    for _ in 0..rounds {
        let victim = &mut writers[random.random_range(0..2)];
        std::thread::sleep(Duration::from_millis(random.random_range(0..1500)));
        victim.kill();
        // At times the other one takes over before it is back, at times it is back first.
        std::thread::sleep(Duration::from_millis(random.random_range(0..2500)));
        victim.start_again();
    }
    load.wait_more(1);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    println!("{rounds} kills: {verdict:?}");
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
}

#[test]
fn acknowledged_samples_are_stored_exactly_once_whenever_writers_die() {
    survive(8, 20_150_517);
}

/// `make chaos`: many more rounds, from a seed that is printed and can be given again.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_writer_kills() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("LUMINATE_CHAOS_SEED").unwrap_or_else(rand::random);
    survive(number("LUMINATE_CHAOS_ROUNDS").unwrap_or(50), seed);
}
