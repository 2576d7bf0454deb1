//! The environment variables of the section.

use luminate_runtime::config::EnvVariable;

/// The variables that set keys under `query`.
pub const VARIABLES: &[EnvVariable] = &[EnvVariable {
    name: "LUMINATE_RATELIMIT_QUERY_RPS",
    key: "query.rateLimit.requestsPerSecond",
    description: "Queries per tenant and second.",
}];
