//! The environment variables of the section.

use luminate_runtime::config::EnvVariable;

/// The variables that set keys under `kafka`.
pub const VARIABLES: &[EnvVariable] = &[EnvVariable {
    name: "LUMINATE_KAFKA_BROKERS",
    key: "kafka.brokers",
    description: "Brokers to ask first, `host:port`, separated by commas.",
}];
