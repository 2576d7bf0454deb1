//! A schema registry that is asked over HTTP, as Confluent's, Karapace's and Apicurio's can be.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use luminate_auth::Secret;
use luminate_schemas::published::MAX_SCHEMA_BYTES;
use luminate_schemas::{PublishedSchema, UnusableSchema};
use serde::Deserialize;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{InvalidSchemaRegistryConfig, Lookup, SchemaRegistry, SchemaRegistryConfig, SchemaRegistryError};

/// The largest answer that is read: the schema in it is text within text.
const MAX_ANSWER_BYTES: u64 = 4 * MAX_SCHEMA_BYTES as u64;

/// The media types that registries answer with.
const ACCEPT: &str = "application/vnd.schemaregistry.v1+json, application/json";

/// A registry at an address. It is asked once for each number, on a thread where blocking does no harm.
pub struct HttpSchemaRegistry {
    agent: Agent,
    /// Without a slash at its end.
    url: String,
    authorization: Option<Secret>,
}

/// The answer to a number. Others may add fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    schema: String,
    /// Missing where it is Avro.
    schema_type: Option<String>,
}

/// The answer where there is no schema.
#[derive(Deserialize)]
struct Refused {
    error_code: u32,
}

/// The registry's own code for a number that it does not know; a 404 of anything else on the way does not carry it.
const SCHEMA_NOT_FOUND: u32 = 40403;

impl HttpSchemaRegistry {
    /// A client of the configured registry; `None` where none is configured. Does not connect.
    ///
    /// # Errors
    /// [`InvalidSchemaRegistryConfig`]
    pub fn from_config(config: &SchemaRegistryConfig) -> Result<Option<Self>, InvalidSchemaRegistryConfig> {
        let invalid = |key, fault: &str| InvalidSchemaRegistryConfig { key, fault: fault.to_owned() };
        let Some(url) = config.url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        let url = url.trim_end_matches('/');
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        if host.is_none_or(str::is_empty) {
            return Err(invalid("url", "must begin with http:// or https:// and name a host"));
        }
        // Whatever shows a configuration shows its addresses.
        if host.and_then(|host| host.split(['/', '?', '#']).next()).is_some_and(|authority| authority.contains('@')) {
            return Err(invalid("url", "must not hold a user: say it in `username` and `password`"));
        }
        if config.timeout.get().is_zero() {
            return Err(invalid("timeout", "must be more than 0"));
        }
        let authorization = match (&config.username, &config.password) {
            (Some(username), Some(password)) => {
                let basic = STANDARD.encode(format!("{username}:{}", password.secret().expose()));
                Some(Secret::new(format!("Basic {basic}")))
            }
            (None, None) => None,
            (Some(_), None) => return Err(invalid("password", "is missing, and username is set")),
            (None, Some(_)) => return Err(invalid("username", "is missing, and password is set")),
        };
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = TlsConfig::builder().unversioned_rustls_crypto_provider(crypto);
        if config.ca_file.is_some() {
            tls = tls.root_certs(authorities(config)?);
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(config.timeout.get()))
            .tls_config(tls.build())
            .user_agent(concat!("luminate/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Some(Self { agent, url: url.to_owned(), authorization }))
    }
}

fn authorities(config: &SchemaRegistryConfig) -> Result<RootCerts, InvalidSchemaRegistryConfig> {
    let invalid = |fault: String| InvalidSchemaRegistryConfig { key: "caFile", fault };
    let path = config.ca_file.as_deref().unwrap_or_else(|| std::path::Path::new(""));
    let pem = std::fs::read(path).map_err(|error| invalid(format!("{}: {error}", path.display())))?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| invalid(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(invalid(format!("{} holds no certificate", path.display())));
    }
    Ok(RootCerts::from(certificates))
}

#[async_trait]
impl SchemaRegistry for HttpSchemaRegistry {
    async fn look_up(&self, id: u32) -> Result<Lookup, SchemaRegistryError> {
        let mut request = self.agent.get(format!("{}/schemas/ids/{id}", self.url)).header("Accept", ACCEPT);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        let answer = tokio::task::spawn_blocking(move || {
            let mut response = request.call()?;
            let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
            Ok::<_, ureq::Error>((response.status().as_u16(), body))
        });
        let failed = |reason: String| SchemaRegistryError { id, reason };
        let (status, body) =
            answer.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        understand(status, &body).map_err(failed)
    }
}

/// What an answer says; the reason where it says nothing of use.
fn understand(status: u16, body: &[u8]) -> Result<Lookup, String> {
    match status {
        200 => {
            let registered: Registered =
                serde_json::from_slice(body).map_err(|error| format!("its answer is not understood: {error}"))?;
            let is_avro = registered.schema_type.is_none_or(|kind| kind == "AVRO");
            Ok(if is_avro { PublishedSchema::of_text(&registered.schema) } else { Err(UnusableSchema::NotAvro) })
        }
        404 if serde_json::from_slice(body).is_ok_and(|refused: Refused| refused.error_code == SCHEMA_NOT_FOUND) => {
            Ok(Err(UnusableSchema::NotRegistered))
        }
        _ => Err(format!("it answered with status {status}")),
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
