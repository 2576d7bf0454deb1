//! Waiting for what was written.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use luminate_model::{Incarnation, Offset, Receipt, Source};
use luminate_storage::conformance::generate::tenant;
use luminate_storage::memory::MemoryStore;

use super::harness::{Answered, INCARNATION, TestApi, query_of, receipt, store};

const COUNT: &str =
    r#"{"queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "1h"}, "aggregation": "count"}"#;

async fn count_with(api: &TestApi, headers: &[(&'static str, String)]) -> Answered {
    let mut request = query_of("acme", COUNT);
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
    }
    api.send(request).await
}

fn text(receipt: &Receipt) -> String {
    receipt.encode().unwrap()
}

#[tokio::test]
async fn an_answer_waits_for_the_samples_of_its_receipt() {
    let memory = Arc::new(MemoryStore::of_incarnation(INCARNATION));
    let api = TestApi::over(memory.clone());
    let headers = [("x-luminate-receipt", text(&receipt(Offset(1))))];
    let mut waiting = Box::pin(count_with(&api, &headers));
    // The query is on its way, and has no answer before the samples are stored.
    assert!(futures_poll(&mut waiting).await.is_none());
    store(&memory, &tenant("acme"), &[("m", 60, 1.0, &[])]).await;
    let answered = waiting.await;
    assert_eq!(answered.body["results"][0]["value"], 1, "{}", answered.body);
}

/// What a future has after it was given every chance to go on.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    for _ in 0..100 {
        tokio::select! {
            biased;
            output = &mut *future => return Some(output),
            () = tokio::task::yield_now() => {}
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_is_not_reached_in_time_is_said_so() {
    let api = TestApi::over(Arc::new(MemoryStore::of_incarnation(INCARNATION)));
    for (timeout, waited) in [(None, 10), (Some("2s"), 2)] {
        let mut headers = vec![("x-luminate-receipt", text(&receipt(Offset(1))))];
        headers.extend(timeout.map(|timeout| ("x-luminate-receipt-timeout", timeout.to_owned())));
        let began = tokio::time::Instant::now();
        let answered = count_with(&api, &headers).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::GATEWAY_TIMEOUT, "receipt_timeout"));
        assert_eq!(began.elapsed().as_secs(), Duration::from_secs(waited).as_secs());
    }
}

#[tokio::test]
async fn a_receipt_of_another_queue_is_gone() {
    let api = TestApi::over(Arc::new(MemoryStore::of_incarnation(INCARNATION)));
    let mut other = Receipt::default();
    other.add(Source { incarnation: Incarnation([1; 16]), partition: 0 }, Offset(1));
    let answered = count_with(&api, &[("x-luminate-receipt", text(&other))]).await;
    assert_eq!((answered.status, answered.code()), (StatusCode::GONE, "receipt_gone"));
}

#[tokio::test]
async fn what_is_no_receipt_is_refused() {
    let api = TestApi::over(Arc::new(MemoryStore::of_incarnation(INCARNATION)));
    let good = text(&receipt(Offset(0)));
    let cases = [
        vec![("x-luminate-receipt", "nonsense".to_owned())],
        vec![("x-luminate-receipt", "A".repeat(2049))],
        vec![("x-luminate-receipt", good.clone()), ("x-luminate-receipt", String::new())],
        vec![("x-luminate-receipt", good.clone()), ("x-luminate-receipt-timeout", "soon".to_owned())],
        vec![("x-luminate-receipt", good.clone()), ("x-luminate-receipt-timeout", "61s".to_owned())],
    ];
    for headers in cases {
        let answered = count_with(&api, &headers).await;
        assert_eq!((answered.status, answered.code()), (StatusCode::BAD_REQUEST, "receipt_invalid"), "{headers:?}");
    }
    assert_eq!(count_with(&api, &[("x-luminate-receipt", good)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_watermark_is_a_receipt() {
    let memory = Arc::new(MemoryStore::of_incarnation(INCARNATION));
    let written = store(&memory, &tenant("acme"), &[("m", 60, 1.0, &[])]).await;
    let api = TestApi::over(memory);
    let answered = count_with(&api, &[]).await;
    let watermark = answered.body["watermark"].as_str().unwrap().to_owned();
    assert_eq!(watermark, text(&written));
    assert_eq!(count_with(&api, &[("x-luminate-receipt", watermark)]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_closing_store_wakes_who_waits() {
    let memory = Arc::new(MemoryStore::of_incarnation(INCARNATION));
    let api = TestApi::over(memory.clone());
    let headers = [("x-luminate-receipt", text(&receipt(Offset(1))))];
    let mut waiting = Box::pin(count_with(&api, &headers));
    assert!(futures_poll(&mut waiting).await.is_none());
    memory.close();
    assert_eq!(waiting.await.code(), "query_cancelled");
}
