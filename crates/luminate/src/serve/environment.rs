//! The environment variables of `luminate serve`.

use luminate_runtime::config::EnvVariable;

const fn variable(name: &'static str, key: &'static str, description: &'static str) -> EnvVariable {
    EnvVariable { name, key, description }
}

/// The variables that set a key; also the reference and `.env.example`.
pub(crate) const VARIABLES: &[EnvVariable] = &[
    variable("LUMINATE_CONFIG", "", "The configuration file (YAML)."),
    variable("LUMINATE_LISTEN", "http.listen", "Address and port to listen on."),
    variable("LUMINATE_DATA_DIR", "dataDir", "The folder for all data."),
    variable("JWT_SECRET", "auth.secret", "The secret that tokens are signed with, 32 bytes or more."),
    variable("LUMINATE_STORAGE_BACKEND", "storage.backend", "The store: `rocksdb`."),
    variable(
        "LUMINATE_RATELIMIT_WRITE_RPS",
        "gateway.rateLimit.requestsPerSecond",
        "Write requests per tenant and second; no limit unless set.",
    ),
    variable(
        "LUMINATE_RATELIMIT_METRICS_PER_SEC",
        "gateway.rateLimit.samplesPerSecond",
        "Samples per tenant and second; no limit unless set.",
    ),
    variable(
        "LUMINATE_RATELIMIT_QUERY_RPS",
        "query.rateLimit.requestsPerSecond",
        "Queries per tenant and second; no limit unless set.",
    ),
    variable("LUMINATE_LOG", "log.filter", "What is logged: `error`, `warn`, `info`, `debug`, `trace`, or by part."),
];

/// Variables of processes that run as a cluster. Where one is set beside `luminate serve`, someone expects something that
/// will not happen, so it is told.
pub(crate) const CLUSTER_ONLY: &[EnvVariable] = &[
    variable("LUMINATE_KAFKA_BROKERS", "", "The brokers of a cluster."),
    variable("LUMINATE_CLICKHOUSE_HOSTS", "", "The ClickHouse servers of a cluster."),
    variable("LUMINATE_CLICKHOUSE_CLUSTER", "", "The name of the ClickHouse cluster."),
    variable("LUMINATE_CLICKHOUSE_DATABASE", "", "The ClickHouse database."),
    variable("LUMINATE_CLICKHOUSE_USERNAME", "", "The ClickHouse user."),
    variable("LUMINATE_CLICKHOUSE_PASSWORD", "", "The ClickHouse user's password."),
    variable("CLICKHOUSE_PASSWORD", "", "The same."),
];

/// Variables of client commands, for the reference.
pub(crate) const CLIENT_VARIABLES: &[EnvVariable] = &[
    variable("LUMINATE_URL", "", "Where client commands find the server; `http://127.0.0.1:8080` unless set."),
    variable("LUMINATE_ADMIN_URL", "", "Where admin commands find it; the same unless set."),
    variable("LUMINATE_TOKEN", "", "The token of client commands."),
];

/// All of them, so that none is taken for a mistyped one.
pub(crate) fn known() -> Vec<EnvVariable> {
    [VARIABLES, CLUSTER_ONLY, CLIENT_VARIABLES].concat()
}
