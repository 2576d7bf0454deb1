//! The kinds of problems that only the gateway has. Those that all services share are in the runtime crate.

use luminate_queue::PublishError;
use luminate_runtime::http::{Problem, ProblemType};

use crate::decode::RequestFault;

luminate_runtime::problem_types! {
    CONTENT_TYPE_UNSUPPORTED: UNSUPPORTED_MEDIA_TYPE "content_type_unsupported", "Content type not supported",
        "Send `Content-Type: application/json` or `application/x-ndjson`, in UTF-8.";
    CONTENT_ENCODING_UNSUPPORTED: UNSUPPORTED_MEDIA_TYPE "content_encoding_unsupported", "Content encoding not supported",
        "Send the body as it is, or with one `Content-Encoding`: `gzip` or `zstd`. `Accept-Encoding` of the answer names them.";
    CONTENT_ENCODING_INVALID: BAD_REQUEST "content_encoding_invalid", "Compressed body damaged",
        "The body is not what `Content-Encoding` says, or is cut off.";
    DECOMPRESSED_BODY_TOO_LARGE: PAYLOAD_TOO_LARGE "decompressed_body_too_large", "Decompressed body too large",
        "The body has more bytes than allowed when it is decompressed. Send the samples in several requests.";
    IDEMPOTENCY_KEY_INVALID: BAD_REQUEST "idempotency_key_invalid", "Idempotency key invalid",
        "`Idempotency-Key` is given once and has 1 to 255 visible ASCII characters.";
    MALFORMED_JSON: BAD_REQUEST "malformed_json", "Malformed JSON",
        "The body is not JSON; the detail says where. Nothing of it was stored.";
    INVALID_REQUEST: BAD_REQUEST "invalid_request", "Not a write request",
        "The body is JSON, but not `{\"metrics\": [...]}`. Nothing of it was stored.";
    TOO_MANY_SAMPLES: PAYLOAD_TOO_LARGE "too_many_samples", "Too many samples",
        "The request has more samples than allowed. Send them in several requests. Nothing of it was stored.";
    NO_SAMPLES: BAD_REQUEST "no_samples", "No samples",
        "The request has no samples.";
    NO_VALID_SAMPLES: BAD_REQUEST "no_valid_samples", "No valid samples",
        "None of the samples is valid; `errors` says why for the first 100.";
    QUEUE_FULL: SERVICE_UNAVAILABLE "queue_full", "Queue full",
        "The queue holds as much as it may. Send the same request again after `Retry-After` seconds, best with an `Idempotency-Key`.";
    QUEUE_UNAVAILABLE: SERVICE_UNAVAILABLE "queue_unavailable", "Queue unavailable",
        "The queue cannot take samples now. Send the same request again after `Retry-After` seconds, best with an `Idempotency-Key`.";
    QUEUE_OUTCOME_UNKNOWN: SERVICE_UNAVAILABLE "queue_outcome_unknown", "Outcome unknown",
        "Samples of the request may or may not have been stored. A repeat with the same `Idempotency-Key` stores them once; \
         a repeat without one may store them twice.";
}

impl From<RequestFault> for Problem {
    fn from(fault: RequestFault) -> Self {
        let problem_type = match &fault {
            RequestFault::MalformedJson { .. } => &MALFORMED_JSON,
            RequestFault::InvalidRequest(_) => &INVALID_REQUEST,
            RequestFault::TooManySamples { .. } => &TOO_MANY_SAMPLES,
        };
        let problem = Self::new(problem_type).detail(fault.to_string());
        match fault {
            RequestFault::MalformedJson { at, line, column, .. } => {
                problem.member("position", at).member("line", line).member("column", column)
            }
            RequestFault::TooManySamples { limit } => problem.member("limit", limit),
            RequestFault::InvalidRequest(_) => problem,
        }
    }
}

/// The kind of problem that a record's failure makes of the request; `None` where the record was too large, which is a
/// reject of its samples.
#[must_use]
pub const fn of_publish_error(error: &PublishError) -> Option<&'static ProblemType> {
    match error {
        PublishError::Full { .. } => Some(&QUEUE_FULL),
        PublishError::Unavailable { .. } => Some(&QUEUE_UNAVAILABLE),
        PublishError::Unknown { .. } => Some(&QUEUE_OUTCOME_UNKNOWN),
        PublishError::TooLarge { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_errors() {
        let fault = RequestFault::TooManySamples { limit: 7 };
        assert_eq!(Problem::from(fault.clone()).code(), fault.code());
        let full = PublishError::Full { retry_after: std::time::Duration::ZERO };
        assert_eq!(of_publish_error(&full).map(|kind| kind.code), Some(full.code()));
    }
}
