//! The samples that a benchmark writes: many series of some dimensions, visited round by round, as customers are. The same
//! number always makes the same sample, so every server gets the same load.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Name of the metric where there is one only; where there are several, a number follows.
pub const METRIC: &str = "api_latency";

/// Milliseconds between two samples of one series.
const INTERVAL_MS: i64 = 600_000;

/// Which series exist, and how they are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Series in all.
    pub series: u64,
    /// Samples of each series.
    pub rounds: u64,
    /// Samples of one write request.
    pub samples_a_request: u64,
    /// Tenants that the series are spread over.
    pub tenants: u64,
    /// Metrics that each tenant's series are spread over.
    pub metrics: u64,
    /// Whether samples carry a sixth dimension, `status`, beside customer, endpoint, method, region and version.
    pub has_status: bool,
    /// Timestamp of the first sample, ms since 1970.
    pub start: i64,
}

/// One write request of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The number of its tenant.
    pub tenant: u64,
    /// The body, ready to send.
    pub body: Vec<u8>,
    /// Samples in the body.
    pub samples: u64,
}

/// How a sample is written down for one kind of server.
pub trait BodyFormat {
    /// What a body begins with.
    const BEFORE: &'static str;
    /// What stands between two samples.
    const BETWEEN: &'static str;
    /// What a body ends with.
    const AFTER: &'static str;
    /// Writes one sample.
    fn write_sample(out: &mut String, sample: &BenchSample);
}

/// One sample of the load.
pub struct BenchSample {
    tenant: u64,
    metric: u64,
    several_metrics: bool,
    customer: u64,
    endpoint: u64,
    region: u64,
    method: u64,
    version: u64,
    status: Option<u64>,
    timestamp: i64,
    /// In tenths, so that values have one decimal as measured latencies do.
    tenths: u64,
}

impl Workload {
    /// Samples in all.
    pub const fn samples(&self) -> u64 {
        self.series * self.rounds
    }

    /// First millisecond after the load.
    pub const fn end(&self) -> i64 {
        self.start + INTERVAL_MS * self.rounds as i64 + 1000
    }

    /// Name of the tenant with a number.
    pub fn tenant_name(tenant: u64) -> String {
        format!("bench-{tenant}")
    }

    /// The bodies of one round: one sample of every series. Each request is one tenant's, tenant after tenant.
    #[must_use]
    pub fn bodies<F: BodyFormat>(&self, round: u64) -> Vec<Request> {
        let series_a_tenant = self.series / self.tenants;
        let mut requests = Vec::with_capacity((self.series / self.samples_a_request + self.tenants) as usize);
        for tenant in 0..self.tenants {
            let (mut next, end) = (tenant * series_a_tenant, (tenant + 1) * series_a_tenant);
            while next < end {
                let until = end.min(next + self.samples_a_request);
                requests.push(self.body::<F>(tenant, round, next..until));
                next = until;
            }
        }
        requests
    }

    fn body<F: BodyFormat>(&self, tenant: u64, round: u64, series: std::ops::Range<u64>) -> Request {
        let samples = series.end - series.start;
        let mut body = String::with_capacity(256 * samples as usize);
        body.push_str(F::BEFORE);
        for (at, number) in series.enumerate() {
            if at > 0 {
                body.push_str(F::BETWEEN);
            }
            F::write_sample(&mut body, &self.sample(tenant, number, round));
        }
        body.push_str(F::AFTER);
        Request { tenant, body: body.into_bytes(), samples }
    }

    fn sample(&self, tenant: u64, series: u64, round: u64) -> BenchSample {
        let shape = scramble(series);
        let noise = scramble(series ^ (round << 40) ^ 0x5bd1_e995);
        // A time within the round by the series' place, and a jitter as clocks of clients have it.
        let place = (series as i128 * i128::from(INTERVAL_MS) / i128::from(self.series.max(1))) as i64;
        let timestamp = self.start + INTERVAL_MS * round as i64 + place + (noise % 1000) as i64;
        BenchSample {
            tenant,
            metric: series % self.metrics,
            several_metrics: self.metrics > 1,
            customer: series,
            endpoint: shape % 100,
            region: (shape >> 8) % 10,
            method: (shape >> 16) % 4,
            version: (shape >> 24) % 20,
            status: self.has_status.then_some(200 + (shape >> 32) % 5),
            timestamp,
            tenths: 100 + (noise >> 10) % 4000,
        }
    }
}

/// The same requests in turns, one of each tenant after the other, as they come where tenants write at the same time.
#[must_use]
pub fn in_turns(requests: Vec<Request>) -> Vec<Request> {
    let mut written = BTreeMap::<u64, usize>::new();
    let mut turns = Vec::with_capacity(requests.len());
    for request in requests {
        let turn = written.entry(request.tenant).or_default();
        turns.push((*turn, request));
        *turn += 1;
    }
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, request)| request).collect()
}

