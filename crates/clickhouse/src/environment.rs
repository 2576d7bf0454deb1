//! The environment variables of the section.

use luminate_runtime::config::EnvVariable;

const fn variable(name: &'static str, key: &'static str, description: &'static str) -> EnvVariable {
    EnvVariable { name, key, description }
}

/// The variables that set keys under `storage`.
pub const VARIABLES: &[EnvVariable] = &[
    variable("LUMINATE_STORAGE_BACKEND", "storage.backend", "The store: `clickhouse`."),
    variable(
        "LUMINATE_CLICKHOUSE_HOSTS",
        "storage.clickhouse.addresses",
        "Servers, each `host`, `host:port` or a URL, separated by commas.",
    ),
    variable(
        "LUMINATE_CLICKHOUSE_CLUSTER",
        "storage.clickhouse.cluster",
        "The cluster's name in `system.clusters`; none for a single endpoint.",
    ),
    variable("LUMINATE_CLICKHOUSE_DATABASE", "storage.clickhouse.database", "The database."),
    variable("LUMINATE_CLICKHOUSE_USERNAME", "storage.clickhouse.username", "The user."),
    variable("LUMINATE_CLICKHOUSE_PASSWORD", "storage.clickhouse.password", "The user's password."),
    variable("CLICKHOUSE_PASSWORD", "storage.clickhouse.password", "The same, where the one above is not set."),
];
