//! Gateways are killed at any moment. A request that was not answered is repeated with its key through another one, and is
//! stored once.

use std::time::Duration;

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Gates, Half, Load, LoadOptions, Step, client};
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, Cluster, wait};
use rand::Rng as _;
use serde_json::{Value, json};

/// Samples of a request that is many records.
const LARGE: usize = 25_000;

/// A large request is records on all partitions.
fn many_shards() -> Value {
    json!({"gateway": {"shards": {"default": 16}}})
}

/// At least `enough` rounds, and more of them until a kill has fallen between a record's being durable and its answer, which is
/// what this is about.
fn survive(mut rounds: Rounds, enough: u64, load: LoadOptions) {
    let cluster = Cluster::prepare(ClusterOptions { gateway: many_shards(), ..ClusterOptions::default() });
    let mut gateways = vec![cluster.start_gateway(), cluster.start_gateway()];
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { keyed: true, seed: rounds.seed(), ..load });
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
    assert!(repeated > 0.0, "no kill fell between a record and its answer: this run proves nothing");
}

#[test]
fn requests_that_were_not_answered_are_stored_once_when_repeated_with_their_key() {
    survive(Rounds::few("gateway kills", 40), 8, LoadOptions::default());
}

/// A part of the request's records is on Kafka when its gateway dies, and the rest never gets there. Repeated through another
/// gateway, the part is recognised, and the request is whole.
#[test]
fn a_request_of_which_a_part_is_on_kafka_is_whole_when_repeated_with_its_key() {
    let cluster = Cluster::prepare(ClusterOptions { gateway: many_shards(), ..ClusterOptions::default() });
    let (query, writer) = (cluster.start_query(), cluster.start_writer());
    let gates = Gates::before(&cluster);
    let mut first = cluster.start_gateway_with(&gates.gateway_config());
    let body = SampleMaker::new(1).body("parts", LARGE).0;
    let write = |to: &Client| to.post_json("/api/v1/write", &[("Idempotency-Key", "large")], &body);

    let held = gates.hold_after(1, Step::Records, Half::Request);
    let to_first = client(&first, "acme");
    let unanswered = std::thread::scope(|scope| {
        let unanswered = scope.spawn(|| write(&to_first));
        held.wait();
        first.kill();
        unanswered.join().unwrap()
    });
    drop(held);
    assert!(unanswered.is_err(), "a request was answered of which records are missing: {unanswered:?}");
    let stored = || cluster.stored_numbers("acme", "parts").len();
    wait::until("a part is stored", || (stored() > 0).then_some(()));

    let second = cluster.start_gateway();
    let answer = write(&client(&second, "acme")).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.json());
    let receipt = answer.json()["receipt"].as_str().unwrap().to_owned();
    assert_eq!(client(&query, "acme").count(Some(&receipt), "parts"), LARGE as u64);
    assert_eq!(stored(), LARGE);
    let repeated = writer.metric("luminate_samples_repeated_total", "");
    assert!(repeated > 0.0 && repeated < LARGE as f64, "{repeated} samples came twice, and not a part of them");
    cluster.operate(&["reconcile"]);
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_gateway_kills() {
    let rounds = Rounds::many("gateway kills", 50);
    let enough = rounds.count().saturating_sub(1);
    survive(rounds.with_spare(40), enough, LoadOptions::default());
}

/// The same with requests of many records.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_gateway_kills_with_large_requests() {
    let rounds = Rounds::many("gateway kills with large requests", 20);
    let enough = rounds.count().saturating_sub(1);
    survive(rounds.with_spare(40), enough, LoadOptions { tenants: 2, max_samples: LARGE, ..LoadOptions::default() });
}
