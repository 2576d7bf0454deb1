//! What a server's address may look like.

use std::fmt;

use http::Uri;

use crate::config::InvalidClickHouseConfig;

const HTTP_PORT: u16 = 8123;
const HTTPS_PORT: u16 = 8443;
/// Ports of the native protocol, and what is meant by them here.
const NATIVE_PORTS: [(u16, u16, bool); 2] = [(9000, HTTP_PORT, false), (9440, HTTPS_PORT, true)];

/// The HTTP interface of a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Host name or IP address; IPv6 in brackets.
    pub host: String,
    /// The port of the HTTP interface.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
    /// The path before `/`, where a proxy wants one; else empty.
    pub path: String,
}

impl Address {
    /// Reads `host`, `host:port` or `http[s]://host[:port][/path]`. A native port is taken as the port of the HTTP interface,
    /// with a warning in the log.
    ///
    /// # Errors
    /// [`InvalidClickHouseConfig`] where the text is none of these.
    pub fn parse(text: &str) -> Result<Self, InvalidClickHouseConfig> {
        let text = text.trim();
        let invalid =
            |fault: &str| InvalidClickHouseConfig { key: "addresses", fault: format!("`{}` {fault}", redact(text)) };
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = with_scheme.parse().map_err(|_| invalid("is neither `host`, `host:port` nor a URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(invalid("must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| invalid("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(invalid("must not hold a user: say it in `username` and `password`"));
        }
        if uri.query().is_some() {
            return Err(invalid("must not hold a query"));
        }
        let host = authority.host().to_owned();
        if host.is_empty() {
            return Err(invalid("names no host"));
        }
        let has_port = authority.as_str().len() > host.len();
        if has_port && authority.port_u16().is_none() {
            return Err(invalid("has a port that is none"));
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        let default_port = if tls { HTTPS_PORT } else { HTTP_PORT };
        let given = authority.port_u16().unwrap_or(default_port);
        let (port, tls) = match NATIVE_PORTS.iter().find(|(native, ..)| *native == given) {
            Some(&(native, port, native_tls)) => {
                let host = host.as_str();
                tracing::warn!(host, native, port, "a native port was given; the HTTP interface is used");
                (port, tls || native_tls)
            }
            None => (given, tls),
        };
        Ok(Self { host, port, tls, path })
    }

    /// The same interface on another host.
    #[must_use]
    pub fn on_host(&self, host: &str) -> Self {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        Self { host, ..self.clone() }
    }

    /// Whether this is the host that a cluster calls `name`.
    #[must_use]
    pub fn is_host(&self, name: &str) -> bool {
        self.host.trim_matches(['[', ']']).eq_ignore_ascii_case(name)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

/// The address without a password that somebody has put in.
fn redact(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, host)| host)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Address::parse(text).unwrap().to_string()
    }

    #[test]
    fn hosts_ports_and_urls_are_read() {
        for (text, url) in [
            ("ch", "http://ch:8123"),
            (" ch:8124 ", "http://ch:8124"),
            ("ch:9000", "http://ch:8123"),
            ("ch:9440", "https://ch:8443"),
            ("http://ch:9000", "http://ch:8123"),
            ("https://ch", "https://ch:8443"),
            ("https://ch:443/proxy/", "https://ch:443/proxy"),
            ("10.0.0.1:8123", "http://10.0.0.1:8123"),
            ("[::1]:8123", "http://[::1]:8123"),
        ] {
            assert_eq!(shown(text), url, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_without_showing_a_password() {
        for bad in ["", "tcp://ch", "http://", "a b", "http://u:secret@ch", "ch?x=1", "http://ch:99999"] {
            let error = Address::parse(bad).unwrap_err();
            assert_eq!(error.key, "addresses", "{bad}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
