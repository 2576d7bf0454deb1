//! The section of the schema registry.

use std::time::Duration;

use luminate_runtime::config::{ConfigSecret, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the schemas are kept that direct producers' records name by a number (the Confluent wire format).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SchemaRegistryConfig {
    /// Its address, `http://host:port` or `https://...`. Without one, records in the Confluent wire format are rejected.
    pub url: Option<String>,
    /// User name, where it wants one (Basic authentication).
    pub username: Option<String>,
    /// Password of that user.
    pub password: Option<ConfigSecret>,
    /// A file with the certificates (PEM) of the authorities that may have signed the registry's, in place of the public ones.
    pub ca_file: Option<std::path::PathBuf>,
    /// How long an answer may take.
    pub timeout: HumanDuration,
}

/// A value of the section makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schemaRegistry.{key}: {fault}")]
pub struct InvalidSchemaRegistryConfig {
    /// The key within the section.
    pub key: &'static str,
    /// What is wrong with its value.
    pub fault: String,
}

impl Default for SchemaRegistryConfig {
    fn default() -> Self {
        Self {
            url: None,
            username: None,
            password: None,
            ca_file: None,
            timeout: HumanDuration::new(Duration::from_secs(5)),
        }
    }
}
