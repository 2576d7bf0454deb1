//! The server's errors as those of a query.

use luminate_storage::{QueryContext, StorageError};

use crate::client::ClientError;

/// Numbers of the server's errors.
mod codes {
    pub(super) const UNKNOWN_TABLE: u32 = 60;
    pub(super) const UNKNOWN_DATABASE: u32 = 81;
    pub(super) const TOO_MANY_ROWS: u32 = 158;
    pub(super) const TIMEOUT_EXCEEDED: u32 = 159;
    pub(super) const TOO_SLOW: u32 = 160;
    pub(super) const QUOTA_EXCEEDED: u32 = 201;
    pub(super) const TOO_MANY_SIMULTANEOUS_QUERIES: u32 = 202;
    pub(super) const SOCKET_TIMEOUT: u32 = 209;
    pub(super) const NETWORK_ERROR: u32 = 210;
    pub(super) const MEMORY_LIMIT_EXCEEDED: u32 = 241;
    pub(super) const ALL_CONNECTION_TRIES_FAILED: u32 = 279;
    pub(super) const TOO_MANY_BYTES: u32 = 307;
    pub(super) const ALL_REPLICAS_ARE_STALE: u32 = 369;
    pub(super) const QUERY_WAS_CANCELLED: u32 = 394;
    pub(super) const TOO_MANY_ROWS_OR_BYTES: u32 = 396;
    pub(super) const QUERY_WAS_CANCELLED_BY_CLIENT: u32 = 735;
}

/// What a query failed with, by what a statement of it failed with. `rows` is what its result was held against.
pub(super) fn of_query(error: ClientError, rows: Option<usize>, context: &QueryContext) -> StorageError {
    let ClientError::Server { code, message, .. } = &error else {
        return of_connection(error);
    };
    let limits = context.limits();
    match *code {
        codes::TIMEOUT_EXCEEDED | codes::TOO_SLOW => {
            StorageError::Timeout { limit_ms: limits.timeout.as_millis() as u64 }
        }
        // The query's own limit, not what all queries share.
        codes::MEMORY_LIMIT_EXCEEDED if message.to_ascii_lowercase().contains("query memory limit") => {
            StorageError::MemoryLimit { limit_bytes: limits.memory_bytes }
        }
        codes::TOO_MANY_ROWS | codes::TOO_MANY_BYTES => StorageError::SamplesLimit { limit: limits.samples },
        codes::TOO_MANY_ROWS_OR_BYTES => StorageError::RowsLimit { limit: rows.unwrap_or_default() as u64 },
        codes::QUERY_WAS_CANCELLED | codes::QUERY_WAS_CANCELLED_BY_CLIENT => StorageError::Cancelled,
        codes::UNKNOWN_TABLE | codes::UNKNOWN_DATABASE => {
            StorageError::Unavailable(format!("the tables are not there, see `luminate migrate`: {error}"))
        }
        codes::MEMORY_LIMIT_EXCEEDED
        | codes::QUOTA_EXCEEDED
        | codes::TOO_MANY_SIMULTANEOUS_QUERIES
        | codes::SOCKET_TIMEOUT
        | codes::NETWORK_ERROR
        | codes::ALL_CONNECTION_TRIES_FAILED
        | codes::ALL_REPLICAS_ARE_STALE
        // No number: a proxy's answer.
        | 0 => StorageError::Unavailable(error.to_string()),
        _ => StorageError::Damaged(error.to_string()),
    }
}

fn of_connection(error: ClientError) -> StorageError {
    if error.is_of_the_host() {
        StorageError::Unavailable(error.to_string())
    } else {
        StorageError::Damaged(error.to_string())
    }
}
