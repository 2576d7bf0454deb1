//! Kafka is gone for a while: gateways answer 503 with `Retry-After`, come back by themselves, and nothing that was
//! acknowledged is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use luminate_tests::cluster::{
    ClusterOptions, Engine, Gates, Half, Held, Load, LoadOptions, ServiceProcess, Step, client,
};
use luminate_tests::engines::{Kafka, KafkaOptions};
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, Cluster, wait};
use serde_json::{Value, json};

/// A broker on a busy machine has two minutes to start; requests are repeated for longer.
const START: Duration = Duration::from_secs(180);
const A_MINUTE: Duration = Duration::from_secs(60);

fn cluster_with_its_own_queue() -> Cluster {
    let kafka = Engine::Own(Kafka::start(KafkaOptions::default()));
    let kafka_section = json!({"producer": {"deliveryTimeout": "2s"}});
    Cluster::prepare(ClusterOptions { kafka, kafka_section, ..ClusterOptions::default() })
}

/// A load goes on while `gone` takes the broker away until gateways refuse, and `more` time beyond; then `back` brings it back.
fn survive(gone: impl Fn(&Kafka), more: Duration, back: impl Fn(&Kafka)) {
    let cluster = cluster_with_its_own_queue();
    let gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let patience = START + 2 * more;
    let load = Load::start(&cluster, &LoadOptions { keyed: true, patience, ..LoadOptions::default() });
    load.wait_more(2_000);
    gone(&cluster.kafka);
    wait::until("the gateway refuses", || (load.refused() >= 8).then_some(()));
    // How long it lasts is what this is about.
    std::thread::sleep(more);
    let (acknowledged, refused) = (load.acknowledged(), load.refused());
    wait::until("the gateway refuses still", || (load.refused() >= refused + 8).then_some(()));
    assert_eq!(load.acknowledged(), acknowledged, "a request was acknowledged without a broker");
    for (process, path) in
        [(&gateway, "/readyz"), (&gateway, "/healthz"), (&writers[0], "/healthz"), (&writers[1], "/healthz")]
    {
        let answer = Client::new(process.url(), "").get(path);
        assert_eq!(answer.status, 200, "{path}: all would vanish at once, or be restarted, which mends nothing");
    }
    back(&cluster.kafka);
    load.wait_more(2_000);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    eprintln!("a broker gone for {more:?} and more: {verdict}");
    for writer in &writers {
        assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0, "{}", writer.log());
    }
}

#[test]
fn a_killed_broker_that_comes_back_has_lost_nothing() {
    survive(|kafka| kafka.kill_node(1), Duration::ZERO, |kafka| kafka.start_node(1));
}

#[test]
fn a_broker_that_answers_nothing_for_a_while_has_lost_nothing() {
    survive(|kafka| kafka.pause_node(1), Duration::ZERO, |kafka| kafka.resume_node(1));
}

/// A broker that stood still for so long that its controllers fenced it tells of topics and of no broker, for a moment. Clients forget
/// every broker at that.
#[test]
fn clients_that_were_told_of_no_broker_find_them_again() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let gates = Gates::before(&cluster);
    gates.hide_brokers(true);
    let gateway = cluster.start_gateway_with(&gates.gateway_config());
    let writer = cluster.start_writer_with(&gates.config());
    let query = cluster.start_query();
    let body = SampleMaker::new(1).body("found", 100).0;
    let to_gateway = client(&gateway, "acme");
    let write = || to_gateway.post_json("/api/v1/write", &[("Idempotency-Key", "found")], &body).expect("an answer");
    wait::until("all clients have noticed", || {
        // Whatever the answer is, a producer notices only with something to send.
        let _answer = write();
        let gateways = restored(&gateway);
        // The one that asks and the one that sends; the one that asks and the one that reads.
        (gateways.len() == 2 && gateways.iter().any(|name| name.contains("producer")) && restored(&writer).len() == 2)
            .then_some(())
    });
    gates.hide_brokers(false);
    let answer = wait::until("the gateway takes samples", || Some(write()).filter(|answer| answer.status == 202));
    let receipt = answer.json()["receipt"].as_str().expect("a receipt").to_owned();
    assert_eq!(client(&query, "acme").count(Some(&receipt), "found"), 100);
}

/// The same while a commit is open whose partition was lost: the thread that would hear of it waits for that commit, which waits for a
/// broker.
#[test]
fn a_writer_that_waits_for_a_commit_finds_its_brokers_again() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let (writer, gates) = cluster.start_gated_writer();
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let load = Load::start(&cluster, &LoadOptions { keyed: true, ..LoadOptions::default() });
    let held = without_brokers_in_a_commit(&writer, &gates, &load);
    gates.hide_brokers(false);
    drop(held);
    load.wait_more(500);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    eprintln!("no broker while a commit was open: {verdict}");
}

/// Told to stop in the midst of that, with no broker in sight, a writer ends all the same; another one finishes what it left.
#[test]
fn a_writer_that_waits_for_a_commit_without_brokers_can_be_stopped() {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let (mut writer, gates) = cluster.start_gated_writer();
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let load = Load::start(&cluster, &LoadOptions { keyed: true, ..LoadOptions::default() });
    let held = without_brokers_in_a_commit(&writer, &gates, &load);
    // With success where its brokers answer within its time to store what it has, with an error where they do not.
    writer.stop();
    drop(held);
    gates.hide_brokers(false);
    let _other = cluster.start_writer();
    load.wait_more(500);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    eprintln!("stopped without a broker while a commit was open: {verdict}");
}

/// Has a writer lose its partitions while a commit is open, and then sight of every broker.
fn without_brokers_in_a_commit(writer: &ServiceProcess, gates: &Gates, load: &Load) -> Held {
    let held = gates.catch(load, Step::Intent, Half::Request);
    wait::until("the group takes the partitions away", || writer.log().contains("SESSTMOUT").then_some(()));
    gates.hide_brokers(true);
    // The one that asks and the one that reads.
    wait::until("both clients have noticed", || (restored(writer).len() == 2).then_some(()));
    held
}

/// Names of the Kafka clients of a process that were told of brokers again.
fn restored(process: &ServiceProcess) -> BTreeSet<String> {
    let log = process.log();
    let lines = log.lines().filter(|line| line.contains("kafka told of no broker"));
    // The last one may not have been written to its end.
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.map(|line| line["client"].as_str().expect("a name").to_owned()).collect()
}

/// `make chaos`: the same for a minute.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_a_broker_killed_for_a_minute() {
    survive(|kafka| kafka.kill_node(1), A_MINUTE, |kafka| kafka.start_node(1));
}

#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_a_broker_that_answers_nothing_for_a_minute() {
    survive(|kafka| kafka.pause_node(1), A_MINUTE, |kafka| kafka.resume_node(1));
}
