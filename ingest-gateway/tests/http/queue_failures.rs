//! What a client is told when the queue does not take its records.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use luminate_ingest_gateway::GatewayConfig;
use luminate_model::RetentionRules;
use luminate_queue::memory::{MemoryQueueConfig, PublishFault};
use luminate_runtime::config::HumanDuration;

use tower::ServiceExt as _;

use crate::fixture::{Fixture, NOW, metric, metrics, post};

/// Turns a future once, and the event loop too.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    tokio::task::yield_now().await;
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

/// A body that becomes three records.
fn three_parts() -> String {
    metrics(&(0..25_000).map(|n| metric("m", f64::from(n))).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_full_or_absent_queue_is_503_with_retry_after() {
    let fixture = Fixture::new();
    for (fault, code, retry_after) in [
        (PublishFault::Full, "queue_full", "1"),
        (PublishFault::Unavailable, "queue_unavailable", "2"),
        (PublishFault::UnknownLost, "queue_outcome_unknown", "2"),
    ] {
        fixture.queue.fail_publish(1, fault);
        let answer = fixture.json(metrics(&[metric("a", 1.0)])).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (503, code));
        assert_eq!(answer.headers["retry-after"], retry_after);
        assert!(!answer.body.to_string().contains("injected"), "nothing internal leaks");
    }
    assert!(fixture.stored().await.is_empty());
    assert_eq!(fixture.metrics.samples_accepted.get(), 0);
    assert_eq!(fixture.metrics.samples_unknown.get(), 1, "full and absent queues leave nothing in doubt");
}

#[tokio::test]
async fn one_failed_record_fails_the_request_and_what_is_stored_counts_as_unknown() {
    let fixture = Fixture::new();
    fixture.queue.fail_publish(1, PublishFault::Full);
    let answer = fixture.json(three_parts()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "queue_full"));
    assert!(answer.body["detail"].as_str().unwrap().contains("may have been stored"));
    assert_eq!(fixture.samples().await.len(), 15_000);
    assert_eq!(fixture.metrics.samples_unknown.get(), 15_000);
    assert_eq!(fixture.metrics.samples_accepted.get(), 0);
}

#[tokio::test]
async fn the_worst_failure_is_the_one_that_is_told() {
    let fixture = Fixture::new();
    for fault in [PublishFault::Unavailable, PublishFault::UnknownStored, PublishFault::Full] {
        fixture.queue.fail_publish(1, fault);
    }
    let answer = fixture.json(three_parts()).await;
    assert_eq!(answer.code(), "queue_outcome_unknown");
    assert_eq!(fixture.metrics.samples_unknown.get(), 10_000);
}

#[tokio::test]
async fn samples_of_a_record_that_is_too_large_are_rejects() {
    let queue = MemoryQueueConfig { max_record_bytes: 2000, ..MemoryQueueConfig::default() };
    let fixture = Fixture::with(GatewayConfig::default(), RetentionRules::default(), queue);
    let large = format!(r#"{{"name":"m","timestamp":{NOW},"value":1,"dimensions":{{"a":"{}"}}}}"#, "x".repeat(2000));
    let answer = fixture.json(metrics(&["{}".to_owned(), large.clone()])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "no_valid_samples"));
    assert_eq!(answer.errors(), [(0, "missing_name".to_owned()), (1, "record_too_large".to_owned())]);
    assert_eq!(fixture.metrics.samples_rejected.with(["record_too_large"]).get(), 1);
    assert_eq!(fixture.json(metrics(&[metric("a", 1.0)])).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_an_unknown_outcome() {
    let fixture = Fixture::configured(|config| {
        config.publish_timeout = HumanDuration::new(std::time::Duration::from_secs(3));
    });
    let held = fixture.queue.hold_acknowledgements();
    let answer = fixture.json(metrics(&[metric("a", 1.0)])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "queue_outcome_unknown"));
    assert_eq!(answer.body["detail"], "the queue had not answered after 3 s");
    assert_eq!(fixture.metrics.samples_unknown.get(), 1);
    drop(held);
    assert_eq!(fixture.samples().await.len(), 1, "it was stored all the same");
}

#[tokio::test]
async fn samples_of_a_client_that_goes_away_count_as_unknown() {
    let fixture = Fixture::new();
    let held = fixture.queue.hold_acknowledgements();
    let request = post("application/json", &[], metrics(&[metric("a", 1.0)]));
    let mut handling = Box::pin(fixture.routes().oneshot(request));
    while fixture.queue.bytes() == 0 {
        assert!(poll_once(&mut handling).await.is_pending());
    }
    drop(handling);
    assert_eq!(fixture.metrics.samples_unknown.get(), 1);
    drop(held);
    assert_eq!(fixture.samples().await.len(), 1);
    assert_eq!(fixture.metrics.samples_accepted.get(), 0);
}
