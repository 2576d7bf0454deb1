//! Why a query has no answer.

use luminate_storage::StorageError;

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The body is no JSON object.
    #[error("the query is not a JSON object: {0}")]
    Malformed(String),
    /// A field that this kind of query needs is not there.
    #[error("{field} is missing: {expected}")]
    FieldMissing {
        /// The field's path.
        field: String,
        /// What is expected there.
        expected: &'static str,
    },
    /// A field is not known, not allowed in this kind of query, or holds what it may not.
    #[error("{0}")]
    FieldInvalid(String),
    /// The kind of query does not exist, or not yet.
    #[error("queryType {found:?} is not supported; supported are aggregate and raw")]
    TypeUnsupported {
        /// What was asked for, cut.
        found: String,
    },
    /// The range of time is none.
    #[error("timeRange: {0}")]
    TimeRangeInvalid(String),
    /// A regular expression is none, or not one of RE2.
    #[error("{field}: {detail}")]
    PatternInvalid {
        /// The field's path.
        field: String,
        /// What is wrong.
        detail: String,
    },
    /// Something in the request is larger than allowed.
    #[error("{field} has {size} {unit}, the limit is {limit}")]
    TooLarge {
        /// The field's path.
        field: String,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        size: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The cursor was not given out for this request.
    #[error("cursor: {0}; send the cursor of the last answer with the same request, or none to begin anew")]
    CursorInvalid(&'static str),
    /// The store did not answer, or a limit of the query was hit.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request can never be answered as it is.
    Request,
    /// A limit of the query was hit while it ran: a smaller query has an answer.
    Limit,
    /// The query ran longer than it may.
    Timeout,
    /// Nobody waits for the answer any more, or the process is stopping.
    Cancelled,
    /// Trying again later may help.
    Unavailable,
    /// Something is broken.
    Internal,
}

impl QueryError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "query_malformed",
            Self::FieldMissing { .. } => "query_field_missing",
            Self::FieldInvalid(_) => "query_field_invalid",
            Self::TypeUnsupported { .. } => "query_type_unsupported",
            Self::TimeRangeInvalid(_) => "time_range_invalid",
            Self::PatternInvalid { .. } => "pattern_invalid",
            Self::TooLarge { .. } => "query_too_large",
            Self::CursorInvalid(_) => "cursor_invalid",
            Self::Storage(error) => error.code(),
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => match error {
                StorageError::Timeout { .. } => ErrorKind::Timeout,
                StorageError::Cancelled => ErrorKind::Cancelled,
                StorageError::MemoryLimit { .. }
                | StorageError::SamplesLimit { .. }
                | StorageError::RowsLimit { .. } => ErrorKind::Limit,
                StorageError::Unavailable(_) | StorageError::DiskFull(_) => ErrorKind::Unavailable,
                StorageError::NotContiguous { .. }
                | StorageError::NotOwned { .. }
                | StorageError::PermitExpired
                | StorageError::Damaged(_) => ErrorKind::Internal,
            },
            _ => ErrorKind::Request,
        }
    }
}
