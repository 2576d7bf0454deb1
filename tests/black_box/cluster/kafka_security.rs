//! Kafka that encrypts and asks for a password: the services get through with `kafka.tls` and `kafka.sasl`; a gateway that is not
//! let in says why to operators, answers clients with 503, and tells nobody a secret.

use luminate_tests::cluster::{ClusterOptions, Engine, ServiceProcess, client};
use luminate_tests::engines::{Kafka, KafkaOptions};
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Cluster, wait};
use serde_json::{Value, json};

const PASSWORD: &str = "a password for gateways and writers";
const WRONG: &str = "a password that is another";

/// What a gateway says that no broker lets in.
fn assert_refused(gateway: &ServiceProcess, code: &str) {
    let health = wait::until("operators are told", || {
        let health = gateway.health().to_string();
        (health.contains(code) && gateway.log().contains(code)).then_some(health)
    });
    let answer = client(gateway, "acme").post_json("/api/v1/write", &[], &SampleMaker::new(1).body("refused", 1).0);
    let answer = answer.expect("an answer");
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("queue_unavailable")), "{}", answer.json());
    assert!(answer.headers.contains_key("retry-after"));
    for text in [gateway.log(), health, answer.json().to_string()] {
        assert!(!text.contains(PASSWORD) && !text.contains(WRONG), "a password is told: {text}");
    }
}

#[test]
fn services_get_through_and_who_is_not_let_in_is_told_why() {
    let users = vec![("luminate".to_owned(), PASSWORD.to_owned())];
    let kafka = Kafka::start(KafkaOptions { users, tls: true, ..KafkaOptions::default() });
    let certificates = kafka.certificates();
    let kafka_section = json!({
        "tls": {"enabled": true, "caFile": certificates.authority},
        "sasl": {"mechanism": "SCRAM-SHA-512", "username": "luminate", "password": PASSWORD},
    });
    let cluster =
        Cluster::prepare(ClusterOptions { kafka: Engine::Own(kafka), kafka_section, ..ClusterOptions::default() });
    let (gateway, query, _writer) = (cluster.start_gateway(), cluster.start_query(), cluster.start_writer());
    let receipt = client(&gateway, "acme").write_all(&SampleMaker::new(1).body("secret", 10).0);
    assert_eq!(client(&query, "acme").count(Some(&receipt), "secret"), 10);

    let refused: [(Value, &str); 3] = [
        (json!({"tls": {"caFile": certificates.client}}), "kafka_tls_failed"),
        (json!({"sasl": {"password": WRONG}}), "kafka_login_failed"),
        (json!({"tls": {"enabled": false, "caFile": null}}), "kafka_unreachable"),
    ];
    for (section, code) in refused {
        assert_refused(&cluster.start_gateway_with(&json!({ "kafka": section })), code);
    }
}
