//! What users ask, while nothing is written.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use luminate_bench::workload::METRIC;
use luminate_bench::{Connection, Latencies, Workload};
use serde::Serialize;
use serde_json::{Value, json};

use crate::paced::Times;
use crate::stage::{Stage, address, headers_of, meter_of, say};

/// An hour, in ms.
const HOUR: i64 = 3_600_000;

/// What one query took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryCost {
    /// The query's name.
    pub(crate) name: &'static str,
    /// Samples that it read, by its own account; none where it tells none.
    pub(crate) samples_read: Option<u64>,
    /// Times to the answer.
    pub(crate) times: Times,
    /// Processor seconds of ClickHouse a run.
    pub(crate) store_cpu_s: f64,
    /// Processor seconds of the query-api a run.
    pub(crate) query_api_cpu_s: f64,
}

/// A query: its name, and its body, or its path where it has none.
struct Query {
    name: &'static str,
    path: &'static str,
    body: Option<Value>,
}

fn queries(workload: &Workload) -> Vec<Query> {
    let hour = json!({"start": workload.start, "end": workload.start + HOUR});
    let aggregate = |name, aggregation: &str, more: Value| {
        let mut body = json!({
            "queryType": "aggregate", "metricName": METRIC, "timeRange": hour, "aggregation": aggregation,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        Query { name, path: "/api/v1/query", body: Some(body) }
    };
    // The first tenant has the first of the customers.
    let customer = format!("cust_{}", workload.series / workload.tenants / 2);
    vec![
        aggregate("average by endpoint, an hour", "avg", json!({"groupBy": ["endpoint"]})),
        aggregate("p95 by region, an hour", "p95", json!({"groupBy": ["region"]})),
        aggregate(
            "one customer, an hour",
            "avg",
            json!({"filters": [{"dimension": "customer_id", "op": "eq", "value": customer}]}),
        ),
        Query { name: "catalogue: metrics", path: "/api/v1/metrics", body: None },
    ]
}

/// Asks each query often, one after the other.
pub(crate) fn measure(stage: &mut Stage) -> anyhow::Result<Vec<QueryCost>> {
    let service = stage.query.as_ref().context("no query-api runs")?;
    let mut connection = Connection::open(address(service)?)?;
    let headers = headers_of(&Workload::tenant_name(0));
    let mut costs = Vec::new();
    for query in queries(&stage.workload) {
        say(&format!("query: {}", query.name));
        let body = query.body.as_ref().map(Value::to_string).unwrap_or_default();
        let method = if query.body.is_some() { "POST" } else { "GET" };
        let mut run = || -> anyhow::Result<(Value, std::time::Duration)> {
            let began = Instant::now();
            let answer = connection.request(method, query.path, &headers, body.as_bytes())?;
            let time = began.elapsed();
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            ensure!(answer.status == 200, "{} was answered with {}: {text}", query.name, answer.status);
            Ok((serde_json::from_str(&text)?, time))
        };
        // The first run fills caches; as many more as fit some seconds are measured.
        let (answer, first) = run()?;
        let runs = (6.0 / first.as_secs_f64()).clamp(20.0, 200.0) as usize;
        let meters = (meter_of(stage.cluster.clickhouse.pid(1))?, meter_of(Some(service.pid()))?);
        let times = (0..runs).map(|_| run().map(|(_, time)| time)).collect::<anyhow::Result<Vec<_>>>()?;
        // `per_million` of a million times the runs is a run.
        let a_run = runs as u64 * 1_000_000;
        costs.push(QueryCost {
            name: query.name,
            samples_read: answer["stats"]["samplesRead"].as_u64(),
            times: Latencies::new(times).into(),
            store_cpu_s: meters.0.per_million(a_run)?,
            query_api_cpu_s: meters.1.per_million(a_run)?,
        });
    }
    Ok(costs)
}
