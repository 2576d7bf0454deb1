//! Kafka is gone for a while: gateways answer 503 with `Retry-After`, come back by themselves, and nothing that was
//! acknowledged is lost.

use luminate_tests::Cluster;
use luminate_tests::cluster::{ClusterOptions, Engine, Load, LoadOptions};
use luminate_tests::engines::{Kafka, KafkaOptions};
use luminate_tests::{Client, wait};
use serde_json::json;

fn cluster_with_its_own_queue() -> Cluster {
    let kafka = Engine::Own(Kafka::start(KafkaOptions::default()));
    let kafka_section = json!({"producer": {"deliveryTimeout": "2s"}});
    Cluster::prepare(ClusterOptions { kafka, kafka_section, ..ClusterOptions::default() })
}

/// A load goes on while `gone` takes the broker away until gateways refuse, and `back` brings it back.
fn survive(gone: impl Fn(&Kafka), back: impl Fn(&Kafka)) {
    let cluster = cluster_with_its_own_queue();
    let gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let _writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { keyed: true, ..LoadOptions::default() });
    load.wait_more(2_000);
    gone(&cluster.kafka);
    wait::until("the gateway refuses", || (load.refused() >= 8).then_some(()));
    let ready = Client::new(gateway.url(), "").get("/readyz");
    assert_eq!(ready.status, 200, "a gateway stays ready: all would vanish at once");
    back(&cluster.kafka);
    load.wait_more(2_000);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    assert_eq!(verdict.unknown, 0, "every request was repeated until it was acknowledged");
}

#[test]
fn a_killed_broker_that_comes_back_has_lost_nothing() {
    survive(|kafka| kafka.kill_node(1), |kafka| kafka.start_node(1));
}

#[test]
fn a_broker_that_answers_nothing_for_a_while_has_lost_nothing() {
    survive(|kafka| kafka.pause_node(1), |kafka| kafka.resume_node(1));
}
