//! The environment variables of the section.

use luminate_runtime::config::EnvVariable;

/// The variables that set keys under `kafka`.
pub const VARIABLES: &[EnvVariable] = &[
    EnvVariable {
        name: "LUMINATE_KAFKA_BROKERS",
        key: "kafka.brokers",
        description: "Brokers to ask first, `host:port`, separated by commas.",
    },
    EnvVariable {
        name: "LUMINATE_KAFKA_ASSIGN",
        key: "kafka.consumer.assign",
        description: "The partitions that an edge node reads, as in `luminate.samples.v1:0,1`; topics separated by semicolons.",
    },
];
