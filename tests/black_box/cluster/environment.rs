//! A cluster from the environment alone: no flag, no file, no variable but those that the documentation lists.

use std::process::Command;

use luminate_tests::cluster::{ServiceProcess, client};
use luminate_tests::engines::{ClickHouse, Kafka, KafkaOptions};
use luminate_tests::samples::SampleMaker;
use luminate_tests::server::{SECRET, binary};
use luminate_tests::{Client, wait};

/// Runs a command of an operator with these variables and no others.
fn operate(words: &[&str], environment: &[(String, String)]) {
    let output = Command::new(binary()).args(words).env_clear().envs(environment.iter().cloned()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn services_run_from_the_environment_alone() {
    // Topics and the group have the names that they have by default, so the brokers are the test's own.
    let kafka = Kafka::start(KafkaOptions::default());
    let clickhouse = ClickHouse::shared();
    let data = tempfile::tempdir().unwrap();
    let environment: Vec<(String, String)> = [
        ("LUMINATE_LISTEN", "127.0.0.1:0"),
        ("LUMINATE_STORAGE_BACKEND", "clickhouse"),
        ("LUMINATE_KAFKA_BROKERS", &kafka.brokers()),
        ("LUMINATE_CLICKHOUSE_HOSTS", clickhouse.url()),
        ("LUMINATE_CLICKHOUSE_DATABASE", &clickhouse.database("environment")),
        ("LUMINATE_CLICKHOUSE_USERNAME", clickhouse.username()),
        ("LUMINATE_CLICKHOUSE_PASSWORD", clickhouse.password()),
        ("LUMINATE_DATA_DIR", data.path().to_str().unwrap()),
        ("JWT_SECRET", SECRET),
        ("LUMINATE_RATELIMIT_WRITE_RPS", "5"),
        ("LUMINATE_RATELIMIT_QUERY_RPS", "40"),
        ("LUMINATE_RATELIMIT_METRICS_PER_SEC", "1000"),
        ("LUMINATE_LOG", "info"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    operate(&["topics", "apply"], &environment);
    operate(&["migrate"], &environment);
    let start = |binary| ServiceProcess::start_from_environment(binary, environment.clone());
    let [gateway, writer, query] = ["luminate-gateway", "luminate-writer", "luminate-query"].map(start);
    for service in [&gateway, &writer, &query] {
        let at = Client::new(service.url(), "");
        assert_eq!(at.get("/readyz").status, 200, "{}", service.log());
        assert!(service.metric("luminate_build_info", "version=") >= 1.0, "{}", service.log());
        wait::until("all that it depends on answers", || (service.health()["status"] == "ok").then_some(()));
    }
    let mut maker = SampleMaker::new(1);
    let receipt = client(&gateway, "acme").write_all(&maker.body("m", 1).0);
    assert_eq!(client(&query, "acme").count(Some(&receipt), "m"), 1);
    assert_eq!(writer.metric("luminate_samples_stored_total", ""), 1.0);
    // What limits is that of the variables, and not what a cluster has by default.
    let answers = std::iter::repeat_with(|| client(&gateway, "busy").write(&maker.body("m", 1).0).unwrap());
    let refused = answers.take(1_000).find(|answer| answer.status != 202).expect("a limit of 5 requests a second");
    assert_eq!((refused.status, refused.code().as_str()), (429, "rate_limited"), "{}", refused.json());
    assert_eq!(refused.headers["ratelimit-policy"], "\"requests\";q=5;w=1");
}
