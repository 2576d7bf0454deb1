use luminate_model::{Receipt, TenantId};
use luminate_storage::{IdempotencyEntry, ReachError, Resume, SampleSink, SampleSource, Stored};

use super::*;

#[tokio::test]
async fn a_batch_is_readable_once_it_is_stored_and_after_a_crash() {
    let test = TestStore::new();
    let stored = test.store.write(batch(0, 7, "acme", &rows(500, "a"))).await.unwrap();
    assert_eq!(stored, Stored { already: false, samples: 500, erased: 0 });
    assert_eq!(count(&test.store, "acme", "cpu").await, 500);
    let after = test.crashed();
    assert_eq!(count(&after.store, "acme", "cpu").await, 500);
    assert_eq!(count(&after.store, "beta", "cpu").await, 0);
    assert_eq!(after.store.resume(&source(0)).await.unwrap().next, Some(Offset(8)));
    assert_eq!(after.store.resume(&source(1)).await.unwrap(), Resume::default());
}

#[tokio::test]
async fn a_repeat_is_stored_once_and_a_gap_is_refused() {
    let test = TestStore::new();
    test.store.write(batch(0, 0, "acme", &rows(10, "a"))).await.unwrap();
    test.store.write(batch(0, 1, "acme", &rows(10, "b"))).await.unwrap();
    for repeat in [0, 1] {
        let stored = test.store.write(batch(0, repeat, "acme", &rows(10, "x"))).await.unwrap();
        assert_eq!(stored, Stored { already: true, samples: 0, erased: 0 });
    }
    let error = test.store.write(batch(0, 3, "acme", &rows(10, "c"))).await.unwrap_err();
    assert_eq!(error.code(), "batch_not_contiguous");
    let record: Vec<Row> = rows(1, "d");
    let overlap = batch_of(0, 1, &[("acme", 0, &record), ("acme", 0, &record)]);
    assert_eq!(test.store.write(overlap).await.unwrap_err().code(), "batch_not_contiguous");
    assert_eq!(count(&test.store, "acme", "cpu").await, 20);
}

#[tokio::test]
async fn offsets_without_samples_are_settled_too() {
    let test = TestStore::new();
    let mut empty = batch_of(0, 4, &[]);
    empty.next = Offset(9);
    assert_eq!(test.store.write(empty).await.unwrap(), Stored::default());
    let test = test.reopen().await;
    assert_eq!(test.store.resume(&source(0)).await.unwrap().next, Some(Offset(9)));
    assert_eq!(test.store.stats().blocks, 0);
}

fn entry(of: &TenantId, offset: u64, append_time: i64) -> IdempotencyEntry {
    IdempotencyEntry { tenant: of.clone(), key: 3, part: offset as u32, body: 9, append_time, offset: Offset(offset) }
}

#[tokio::test]
async fn idempotency_entries_are_kept_for_as_long_as_they_may_be_asked_for() {
    let test = TestStore::new();
    let acme = tenant("acme");
    for offset in 0..6 {
        let mut one = batch(0, offset, "acme", &rows(1, "a"));
        one.idempotency = vec![entry(&acme, offset, 1000 + offset as i64)];
        one.forget_idempotency_before = 998 + offset as i64;
        test.store.write(one).await.unwrap();
    }
    let test = test.reopen().await;
    let kept: Vec<u64> =
        test.store.resume(&source(0)).await.unwrap().idempotency.iter().map(|entry| entry.offset.0).collect();
    assert_eq!(kept, [3, 4, 5]);
    let mut last = batch(0, 6, "acme", &rows(1, "a"));
    last.forget_idempotency_before = 5000;
    test.store.write(last).await.unwrap();
    assert_eq!(test.store.resume(&source(0)).await.unwrap().idempotency, []);
}

#[tokio::test]
async fn whoever_waits_for_a_receipt_is_woken_by_the_batch_that_reaches_it() {
    let test = TestStore::new();
    let mut receipt = Receipt::default();
    receipt.add(source(0), Offset(1));
    let mut waiting = Box::pin(test.store.reach(&receipt));
    assert!(futures_are_pending(&mut waiting).await);
    test.store.write(batch(0, 0, "acme", &rows(1, "a"))).await.unwrap();
    waiting.await.unwrap();
    assert_eq!(test.store.watermark().await.unwrap(), receipt);

    let mut other = Receipt::default();
    other.add(Source { incarnation: Incarnation([6; 16]), partition: 0 }, Offset(1));
    assert!(matches!(test.store.reach(&other).await, Err(ReachError::OtherIncarnation(_))));
    let mut more = Receipt::default();
    more.add(source(9), Offset(1));
    let mut waiting = Box::pin(test.store.reach(&more));
    assert!(futures_are_pending(&mut waiting).await, "another partition of a known queue may still come");
    drop(waiting);

    // The queue was made anew: what is left of the old one is stored, and more of it will not come.
    test.store.set_incarnation(Incarnation([6; 16]));
    test.store.reach(&receipt).await.unwrap();
    assert!(matches!(test.store.reach(&more).await, Err(ReachError::OtherIncarnation(_))));
}

/// Polls a future once.
async fn futures_are_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending()))
        .await
}

#[tokio::test]
async fn block_numbers_are_not_given_twice_after_everything_is_gone() {
    let test = TestStore::new();
    test.store.write(batch(0, 0, "acme", &rows(10, "a"))).await.unwrap();
    test.store.merge_all().await.unwrap();
    test.store.erase(&tenant("acme"), &[]).await.unwrap();
    assert_eq!(test.store.stats().blocks, 0);
    let before = test.store.shared.state().next_block;
    assert!(before >= 2, "an arrival and a merged block had numbers");
    let test = test.reopen().await;
    assert_eq!(test.store.shared.state().next_block, before);
}
