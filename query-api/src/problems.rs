//! The kinds of problems that only the query-api has. Those that all services share are in the runtime crate.

use std::time::Duration;

use luminate_model::ReceiptError;
use luminate_query::{ErrorKind, QueryError};
use luminate_runtime::http::{Problem, ProblemType, codes};
use luminate_storage::{ReachError, StorageError};

/// After how long a query that found the store away may come again.
const UNAVAILABLE_RETRY: Duration = Duration::from_secs(2);

luminate_runtime::problem_types! {
    CONTENT_TYPE_UNSUPPORTED: UNSUPPORTED_MEDIA_TYPE "content_type_unsupported", "Content type not supported",
        "Send queries with `Content-Type: application/json`, in UTF-8.";
    CONTENT_ENCODING_UNSUPPORTED: UNSUPPORTED_MEDIA_TYPE "content_encoding_unsupported", "Content encoding not supported",
        "Send queries as they are, without `Content-Encoding`.";
    QUERY_MALFORMED: BAD_REQUEST "query_malformed", "Not a query",
        "The body is not a JSON object; the detail says where.";
    QUERY_FIELD_MISSING: BAD_REQUEST "query_field_missing", "Field missing",
        "The query lacks a field that its type needs; the detail names it.";
    QUERY_FIELD_INVALID: BAD_REQUEST "query_field_invalid", "Field invalid",
        "A field or parameter is not known, does not belong to this type of query, or holds what it may not; the detail names it and \
         says what is expected.";
    QUERY_TYPE_UNSUPPORTED: BAD_REQUEST "query_type_unsupported", "Query type not supported",
        "`queryType` is `aggregate` or `raw`.";
    TIME_RANGE_INVALID: BAD_REQUEST "time_range_invalid", "Time range invalid",
        "`timeRange` is `{\"relative\": \"24h\"}`, or `start` and `end` in ms since 1970 or as in RFC 3339, start before end.";
    PATTERN_INVALID: BAD_REQUEST "pattern_invalid", "Regular expression invalid",
        "The regular expression is none, uses what RE2 does not have, or is too large.";
    QUERY_TOO_LARGE: BAD_REQUEST "query_too_large", "Query too large",
        "Something in the query is larger than allowed; `size` and `limit` say how much.";
    CURSOR_INVALID: BAD_REQUEST "cursor_invalid", "Cursor invalid",
        "Send the cursor of the last answer with the same request, or none to begin anew. Only `limit` may change on the way.";
    RECEIPT_INVALID: BAD_REQUEST "receipt_invalid", "Receipt invalid",
        "`X-Luminate-Receipt` is what a write request answered, and `X-Luminate-Receipt-Timeout` a duration such as `2s`.";
    RECEIPT_GONE: GONE "receipt_gone", "Receipt of another queue",
        "The receipt names a queue that this store does not read, because it was made anew since, or a partition that another edge \
         node reads. Ask without the receipt, or ask that node.";
    RECEIPT_TIMEOUT: GATEWAY_TIMEOUT "receipt_timeout", "Samples not there yet",
        "The samples of the receipt were not stored in time. They are safe; ask again, or look at the writer's lag.";
    QUERY_TIMEOUT: GATEWAY_TIMEOUT "query_timeout", "Query too slow",
        "The query ran longer than it may. Ask for less time, or add filters.";
    QUERY_MEMORY_LIMIT: UNPROCESSABLE_ENTITY "query_memory_limit", "Query needs too much memory",
        "Ask for less time, fewer groups, or add filters. Percentiles and `distinct` hold every value.";
    QUERY_SAMPLES_LIMIT: UNPROCESSABLE_ENTITY "query_samples_limit", "Query reads too many samples",
        "Ask for less time, or add filters.";
    QUERY_ROWS_LIMIT: UNPROCESSABLE_ENTITY "query_rows_limit", "Answer too large",
        "The groups have more buckets together than an answer may. Set a smaller `limit`, or a larger `step`.";
    QUERY_CANCELLED: SERVICE_UNAVAILABLE "query_cancelled", "Query stopped",
        "The process is stopping. Ask again.";
    QUERIES_BUSY: SERVICE_UNAVAILABLE "queries_busy", "Too many queries",
        "As many queries run as may, and none ended in time. Ask again after `Retry-After` seconds.";
    TENANT_QUERIES_BUSY: TOO_MANY_REQUESTS "tenant_queries_busy", "Too many queries of the tenant",
        "As many queries of the tenant run as may, and none ended in time. Ask again after `Retry-After` seconds.";
    STORAGE_UNAVAILABLE: SERVICE_UNAVAILABLE "storage_unavailable", "Store unavailable",
        "The store does not answer. Ask again after `Retry-After` seconds.";
}

