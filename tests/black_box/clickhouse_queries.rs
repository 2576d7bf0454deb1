//! Queries of a query-api on ClickHouse: they end when their client goes, and do not need Kafka.

use luminate_tests::cluster::{ClusterOptions, client};
use luminate_tests::server::token;
use luminate_tests::{Cluster, RawConnection, wait};
use serde_json::{Value, json};

/// Has each query of the tenant take longer than a test waits: a row each tenth of a second, for four minutes. The rows are a minute
/// old: what is of this moment may come after the end of the query's range, and then no row is read.
fn slow(cluster: &Cluster) {
    let (server, database) = (&cluster.clickhouse, cluster.database());
    server.query(&format!("DROP TABLE {database}.samples SYNC"));
    server.query(&format!("CREATE TABLE {database}.blocks (number UInt64) ENGINE = Memory"));
    server.query(&format!(
        "INSERT INTO {database}.blocks SELECT number FROM numbers(2400) \
         SETTINGS max_block_size = 1, min_insert_block_size_rows = 1, min_insert_block_size_bytes = 1"
    ));
    server.query(&format!(
        "CREATE VIEW {database}.samples AS SELECT 'acme' AS tenant, 'm' AS metric, \
         now64(3, 'UTC') - INTERVAL 1 MINUTE AS ts, toFloat64(sleepEachRow(0.1)) AS value, \
         map('host', 'a') AS dimensions, toUInt16(0) AS retention_days FROM {database}.blocks"
    ));
}

fn is_running(cluster: &Cluster) -> bool {
    let running = cluster.clickhouse.query(&format!(
        "SELECT count() FROM system.processes \
         WHERE position(query, '{}.samples') > 0 AND position(query, 'system.processes') = 0",
        cluster.database()
    ));
    running.trim() != "0"
}

#[test]
fn a_query_ends_in_clickhouse_when_its_client_goes() {
    let query = json!({"query": {"timeout": "10m"}});
    let cluster = Cluster::prepare(ClusterOptions { query, ..ClusterOptions::default() });
    slow(&cluster);
    let process = cluster.start_query();
    let body = json!({
        "queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "1h"}, "aggregation": "avg",
    });
    let (token, body) = (token("acme", "read"), body.to_string());
    let mut connection = RawConnection::open(process.url());
    let head = format!(
        "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    assert!(connection.send(format!("{head}{body}").as_bytes()));
    wait::until("the query runs in ClickHouse", || is_running(&cluster).then_some(()));
    drop(connection);
    wait::until("the query has ended", || (!is_running(&cluster)).then_some(()));
}

#[test]
fn queries_go_on_without_kafka_and_their_answers_have_no_watermark() {
    let query = json!({"kafka": {"brokers": ["127.0.0.1:1"]}});
    let cluster = Cluster::prepare(ClusterOptions { query, ..ClusterOptions::default() });
    let process = cluster.start_query();
    let reader = client(&process, "acme");
    let count = json!({
        "queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "1h"}, "aggregation": "count",
    });
    for path in ["/api/v1/query", "/api/v1/metrics"] {
        let answer = match path {
            "/api/v1/query" => reader.post_json(path, &[], &count).unwrap(),
            _ => reader.get(path),
        };
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        assert_eq!(answer.json()["watermark"], Value::Null, "{path}");
    }
    let kafka = || client(&process, "acme").get("/api/v1/health").json()["dependencies"]["kafka"]["status"].clone();
    wait::until("health tells that Kafka is away", || (kafka() == "down").then_some(()));
}
