//! Gateways are killed at any moment. A request that was not answered is repeated with its key through another one, and is
//! stored once.

use std::time::Duration;

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

#[test]
fn requests_that_were_not_answered_are_stored_once_when_repeated_with_their_key() {
    let mut random = StdRng::seed_from_u64(20_150_517);
    let cluster = Cluster::prepare(ClusterOptions::default());
    let mut gateways = vec![cluster.start_gateway(), cluster.start_gateway()];
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { keyed: true, ..LoadOptions::default() });
    let mut repeated = 0.0;
    // A kill between a record's being durable and its answer is what this is about: until repeats were seen, and some more.
    for round in 0..40 {
        std::thread::sleep(Duration::from_millis(random.random_range(20..300)));
        let victim = gateways.remove(random.random_range(0..2));
        gateways.push(cluster.replace_gateway(victim));
        load.wait_more(500);
        repeated = writers.iter().map(|writer| writer.metric("luminate_samples_repeated_total", "")).sum();
        if round >= 8 && repeated > 0.0 {
            break;
        }
    }
    let written = load.finish();
    let verdict = cluster.assert_exactly_once(&query, &written);
    assert_eq!(verdict.unknown, 0, "every request was repeated until it was acknowledged");
    assert!(repeated > 0.0, "no kill fell between a record and its answer: this run proves nothing");
}
