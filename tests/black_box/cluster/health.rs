//! Health tells how the engines are, whether or not anybody uses them, and names no server; and it is told from the beginning on.

use luminate_tests::cluster::{ClusterOptions, Engine, ServiceProcess, client};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions, Kafka, KafkaOptions};
use luminate_tests::health::assert_names_no_server;
use luminate_tests::{Client, Cluster, wait};
use serde_json::{Value, json};

fn status_of(process: &ServiceProcess, dependency: &str) -> Value {
    process.health()["dependencies"][dependency]["status"].clone()
}

#[test]
fn engines_that_are_gone_are_told_and_not_named() {
    let kafka = Kafka::start(KafkaOptions::default());
    let clickhouse = ClickHouse::start(ClickHouseOptions::default());
    let options =
        ClusterOptions { kafka: Engine::Own(kafka), clickhouse: Engine::Own(clickhouse), ..ClusterOptions::default() };
    let cluster = Cluster::prepare(options);
    let (gateway, writer, query) = (cluster.start_gateway(), cluster.start_writer(), cluster.start_query());
    for process in [&gateway, &writer, &query] {
        wait::until("all is well", || (process.health()["status"] == "ok").then_some(()));
    }

    cluster.kafka.kill_node(1);
    cluster.clickhouse.kill();
    for (process, dependency) in
        [(&gateway, "kafka"), (&writer, "kafka"), (&writer, "clickhouse"), (&query, "kafka"), (&query, "clickhouse")]
    {
        let what = format!("{dependency} is told to be away");
        wait::until(&what, || (status_of(process, dependency) == "down").then_some(()));
    }
    for process in [&gateway, &writer, &query] {
        assert_names_no_server(&process.health());
        assert_eq!(Client::new(process.url(), "").get("/readyz").status, 200);
    }

    // Nobody asks anything, and it is told all the same.
    cluster.clickhouse.restart();
    for process in [&writer, &query] {
        wait::until("clickhouse is back", || (status_of(process, "clickhouse") == "up").then_some(()));
    }
    cluster.clickhouse.pause_node(1);
    wait::until("a frozen one is away", || (status_of(&query, "clickhouse") == "down").then_some(()));
    cluster.clickhouse.resume_node(1);
    wait::until("clickhouse is back", || (status_of(&query, "clickhouse") == "up").then_some(()));
}

#[test]
fn a_service_that_waits_for_clickhouse_says_that_it_starts() {
    let clickhouse = ClickHouse::start(ClickHouseOptions::default());
    let cluster = Cluster::prepare(ClusterOptions { clickhouse: Engine::Own(clickhouse), ..ClusterOptions::default() });
    cluster.clickhouse.kill();
    let mut processes = [cluster.spawn_query(), cluster.spawn_writer()];
    for process in &mut processes {
        process.wait_address();
        let anybody = Client::new(process.url(), "");
        for (path, status) in [("/healthz", 200), ("/metrics", 200), ("/startupz", 503), ("/readyz", 503)] {
            assert_eq!(anybody.get(path).status, status, "{path}");
        }
        let health = wait::until("health tells of clickhouse", || {
            let health = process.health();
            (health["dependencies"]["clickhouse"]["detail"] == "does not answer; the log says why").then_some(health)
        });
        assert_eq!(health["status"], "starting");
        assert_names_no_server(&health);
        let work = client(process, "acme").post_json("/api/v1/query", &[], &json!({})).unwrap();
        work.assert_problem("it starts", 503, "starting");
        assert!(work.headers.contains_key("retry-after"));
    }
    cluster.clickhouse.restart();
    for process in &mut processes {
        process.wait_ready();
        assert_eq!(Client::new(process.url(), "").get("/startupz").status, 200);
    }
    let [query, _] = &processes;
    assert_eq!(client(query, "acme").count(None, "m"), 0);
}
