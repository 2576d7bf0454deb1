//! One request, one answer.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::HeaderMap;
use ureq::tls::TlsConfig;
use ureq::{Agent, Body, http::Response};

use super::error::{ClientError, Problem};

/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 256 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than the server's own limits, so that it is the server that says what took too long.
const CALL_TIMEOUT: Duration = Duration::from_secs(180);

/// A client of one server. Keeps its connections.
pub(crate) struct ServerClient {
    agent: Agent,
    /// Without a slash at its end.
    url: String,
    authorization: Option<String>,
}

/// An answer with a status of success.
pub(crate) struct Answer {
    url: String,
    body: Vec<u8>,
}

impl ServerClient {
    /// A client of the server at `url`.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`]
    pub(crate) fn new(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        let url = url.trim_end_matches('/');
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| ClientError::BadUrl { url: url.to_owned() })?;
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(CALL_TIMEOUT))
            .tls_config(TlsConfig::builder().unversioned_rustls_crypto_provider(crypto).build())
            .user_agent(concat!("luminate/", env!("CARGO_PKG_VERSION")));
        if is_loopback(host) {
            // No proxy reaches what listens on this machine alone.
            config = config.proxy(None);
        }
        let authorization = token.map(|token| format!("Bearer {token}"));
        Ok(Self { agent: config.build().new_agent(), url: url.to_owned(), authorization })
    }

    /// The server's address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for `path` (which begins with a slash).
    pub(crate) fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Result<Answer, ClientError> {
        let mut request = self.agent.get(format!("{}{path}", self.url)).query_pairs(query.iter().copied());
        for (name, value) in self.headers(headers) {
            request = request.header(name, value);
        }
        self.answer(request.call(), &[])
    }

    /// Asks for `path`; the statuses of `also` are answers too.
    pub(crate) fn get_any(&self, path: &str, also: &[u16]) -> Result<Answer, ClientError> {
        self.answer(self.agent.get(format!("{}{path}", self.url)).call(), also)
    }

    /// Sends a body to `path`.
    pub(crate) fn post(
        &self,
        path: &str,
        content_type: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Answer, ClientError> {
        let mut request = self.agent.post(format!("{}{path}", self.url)).content_type(content_type);
        for (name, value) in self.headers(headers) {
            request = request.header(name, value);
        }
        self.answer(request.send(body), &[])
    }

    /// Sends a JSON body to `path`.
    pub(crate) fn post_json<T: Serialize>(&self, path: &str, body: &T) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.not_understood(&error))?;
        self.post(path, "application/json", &body, &[])
    }

    fn headers<'a>(&'a self, more: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let authorization = self.authorization.as_deref().map(|value| ("Authorization", value));
        authorization.into_iter().chain(more.iter().copied())
    }

    fn answer(&self, outcome: Result<Response<Body>, ureq::Error>, also: &[u16]) -> Result<Answer, ClientError> {
        let mut response = outcome.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        let body = body.map_err(|error| self.unreachable(&error))?;
        if (200..300).contains(&status) || also.contains(&status) {
            return Ok(Answer { url: self.url.clone(), body });
        }
        let problem = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if !problem.title.is_empty() => problem,
            _ => Problem::of_status(status, &body),
        };
        Err(ClientError::Refused { status, retry_after, problem: Box::new(problem) })
    }

    fn unreachable(&self, error: &ureq::Error) -> ClientError {
        let reason = match error {
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::HostNotFound => "no host of this name".to_owned(),
            other => other.to_string(),
        };
        ClientError::Unreachable { url: self.url.clone(), reason }
    }

    fn not_understood(&self, error: &serde_json::Error) -> ClientError {
        ClientError::NotUnderstood { url: self.url.clone(), reason: error.to_string() }
    }
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// [`ClientError::NotUnderstood`]
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| ClientError::NotUnderstood { url: self.url.clone(), reason: error.to_string() })
    }
}

/// Encodes a part of a path (RFC 3986: all but unreserved characters).
pub(crate) fn path_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn is_loopback(host: &str) -> bool {
    let host = host.split('/').next().unwrap_or(host);
    host.starts_with("127.") || host.starts_with("[::1]") || host == "localhost" || host.starts_with("localhost:")
}

/// The delay in seconds that a server asks for; a date, the header's other form, is not one that ours sends.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_lose_their_last_slash() {
        assert_eq!(ServerClient::new("http://h:1/", None).unwrap().url(), "http://h:1");
        for bad in ["", "h:1", "ftp://h", "http://"] {
            assert!(matches!(ServerClient::new(bad, None), Err(ClientError::BadUrl { .. })), "{bad}");
        }
    }

    #[test]
    fn segments_of_paths_are_encoded() {
        assert_eq!(path_segment("a b/c%ü"), "a%20b%2Fc%25%C3%BC");
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        for near in ["127.0.0.1:80", "localhost", "localhost:1", "[::1]:9"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in ["example.org", "localhost.example.org", "10.0.0.1"] {
            assert!(!is_loopback(far), "{far}");
        }
    }
}
