//! Gateways are killed at any moment. A request that was not answered is repeated with its key through another one, and is
//! stored once.

use std::time::Duration;

use luminate_tests::Cluster;
use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Load, LoadOptions};
use rand::Rng as _;

/// At least `enough` rounds, and more of them until a kill has fallen between a record's being durable and its answer, which is
/// what this is about.
fn survive(mut rounds: Rounds, enough: u64) {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let mut gateways = vec![cluster.start_gateway(), cluster.start_gateway()];
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { keyed: true, seed: rounds.seed(), ..LoadOptions::default() });
    let mut repeated = 0.0;
    while let Some(round) = rounds.next_round() {
        std::thread::sleep(Duration::from_millis(20) + rounds.moment(280));
        let victim = gateways.remove(rounds.random.random_range(0..2));
        gateways.push(cluster.replace_gateway(victim));
        load.wait_more(500);
        repeated = writers.iter().map(|writer| writer.metric("luminate_samples_repeated_total", "")).sum();
        if round >= enough && repeated > 0.0 {
            break;
        }
    }
    let written = load.finish();
    let verdict = cluster.assert_exactly_once(&query, &written);
    rounds.tell(format_args!("{repeated} samples came twice; {verdict}"));
    assert_eq!(verdict.unknown, 0, "every request was repeated until it was acknowledged");
    assert!(repeated > 0.0, "no kill fell between a record and its answer: this run proves nothing");
}

#[test]
fn requests_that_were_not_answered_are_stored_once_when_repeated_with_their_key() {
    survive(Rounds::few("gateway kills", 40), 8);
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_gateway_kills() {
    let rounds = Rounds::many("gateway kills", 50);
    let enough = rounds.count();
    survive(rounds, enough);
}
