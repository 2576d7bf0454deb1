//! The samples that a benchmark writes: many series of five dimensions, visited round by round, as customers are. The same
//! number always makes the same sample, so every server gets the same load.

use std::fmt::Write as _;

/// Name of the metric where there is one only; where there are several, a number follows.
pub(super) const METRIC: &str = "api_latency";

/// Milliseconds between two samples of one series.
const INTERVAL_MS: i64 = 600_000;

/// Which series exist, and how they are spread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workload {
    /// Series in all.
    pub(super) series: u64,
    /// Samples of each series.
    pub(super) rounds: u64,
    /// Samples of one write request.
    pub(super) samples_a_request: u64,
    /// Tenants that the series are spread over.
    pub(super) tenants: u64,
    /// Metrics that each tenant's series are spread over.
    pub(super) metrics: u64,
    /// Timestamp of the first sample, ms since 1970.
    pub(super) start: i64,
}

/// One write request of one tenant.
pub(super) struct Request {
    /// The number of its tenant.
    pub(super) tenant: u64,
    /// The body, ready to send.
    pub(super) body: Vec<u8>,
    /// Samples in the body.
    pub(super) samples: u64,
}

/// How a sample is written down for one kind of server.
pub(super) trait BodyFormat {
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
pub(super) struct BenchSample {
    metric: u64,
    several_metrics: bool,
    customer: u64,
    endpoint: u64,
    region: u64,
    method: u64,
    version: u64,
    timestamp: i64,
    /// In tenths, so that values have one decimal as measured latencies do.
    tenths: u64,
}

impl Workload {
    /// Samples in all.
    pub(super) const fn samples(&self) -> u64 {
        self.series * self.rounds
    }

    /// First millisecond after the load.
    pub(super) const fn end(&self) -> i64 {
        self.start + INTERVAL_MS * self.rounds as i64 + 1000
    }

    /// Name of the tenant with a number.
    pub(super) fn tenant_name(tenant: u64) -> String {
        format!("bench-{tenant}")
    }

    /// The bodies of one round: one sample of every series, in an order in which each request has one tenant.
    pub(super) fn bodies<F: BodyFormat>(&self, round: u64) -> Vec<Request> {
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
            F::write_sample(&mut body, &self.sample(number, round));
        }
        body.push_str(F::AFTER);
        Request { tenant, body: body.into_bytes(), samples }
    }

    fn sample(&self, series: u64, round: u64) -> BenchSample {
        let shape = scramble(series);
        let noise = scramble(series ^ (round << 40) ^ 0x5bd1_e995);
        // A time within the round by the series' place, and a jitter as clocks of clients have it.
        let place = (series as i128 * i128::from(INTERVAL_MS) / i128::from(self.series.max(1))) as i64;
        let timestamp = self.start + INTERVAL_MS * round as i64 + place + (noise % 1000) as i64;
        BenchSample {
            metric: series % self.metrics,
            several_metrics: self.metrics > 1,
            customer: series,
            endpoint: shape % 100,
            region: (shape >> 8) % 10,
            method: (shape >> 16) % 4,
            version: (shape >> 24) % 20,
            timestamp,
            tenths: 100 + (noise >> 10) % 4000,
        }
    }
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
            r#""customer_id":"cust_{customer}","endpoint":"/api/v1/resource_{endpoint}","method":"m{method}","region":"region-{region}","version":"1.{version}.0""#
        );
    }

    fn value(&self, out: &mut String) {
        let _ = write!(out, "{}.{}", self.tenths / 10, self.tenths % 10);
    }
}

/// Luminate's own JSON.
pub(super) struct LuminateJson;

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

/// `VictoriaMetrics`' JSON lines, `/api/v1/import`.
pub(super) struct VictoriaJson;

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

    const SMALL: Workload =
        Workload { series: 60, rounds: 3, samples_a_request: 7, tenants: 3, metrics: 2, start: 1_000_000 };

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
    fn both_formats_say_the_same() {
        let ours = SMALL.bodies::<LuminateJson>(1);
        let theirs = SMALL.bodies::<VictoriaJson>(1);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let ours: serde_json::Value = serde_json::from_slice(&ours.body).unwrap();
            let lines = std::str::from_utf8(&theirs.body).unwrap().lines();
            for (sample, line) in ours["metrics"].as_array().unwrap().iter().zip(lines) {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(line["values"][0], sample["value"]);
                assert_eq!(line["timestamps"][0], sample["timestamp"]);
                assert_eq!(line["metric"]["customer_id"], sample["dimensions"]["customer_id"]);
                assert_eq!(line["metric"]["__name__"], sample["name"]);
            }
        }
    }
}
