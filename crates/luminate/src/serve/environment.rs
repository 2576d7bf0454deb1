//! The environment variables of `luminate serve`.

use luminate_runtime::config::EnvVariable;

const fn variable(name: &'static str, key: &'static str, description: &'static str) -> EnvVariable {
    EnvVariable { name, key, description }
}

/// The variables of every mode.
pub(crate) const VARIABLES: &[EnvVariable] = &[
    variable("LUMINATE_CONFIG", "", "The configuration file (YAML)."),
    variable("LUMINATE_LISTEN", "http.listen", "Address and port to listen on."),
    variable("LUMINATE_DATA_DIR", "dataDir", "The folder for all data."),
    variable("JWT_SECRET", "auth.secret", "The secret that tokens are signed with, 32 bytes or more."),
    variable(
        "LUMINATE_QUEUE_BACKEND",
        "queue.backend",
        "The queue between gateway and writer: `embedded`, or `kafka` (an edge node).",
    ),
    variable("LUMINATE_STORAGE_BACKEND", "storage.backend", "The store: `rocksdb` or `clickhouse`."),
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

/// Variables of client commands, for the reference.
pub(crate) const CLIENT_VARIABLES: &[EnvVariable] = &[
    variable("LUMINATE_URL", "", "Where client commands find the server; `http://127.0.0.1:8080` unless set."),
    variable("LUMINATE_ADMIN_URL", "", "Where admin commands find it; the same unless set."),
    variable("LUMINATE_TOKEN", "", "The token of client commands."),
];

/// The variables that are read where Kafka is the queue.
pub(crate) fn of_kafka() -> Vec<EnvVariable> {
    luminate_kafka::VARIABLES.to_vec()
}

/// The variables that are read where ClickHouse is the store.
pub(crate) fn of_clickhouse() -> Vec<EnvVariable> {
    let is_section = |variable: &&EnvVariable| variable.key.starts_with("storage.clickhouse.");
    luminate_clickhouse::VARIABLES.iter().filter(is_section).copied().collect()
}

/// The variables that set a key; also the reference.
pub(crate) fn variables() -> Vec<EnvVariable> {
    [VARIABLES.to_vec(), of_kafka(), of_clickhouse()].concat()
}

/// All of them, so that none is taken for a mistyped one.
pub(crate) fn known() -> Vec<EnvVariable> {
    [variables(), CLIENT_VARIABLES.to_vec()].concat()
}