/// A problem that says that too much runs already.
pub(crate) fn busy(problem_type: &'static ProblemType, waited: Duration) -> Problem {
    let detail = format!("{}; waited {} s", problem_type.title.to_lowercase(), waited.as_secs_f64());
    Problem::new(problem_type).detail(detail).retry_after(UNAVAILABLE_RETRY)
}

/// What a query's error is answered.
pub(crate) fn of_query_error(error: &QueryError) -> Problem {
    let problem_type = match error.kind() {
        ErrorKind::Internal => {
            tracing::error!(%error, "a query failed");
            return codes::internal();
        }
        ErrorKind::Unavailable => {
            return unavailable(error);
        }
        ErrorKind::Request | ErrorKind::Limit | ErrorKind::Timeout | ErrorKind::Cancelled => {
            ALL.iter().find(|known| known.code == error.code())
        }
    };
    let Some(problem_type) = problem_type else {
        tracing::error!(%error, "a query's error has no problem");
        return codes::internal();
    };
    let problem = Problem::new(problem_type).detail(error.to_string());
    match error {
        QueryError::TooLarge { size, limit, field, .. } => {
            problem.member("field", field.as_str()).member("size", *size).member("limit", *limit)
        }
        QueryError::FieldMissing { field, .. } | QueryError::PatternInvalid { field, .. } => {
            problem.member("field", field.as_str())
        }
        QueryError::Storage(StorageError::MemoryLimit { limit_bytes: limit })
        | QueryError::Storage(StorageError::SamplesLimit { limit } | StorageError::RowsLimit { limit })
        | QueryError::Storage(StorageError::Timeout { limit_ms: limit }) => problem.member("limit", *limit),
        _ => problem,
    }
}

/// What is told of a store that does not do its work for now: why is for the log.
fn unavailable(error: &dyn std::error::Error) -> Problem {
    tracing::warn!(%error, "the store did not answer a query");
    let detail = "the store does not answer; try again in a moment";
    Problem::new(&STORAGE_UNAVAILABLE).detail(detail).retry_after(UNAVAILABLE_RETRY)
}

/// What a receipt that is not reached is answered.
pub(crate) fn of_reach_error(error: &ReachError) -> Problem {
    match error {
        ReachError::OtherIncarnation(_) | ReachError::NotRead(_) => {
            Problem::new(&RECEIPT_GONE).detail(error.to_string())
        }
        ReachError::Unavailable(_) => unavailable(error),
        ReachError::Closed => Problem::new(&QUERY_CANCELLED).detail("the process is stopping; ask again"),
    }
}

/// What a malformed receipt is answered.
pub(crate) fn of_receipt_error(error: &ReceiptError) -> Problem {
    Problem::new(&RECEIPT_INVALID).detail(error.to_string())
}

#[cfg(test)]
mod tests {
    use luminate_model::{Incarnation, Offset, Source};

    use super::*;

    #[test]
    fn every_error_of_a_query_has_its_problem() {
        let text = || "x".to_owned();
        let client_errors = [
            QueryError::Malformed(text()),
            QueryError::FieldMissing { field: text(), expected: "y" },
            QueryError::FieldInvalid(text()),
            QueryError::TypeUnsupported { found: text() },
            QueryError::TimeRangeInvalid(text()),
            QueryError::PatternInvalid { field: text(), detail: text() },
            QueryError::TooLarge { field: text(), unit: "z", size: 2, limit: 1 },
            QueryError::CursorInvalid("y"),
            StorageError::Timeout { limit_ms: 1 }.into(),
            StorageError::Cancelled.into(),
            StorageError::MemoryLimit { limit_bytes: 1 }.into(),
            StorageError::SamplesLimit { limit: 1 }.into(),
            StorageError::RowsLimit { limit: 1 }.into(),
            StorageError::Unavailable(text()).into(),
        ];
        for error in client_errors {
            assert_eq!(of_query_error(&error).code(), error.code());
        }
    }

    #[test]
    fn what_is_broken_inside_stays_inside() {
        let source = Source { incarnation: Incarnation([0; 16]), partition: 0 };
        let place = StorageError::NotContiguous { place: source, first: Offset(0), next: Offset(1), stored: Offset(5) };
        for error in [StorageError::Damaged("/secret/path".to_owned()), place] {
            let problem = of_query_error(&error.into());
            assert_eq!(problem.code(), "internal");
            assert!(!problem.detail_text().unwrap_or_default().contains("secret"));
        }
        let away = of_query_error(&StorageError::Unavailable("/secret/path".to_owned()).into());
        assert!(!away.detail_text().unwrap_or_default().contains("secret"));
        assert_eq!(of_query_error(&StorageError::DiskFull("x".to_owned()).into()).code(), "storage_unavailable");
    }
}
