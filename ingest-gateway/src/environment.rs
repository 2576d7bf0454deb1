//! The environment variables of the section.

use luminate_runtime::config::EnvVariable;

/// The variables that set keys under `gateway`.
pub const VARIABLES: &[EnvVariable] = &[
    EnvVariable {
        name: "LUMINATE_RATELIMIT_WRITE_RPS",
        key: "gateway.rateLimit.requestsPerSecond",
        description: "Write requests per tenant and second.",
    },
    EnvVariable {
        name: "LUMINATE_RATELIMIT_METRICS_PER_SEC",
        key: "gateway.rateLimit.samplesPerSecond",
        description: "Samples per tenant and second.",
    },
];
