//! The section of a port.

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{ByteSize, HumanDuration};

/// A port, and what its clients may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpConfig {
    /// Address and port to listen on. Port 0 takes a free one.
    pub listen: String,
    /// Connections at once; further ones wait until one ends.
    pub max_connections: NonZeroU32,
    /// Time for a client to send the head of a request, and to begin its first one.
    pub header_timeout: HumanDuration,
    /// Time for a client to send the whole body of a request.
    pub body_timeout: HumanDuration,
    /// Time that a connection may stay open between requests.
    pub idle_timeout: HumanDuration,
    /// Time for which a client may stop reading an answer.
    pub write_timeout: HumanDuration,
    /// Bytes of request bodies that may be in memory at once, over all connections; further requests get 503.
    pub max_body_bytes_in_flight: ByteSize,
    /// Limits of HTTP/2.
    pub http2: Http2Config,
}

/// Limits of HTTP/2, which carries many requests over one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Http2Config {
    /// Requests at once over one connection.
    pub max_concurrent_streams: NonZeroU32,
    /// Time between questions whether the client is still there.
    pub ping_interval: HumanDuration,
    /// Time for its answer.
    pub ping_timeout: HumanDuration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8080".to_owned(),
            max_connections: const { NonZeroU32::new(4096).unwrap() },
            header_timeout: seconds(10),
            body_timeout: seconds(30),
            idle_timeout: seconds(75),
            write_timeout: seconds(30),
            max_body_bytes_in_flight: ByteSize::mib(256),
            http2: Http2Config::default(),
        }
    }
}

impl Default for Http2Config {
    fn default() -> Self {
        Self {
            max_concurrent_streams: const { NonZeroU32::new(128).unwrap() },
            ping_interval: seconds(30),
            ping_timeout: seconds(20),
        }
    }
}

fn seconds(seconds: u64) -> HumanDuration {
    HumanDuration::new(Duration::from_secs(seconds))
}