/// A number that looks random, the same for the same number (the finaliser of `SplitMix64`).
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl BenchSample {
    fn metric_name(&self, out: &mut String) {
        out.push_str(METRIC);
        if self.several_metrics {
            let _ = write!(out, "_{}", self.metric);
        }
    }

    fn dimensions(&self, out: &mut String) {
        let Self { customer, endpoint, region, method, version, .. } = self;
        let _ = write!(
            out,
            r#""customer_id":"cust_{customer}","endpoint":"/api/v1/resource_{endpoint}","method":"m{method}","region":"region-{region}","#
        );
        if let Some(status) = self.status {
            let _ = write!(out, r#""status":"{status}","#);
        }
        let _ = write!(out, r#""version":"1.{version}.0""#);
    }

    fn value(&self, out: &mut String) {
        let _ = write!(out, "{}.{}", self.tenths / 10, self.tenths % 10);
    }
}

/// Luminate's own JSON.
pub struct LuminateJson;

impl BodyFormat for LuminateJson {
    const BEFORE: &'static str = r#"{"metrics":["#;
    const BETWEEN: &'static str = ",";
    const AFTER: &'static str = "]}";

    fn write_sample(out: &mut String, sample: &BenchSample) {
        out.push_str(r#"{"name":""#);
        sample.metric_name(out);
        let _ = write!(out, r#"","timestamp":{},"value":"#, sample.timestamp);
        sample.value(out);
        out.push_str(r#","dimensions":{"#);
        sample.dimensions(out);
        out.push_str("}}");
    }
}

/// Rows for ClickHouse's `JSONEachRow`: the tenant is one of the columns.
pub struct JsonRows;

impl BodyFormat for JsonRows {
    const BEFORE: &'static str = "";
    const BETWEEN: &'static str = "\n";
    const AFTER: &'static str = "\n";

    fn write_sample(out: &mut String, sample: &BenchSample) {
        let _ = write!(out, r#"{{"tenant":"{}","metric":""#, Workload::tenant_name(sample.tenant));
        sample.metric_name(out);
        let _ = write!(out, r#"","timestamp":{},"value":"#, sample.timestamp);
        sample.value(out);
        out.push_str(r#","dimensions":{"#);
        sample.dimensions(out);
        out.push_str("}}");
    }
}

/// `VictoriaMetrics`' JSON lines, `/api/v1/import`.
pub struct VictoriaJson;

impl BodyFormat for VictoriaJson {
    const BEFORE: &'static str = "";
    const BETWEEN: &'static str = "\n";
    const AFTER: &'static str = "\n";

    fn write_sample(out: &mut String, sample: &BenchSample) {
        out.push_str(r#"{"metric":{"__name__":""#);
        sample.metric_name(out);
        out.push_str(r#"","#);
        sample.dimensions(out);
        out.push_str(r#"},"values":["#);
        sample.value(out);
        let _ = write!(out, r#"],"timestamps":[{}]}}"#, sample.timestamp);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SMALL: Workload = Workload {
        series: 60,
        rounds: 3,
        samples_a_request: 7,
        tenants: 3,
        metrics: 2,
        has_status: true,
        start: 1_000_000,
    };

    #[test]
    fn every_series_has_one_sample_a_round() {
        for round in 0..SMALL.rounds {
            let requests = SMALL.bodies::<LuminateJson>(round);
            assert_eq!(requests.iter().map(|request| request.samples).sum::<u64>(), SMALL.series);
            let mut customers = BTreeSet::new();
            for request in requests {
                let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                for sample in body["metrics"].as_array().unwrap() {
                    let timestamp = sample["timestamp"].as_i64().unwrap();
                    assert!((SMALL.start..SMALL.end()).contains(&timestamp));
                    customers.insert(sample["dimensions"]["customer_id"].as_str().unwrap().to_owned());
                }
            }
            assert_eq!(customers.len() as u64, SMALL.series);
        }
    }

    #[test]
    fn all_formats_say_the_same() {
        let ours = SMALL.bodies::<LuminateJson>(1);
        let (victoria, rows) = (SMALL.bodies::<VictoriaJson>(1), SMALL.bodies::<JsonRows>(1));
        let lines = |request: &Request| -> Vec<serde_json::Value> {
            let text = std::str::from_utf8(&request.body).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        for ((ours, victoria), rows) in ours.iter().zip(&victoria).zip(&rows) {
            let samples: serde_json::Value = serde_json::from_slice(&ours.body).unwrap();
            let samples = samples["metrics"].as_array().unwrap();
            let (victoria, rows) = (lines(victoria), lines(rows));
            assert!(samples.len() == victoria.len() && samples.len() == rows.len());
            for ((sample, line), row) in samples.iter().zip(victoria).zip(rows) {
                assert_eq!(line["values"][0], sample["value"]);
                assert_eq!(line["timestamps"][0], sample["timestamp"]);
                assert_eq!(line["metric"]["customer_id"], sample["dimensions"]["customer_id"]);
                assert_eq!(line["metric"]["__name__"], sample["name"]);
                assert_eq!(row["tenant"], Workload::tenant_name(ours.tenant));
                assert_eq!(row["metric"], sample["name"]);
                for field in ["timestamp", "value", "dimensions"] {
                    assert_eq!(row[field], sample[field]);
                }
                assert_eq!(sample["dimensions"].as_object().unwrap().len(), 6);
            }
        }
    }

    #[test]
    fn in_turns_tenants_write_at_the_same_time() {
        let requests = in_turns(SMALL.bodies::<LuminateJson>(0));
        let tenants: Vec<_> = requests.iter().map(|request| request.tenant).collect();
        assert_eq!(tenants, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }
}
