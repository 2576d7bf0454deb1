//! Every error code that the documentation lists was answered by a server in the black-box tests, which run before this one, or
//! is produced by a test beside the code.
//!
//! The other half, that no other code is ever answered, is kept by [`luminate_tests::problem`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use luminate_tests::observed;
use luminate_tests::problem::documented;

/// Codes that no request to a sound server of a single node brings about, and the test that does: its file and name.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("internal", "crates/runtime/src/http/layers_tests.rs", "a_panic_is_an_internal_problem_that_tells_nothing"),
    (
        "queue_unavailable",
        "ingest-gateway/tests/http/queue_failures.rs",
        "a_full_or_absent_queue_is_503_with_retry_after",
    ),
    (
        "queue_outcome_unknown",
        "ingest-gateway/tests/http/queue_failures.rs",
        "a_queue_that_does_not_answer_is_an_unknown_outcome",
    ),
    (
        "record_too_large",
        "ingest-gateway/tests/http/queue_failures.rs",
        "samples_of_a_record_that_is_too_large_are_rejects",
    ),
    ("query_timeout", "query-api/src/tests/stopping.rs", "a_query_whose_store_hangs_ends_after_its_time"),
    ("queries_busy", "query-api/src/tests/stopping.rs", "queries_wait_for_a_slot_but_not_for_ever"),
    ("tenant_queries_busy", "query-api/src/tests/stopping.rs", "queries_wait_for_a_slot_but_not_for_ever"),
    (
        "storage_unavailable",
        "query-api/src/tests/stopping.rs",
        "a_store_that_is_away_or_damaged_says_nothing_of_itself",
    ),
    ("query_cancelled", "query-api/src/tests/receipts.rs", "a_closing_store_wakes_who_waits"),
    (
        "admin_queue_unavailable",
        "writer/src/admin/problems.rs",
        "a_queue_that_is_away_is_503_and_says_nothing_of_itself",
    ),
    (
        "replay_in_doubt",
        "crates/kafka/src/dead_letters/replay_tests.rs",
        "a_replay_that_did_not_come_to_its_end_is_not_repeated_unasked",
    ),
    ("admin_storage_unavailable", "writer/src/admin/tests.rs", "an_erasure_that_cannot_be_noted_is_not_begun"),
    ("record_malformed", "writer/src/pipeline_tests.rs", "what_cannot_be_used_is_kept_and_stops_nothing"),
    ("record_key_invalid", "writer/src/pipeline_tests.rs", "what_cannot_be_used_is_kept_and_stops_nothing"),
    ("record_schema_unknown", "writer/src/decode_tests.rs", "what_no_gateway_writes_is_told_apart"),
    ("idempotency_headers_invalid", "writer/src/decode_tests.rs", "what_no_gateway_writes_is_told_apart"),
    // The proxy of docker-compose.yml answers it, no process of ours.
    ("service_unavailable", "tests/black_box/deploy.rs", "the_proxys_own_errors_are_documented"),
    // Only producers that write to topics of their own can name a tenant.
    ("tenant_mismatch", "writer/src/decode_tests.rs", "the_topic_says_whose_a_direct_producers_record_is"),
];

/// Whether a test's file names a code, in one of the ways that Rust writes it.
fn names(text: &str, code: &str) -> bool {
    let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
    let variant: String = code.split('_').map(capitalised).collect();
    [code.to_owned(), code.to_uppercase(), variant].iter().any(|form| text.contains(form))
}

#[test]
fn every_documented_code_was_answered() {
    let observed = observed::last();
    assert!(!observed.is_empty(), "run all tests of luminate-tests: those of black_box come before this one");
    let excused: BTreeSet<&str> = ELSEWHERE.iter().map(|(code, ..)| *code).collect();
    let missing: Vec<&String> =
        documented().keys().filter(|code| !observed.contains(*code) && !excused.contains(code.as_str())).collect();
    assert!(
        missing.is_empty(),
        "documented, and answered by no server in the last run of black_box (which must be a whole one): {missing:?}"
    );
}

#[test]
fn the_other_codes_have_a_test_beside_the_code() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (code, file, test) in ELSEWHERE {
        assert!(documented().contains_key(*code), "{code} is not documented");
        let text = std::fs::read_to_string(repository.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}(")), "{file} has no test {test}");
        assert!(names(&text, code), "{file} does not name {code}");
    }
}
