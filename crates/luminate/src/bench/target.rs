//! The servers that are measured, each in its own language.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use luminate_bench::workload::{BodyFormat, LuminateJson, METRIC, VictoriaJson};
use luminate_bench::{Connection, Door, Workload};

/// A query that every server is asked, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BenchQuery {
    /// Average by endpoint over all samples.
    AverageByEndpoint,
    /// 95th percentile by region over all samples.
    PercentileByRegion,
    /// The average of one customer of all.
    OneCustomer,
    /// How many series there are.
    CountSeries,
}

impl BenchQuery {
    /// In the order of the report.
    pub(super) const ALL: [Self; 4] =
        [Self::AverageByEndpoint, Self::PercentileByRegion, Self::OneCustomer, Self::CountSeries];

    /// As the report names it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::AverageByEndpoint => "average by endpoint",
            Self::PercentileByRegion => "p95 by region",
            Self::OneCustomer => "one customer",
            Self::CountSeries => "count of series",
        }
    }
}

/// One HTTP request of a query.
pub(super) struct QueryCall {
    /// `GET` or `POST`.
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) path: String,
    /// Whole header lines.
    pub(super) headers: String,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// A server that can be started, loaded and asked.
pub(super) trait Target {
    /// How samples are written down for it.
    type Format: BodyFormat;
    /// As the report names it.
    const NAME: &'static str;

    /// How it is started.
    fn command(&self) -> Command;
    /// Where it listens.
    fn address(&self) -> SocketAddr;
    /// Where it keeps its data.
    fn data(&self) -> &Path;
    /// The path that answers 200 once it is ready.
    fn ready_path(&self) -> &'static str;
    /// Where it takes samples.
    fn door(&self) -> Door;
    /// The call of a query over the whole of a workload.
    fn query(&self, query: BenchQuery, workload: &Workload) -> QueryCall;
    /// All samples that it holds of a workload, asked from it.
    fn count_samples(&self, workload: &Workload) -> anyhow::Result<u64>;

    /// Whether it is ready.
    fn is_ready(&self) -> bool {
        let answer = Connection::open(self.address()).and_then(|mut c| c.request("GET", self.ready_path(), "", b""));
        answer.is_ok_and(|answer| answer.status == 200)
    }
}

/// `luminate serve`, of this very binary.
pub(super) struct LuminateServer {
    address: SocketAddr,
    data: PathBuf,
    secret: String,
    tokens: Vec<String>,
}

impl LuminateServer {
    /// A server with its data in `folder` and a token for each of `tenants` tenants.
    pub(super) fn new(folder: &Path, tenants: u64, address: SocketAddr) -> anyhow::Result<Self> {
        let secret = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let mut server = Self { address, data: folder.join("luminate"), secret, tokens: Vec::new() };
        for tenant in 0..tenants {
            let token = server.token(&Workload::tenant_name(tenant))?;
            server.tokens.push(token);
        }
        Ok(server)
    }

    fn token(&self, tenant: &str) -> anyhow::Result<String> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["token", "--tenant", tenant, "--scopes", "read,write"]).env("JWT_SECRET", &self.secret);
        let output = command.output()?;
        if !output.status.success() {
            bail!("cannot make a token: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    fn call(&self, tenant: u64, body: &serde_json::Value) -> QueryCall {
        let headers = format!("{}Content-Type: application/json\r\n", self.authorization(tenant));
        QueryCall { method: "POST", path: "/api/v1/query".to_owned(), headers, body: body.to_string().into_bytes() }
    }

    fn authorization(&self, tenant: u64) -> String {
        let token = self.tokens.get(tenant as usize).map_or("", String::as_str);
        format!("Authorization: Bearer {token}\r\n")
    }
}

impl Target for LuminateServer {
    type Format = LuminateJson;
    const NAME: &'static str = "Luminate";

    fn command(&self) -> Command {
        // A build may have replaced the file since this process started; then the old one stands behind this link.
        let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe")));
        command.args(["serve", "--listen", &self.address.to_string(), "--data"]).arg(&self.data);
        command.env("JWT_SECRET", &self.secret).env("LUMINATE_LOG", "info");
        command
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn data(&self) -> &Path {
        &self.data
    }

    fn ready_path(&self) -> &'static str {
        "/readyz"
    }

    fn door(&self) -> Door {
        let tenants = 0..self.tokens.len() as u64;
        let headers = tenants.map(|tenant| format!("{}Content-Type: application/json\r\n", self.authorization(tenant)));
        let headers = headers.collect();
        Door { name: Self::NAME, address: self.address, path: "/api/v1/write", status: 202, headers }
    }

