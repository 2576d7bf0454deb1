//! The kinds of problems that only these routes have. Those that all services share are in the runtime crate.

use luminate_queue::QueueError;
use luminate_runtime::http::{Problem, ProblemType, codes};
use luminate_storage::StorageError;

luminate_runtime::problem_types! {
    ADMIN_REQUEST_INVALID: BAD_REQUEST "admin_request_invalid", "Not what this path takes",
        "A parameter or the body is not what the API reference says; the detail names what is wrong.";
    DEAD_LETTER_UNKNOWN: NOT_FOUND "dead_letter_unknown", "No such dead letter",
        "There is no dead letter of this id, or it is another tenant's. It may have been purged.";
    DEAD_LETTER_CUT: CONFLICT "dead_letter_cut", "Dead letter cut",
        "Not all bytes of the record were kept, so it cannot be replayed.";
    REPLAY_IN_DOUBT: CONFLICT "replay_in_doubt", "Replay in doubt",
        "An earlier replay of the dead letter did not come to its end, and may have put its record back. Look whether its samples are stored; where they are not, replay it with `again`.";
    ERASURE_UNKNOWN: NOT_FOUND "erasure_unknown", "No such erasure",
        "There is no erasure of this id, or it is another tenant's. After a restart an erasure goes on under another id.";
    ERASURE_RUNNING: CONFLICT "erasure_running", "Erasure running",
        "The tenant's data is being erased; what is replayed now would survive it. Try again when it is done.";
    ERASURES_TOO_MANY: SERVICE_UNAVAILABLE "erasures_too_many", "Too many erasures",
        "As many erasures are running as may. Try again after `Retry-After` seconds.";
    ADMIN_QUEUE_UNAVAILABLE: SERVICE_UNAVAILABLE "admin_queue_unavailable", "Queue unavailable",
        "The queue cannot answer now. Try again after `Retry-After` seconds.";
    ADMIN_STORAGE_UNAVAILABLE: SERVICE_UNAVAILABLE "admin_storage_unavailable", "Store unavailable",
        "The store cannot answer now. Try again after `Retry-After` seconds.";
}

/// A problem of which there is no more to say than what its kind means.
pub(crate) fn problem(problem_type: &'static ProblemType) -> Problem {
    Problem::new(problem_type).detail(problem_type.help)
}

/// What operators are told when the queue fails.
pub(crate) fn of_queue_error(error: &QueueError) -> Problem {
    tracing::warn!(code = error.code(), %error, "the queue failed an operator's request");
    match error {
        QueueError::Unavailable(_) | QueueError::Closed => {
            problem(&ADMIN_QUEUE_UNAVAILABLE).retry_after(std::time::Duration::from_secs(1))
        }
        QueueError::ReplayInDoubt => problem(&REPLAY_IN_DOUBT),
        _ => codes::internal(),
    }
}

/// What operators are told when the store fails.
pub(crate) fn of_storage_error(error: &StorageError) -> Problem {
    tracing::warn!(code = error.code(), %error, "the store failed an operator's request");
    if error.is_retryable() {
        problem(&ADMIN_STORAGE_UNAVAILABLE).retry_after(std::time::Duration::from_secs(1))
    } else {
        codes::internal()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn a_queue_that_is_away_is_503_and_says_nothing_of_itself() {
        for error in [QueueError::Unavailable("/secret/path".to_owned()), QueueError::Closed] {
            let away = of_queue_error(&error);
            assert_eq!(
                (away.code(), away.problem_type().status),
                ("admin_queue_unavailable", StatusCode::SERVICE_UNAVAILABLE)
            );
            assert!(!away.detail_text().unwrap_or_default().contains("secret"));
        }
        let doubtful = of_queue_error(&QueueError::ReplayInDoubt);
        assert_eq!((doubtful.code(), doubtful.problem_type().status), ("replay_in_doubt", StatusCode::CONFLICT));
        let damaged = of_queue_error(&QueueError::Damaged("/secret/path".to_owned()));
        assert_eq!(damaged.code(), "internal");
        assert!(!damaged.detail_text().unwrap_or_default().contains("secret"));
    }
}
