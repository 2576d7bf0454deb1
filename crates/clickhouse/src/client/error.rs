//! What a statement fails with.

use std::time::Duration;

use clickhouse::error::Error as VendorError;

use crate::config::InvalidClickHouseConfig;

/// Why a statement was not executed, or perhaps was not.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] InvalidClickHouseConfig),
    /// No connection came about: the server has seen nothing.
    #[error("{host} cannot be reached: {cause}")]
    Unreachable {
        /// The server.
        host: String,
        /// What the network says.
        cause: String,
    },
    /// The connection broke before the whole answer was read: what was sent may have been executed.
    #[error("the connection to {host} broke: {cause}")]
    Interrupted {
        /// The server.
        host: String,
        /// What the network says.
        cause: String,
    },
    /// No answer in time: what was sent may have been executed.
    #[error("{host} did not answer within {} ms", limit.as_millis())]
    TimedOut {
        /// The server.
        host: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The server refused the statement, or failed in the middle.
    #[error("{host} answered: {message}")]
    Server {
        /// The server.
        host: String,
        /// The server's number of the error; 0 where the answer names none (a proxy's).
        code: u32,
        /// The server's text.
        message: String,
    },
    /// The answer is not what the statement asks for.
    #[error("{host} gave an answer that makes no sense: {fault}")]
    Answer {
        /// The server.
        host: String,
        /// What is wrong with it.
        fault: String,
    },
    /// A parameter or setting cannot be sent.
    #[error("the statement cannot be sent: {0}")]
    Statement(String),
}

/// Numbers of the server's errors that are told apart here.
pub mod codes {
    /// A table that does not exist.
    pub const UNKNOWN_TABLE: u32 = 60;
    /// A table that exists already.
    pub const TABLE_ALREADY_EXISTS: u32 = 57;
    /// A database that does not exist.
    pub const UNKNOWN_DATABASE: u32 = 81;
    /// A statement of the same id is still running.
    pub const QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: u32 = 216;
    /// The disk is full.
    pub const NOT_ENOUGH_SPACE: u32 = 243;
    /// Two things: too many parts, which means slow down, and too many partitions in one block, which is a fault of the sender.
    pub const TOO_MANY_PARTS: u32 = 252;
}

impl ClientError {
    /// The server's number of the error, where it answered with one.
    #[must_use]
    pub fn server_code(&self) -> Option<u32> {
        match self {
            Self::Server { code, .. } if *code != 0 => Some(*code),
            _ => None,
        }
    }

    /// Whether another host may be asked instead: this one was not reached, or broke off.
    #[must_use]
    pub const fn is_of_the_host(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Interrupted { .. } | Self::TimedOut { .. })
    }

    /// Whether the server says that it merges more slowly than it is given parts.
    #[must_use]
    pub fn is_too_many_parts(&self) -> bool {
        matches!(self, Self::Server { code: codes::TOO_MANY_PARTS, message, .. } if !message.contains("Too many partitions"))
    }

    /// Reads the vendor library's error.
    pub(crate) fn of(host: &str, error: VendorError) -> Self {
        let host = host.to_owned();
        match error {
            VendorError::BadResponse(message) => {
                let code = message.strip_prefix("Code: ").and_then(|rest| {
                    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    rest.get(..digits)?.parse().ok()
                });
                Self::Server { host, code: code.unwrap_or(0), message: shorten(message) }
            }
            VendorError::Network(cause) => {
                let vendor = cause.downcast_ref::<hyper_util::client::legacy::Error>();
                let text = with_hint(causes(cause.as_ref()));
                match vendor.is_some_and(hyper_util::client::legacy::Error::is_connect) {
                    true => Self::Unreachable { host, cause: text },
                    false => Self::Interrupted { host, cause: text },
                }
            }
            VendorError::InvalidParams(fault) => Self::Statement(causes(fault.as_ref())),
            other => Self::Answer { host, fault: other.to_string() },
        }
    }
}

/// Says what to set where a certificate is not trusted.
fn with_hint(cause: String) -> String {
    // Two authorities of one name are told apart by their keys alone.
    let of_others = ["UnknownIssuer", "BadSignature"].map(|fault| format!("invalid peer certificate: {fault}"));
    match of_others.iter().any(|fault| cause.contains(fault)) {
        true => format!("{cause} (storage.clickhouse.caFile names a private authority's certificates)"),
        false => cause,
    }
}

/// The error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Servers quote what they were sent; a log line wants less.
fn shorten(message: String) -> String {
    const MOST: usize = 1000;
    if message.len() <= MOST {
        return message;
    }
    let end = message.floor_char_boundary(MOST);
    format!("{}...", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> ClientError {
        ClientError::of("http://ch:8123", VendorError::BadResponse(text.to_owned()))
    }

    #[test]
    fn numbers_are_read_from_the_text() {
        assert_eq!(server("Code: 60. DB::Exception: Unknown table").server_code(), Some(60));
        assert_eq!(server("Code: 60").server_code(), Some(60));
        assert_eq!(server("502 Bad Gateway").server_code(), None);
    }

    #[test]
    fn the_two_meanings_of_252_are_told_apart() {
        assert!(
            server("Code: 252. DB::Exception: Too many parts (3001 with average size 1.00 KiB) in table")
                .is_too_many_parts()
        );
        assert!(!server("Code: 252. DB::Exception: Too many partitions for single INSERT block").is_too_many_parts());
        assert!(!server("Code: 60. DB::Exception: Too many parts").is_too_many_parts());
    }

    #[test]
    fn long_texts_are_cut() {
        let error = server(&format!("Code: 1. {}", "ä".repeat(2000))).to_string();
        assert!(error.len() < 1100 && error.ends_with("..."));
    }
}
