//! A writer stands still (SIGSTOP) past its session, another takes its partitions, and then it goes on with whatever it had
//! in hand: nothing is stored twice, nothing is lost.

use std::time::Duration;

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions, client};
use luminate_tests::samples::SampleMaker;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const TENANTS: u64 = 6;

fn survive(rounds: u64, seed: u64) {
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let cluster = Cluster::prepare(ClusterOptions::default());
    let gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { tenants: TENANTS, seed, ..LoadOptions::default() });
    for round in 0..rounds {
        let frozen = &writers[round as usize % 2];
        std::thread::sleep(Duration::from_millis(random.random_range(0..700)));
        frozen.signal(libc::SIGSTOP);
        // Once what was written after the freeze is stored in every tenant's partition, the other one has them all.
        for tenant in 0..TENANTS {
            let tenant = format!("tenant-{tenant}");
            let receipt = client(&gateway, &tenant).write_all(&SampleMaker::new(seed).body("probe", 1).0);
            client(&query, &tenant).count(Some(&receipt), "probe");
        }
        frozen.signal(libc::SIGCONT);
        load.wait_more(2_000);
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    println!("{rounds} freezes: {verdict:?}");
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
}

#[test]
fn a_writer_that_stood_still_past_its_session_stores_nothing_twice() {
    survive(4, 20_150_517);
}

/// `make chaos`: many more rounds, from a seed that is printed and can be given again.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_frozen_writers() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("LUMINATE_CHAOS_SEED").unwrap_or_else(rand::random);
    survive(number("LUMINATE_CHAOS_ROUNDS").unwrap_or(50), seed);
}