    fn query(&self, query: BenchQuery, workload: &Workload) -> QueryCall {
        let mut body = serde_json::json!({
            "queryType": "aggregate", "metricName": METRIC,
            "timeRange": {"start": workload.start, "end": workload.end()},
        });
        let (aggregation, group_by) = match query {
            BenchQuery::AverageByEndpoint => ("avg", Some("endpoint")),
            BenchQuery::PercentileByRegion => ("p95", Some("region")),
            BenchQuery::OneCustomer => ("avg", None),
            BenchQuery::CountSeries => ("distinct", None),
        };
        body["aggregation"] = aggregation.into();
        if let Some(dimension) = group_by {
            body["groupBy"] = serde_json::json!([dimension]);
        }
        if query == BenchQuery::OneCustomer {
            let customer = format!("cust_{}", workload.series / 2);
            body["filters"] = serde_json::json!([{"dimension": "customer_id", "op": "eq", "value": customer}]);
        }
        self.call(0, &body)
    }

    fn count_samples(&self, workload: &Workload) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.address)?;
        let mut samples = 0;
        for tenant in 0..workload.tenants {
            let headers = self.authorization(tenant);
            let answer = connection.request("GET", "/api/v1/metrics?limit=1000", &headers, b"")?;
            let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
            let metrics = body["metrics"].as_array().with_context(|| format!("metrics: {body}"))?;
            samples += metrics.iter().filter_map(|metric| metric["samples"].as_u64()).sum::<u64>();
        }
        Ok(samples)
    }
}

/// `VictoriaMetrics`, single node, with limits that let it answer these queries.
pub(super) struct VictoriaServer {
    address: SocketAddr,
    data: PathBuf,
}

impl VictoriaServer {
    /// The names under which the program is packaged.
    const PROGRAMS: [&'static str; 2] = ["victoria-metrics", "victoria-metrics-prod"];

    /// A server with its data in `folder`.
    pub(super) fn new(folder: &Path, address: SocketAddr) -> Self {
        Self { address, data: folder.join("victoria-metrics") }
    }

    /// Whether the program is installed.
    ///
    /// # Errors
    /// How to install it.
    pub(super) fn check_installed() -> anyhow::Result<&'static str> {
        let runs = |program: &&&str| Command::new(program).arg("-version").output().is_ok();
        let found = Self::PROGRAMS.iter().find(runs).copied();
        found.context(
            "victoria-metrics is not installed, and the figures mean little without a peer in the same run: \
             `make deps-bench` installs Debian's package (or use --without-peer to measure Luminate alone)",
        )
    }

    fn get(path: &str, query: &str, workload: &Workload) -> QueryCall {
        let path = format!("{path}?query={}&time={}", percent_encode(query), workload.end() / 1000 + 1);
        QueryCall { method: "GET", path, headers: String::new(), body: Vec::new() }
    }

    fn window(workload: &Workload) -> String {
        format!("[{}s]", (workload.end() - workload.start) / 1000 + 2)
    }
}

impl Target for VictoriaServer {
    type Format = VictoriaJson;
    const NAME: &'static str = "VictoriaMetrics";

    fn command(&self) -> Command {
        let mut command = Command::new(Self::check_installed().unwrap_or(Self::PROGRAMS[0]));
        command.arg("-storageDataPath").arg(&self.data).arg("-httpListenAddr").arg(self.address.to_string());
        command.args(["-retentionPeriod=12", "-search.maxUniqueTimeseries=20000000", "-search.maxQueryDuration=600s"]);
        command.args(["-search.maxSamplesPerQuery=2000000000", "-search.maxPointsPerTimeseries=1000000"]);
        // Without its cache every run of a query computes, as ours does.
        command.args(["-search.disableCache", "-search.latencyOffset=0s", "-loggerLevel=WARN"]);
        command
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn data(&self) -> &Path {
        &self.data
    }

    fn ready_path(&self) -> &'static str {
        "/health"
    }

    fn door(&self) -> Door {
        let headers = vec!["Content-Type: application/json\r\n".to_owned()];
        Door { name: Self::NAME, address: self.address, path: "/api/v1/import", status: 204, headers }
    }

    fn query(&self, query: BenchQuery, workload: &Workload) -> QueryCall {
        let window = Self::window(workload);
        let text = match query {
            BenchQuery::AverageByEndpoint => format!(
                "sum(sum_over_time({METRIC}{window})) by (endpoint) / sum(count_over_time({METRIC}{window})) by (endpoint)"
            ),
            // It has no percentile over raw samples of many series; this is the nearest that a user would write.
            BenchQuery::PercentileByRegion => {
                format!("quantile(0.95, quantile_over_time(0.95, {METRIC}{window})) by (region)")
            }
            BenchQuery::OneCustomer => {
                format!("avg_over_time({METRIC}{{customer_id=\"cust_{}\"}}{window})", workload.series / 2)
            }
            BenchQuery::CountSeries => format!("count(count_over_time({METRIC}{window}))"),
        };
        Self::get("/api/v1/query", &text, workload)
    }

    fn count_samples(&self, workload: &Workload) -> anyhow::Result<u64> {
        let query = format!("sum(count_over_time({METRIC}{}))", Self::window(workload));
        let call = Self::get("/api/v1/query", &query, workload);
        let answer = Connection::open(self.address)?.request(call.method, &call.path, &call.headers, b"")?;
        let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
        let value = body["data"]["result"][0]["value"][1].as_str().with_context(|| format!("count: {body}"))?;
        Ok(value.parse::<f64>()? as u64)
    }
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
