//! Where to go on with a source: asked of stores that know by themselves how far each one is stored. Where the queue's
//! commit decides ([`SampleSink::intents`]), a batch that does not continue what is stored cannot be told from one that does,
//! and idempotency entries are read again from the queue.

use luminate_model::Offset;

use super::batches::batch;
use super::generate::tenant;
use super::writing::{some, stored_samples};
use super::{Ending, NOW, StoreFactory, source};
use crate::error::StorageError;
use crate::sink::{SampleSink, Stored};

fn is_not_contiguous(result: Result<Stored, StorageError>, stored: u64) -> bool {
    matches!(result, Err(StorageError::NotContiguous { stored: at, .. }) if at == Offset(stored))
}

/// Neither gaps nor overlaps are stored, and they change nothing.
pub async fn what_does_not_continue_is_refused(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let acme = tenant("acme");
    store.write(batch(source(0), 0, 5).with_record(&acme, 0, 0, &some(1))).await.unwrap();
    let gap = batch(source(0), 6, 7).with_record(&acme, 6, 0, &some(1));
    let overlap = batch(source(0), 4, 7).with_record(&acme, 6, 0, &some(1));
    let around = batch(source(0), 0, 6).with_record(&acme, 5, 0, &some(1));
    for bad in [gap, overlap, around] {
        assert!(is_not_contiguous(store.write(bad).await, 5));
    }
    assert_eq!(stored_samples(store.as_ref()).await, 1);
    let next = batch(source(0), 5, 7).with_record(&acme, 6, 0, &some(1));
    assert_eq!(store.write(next).await.unwrap().samples, 1);
}

/// A queue may have lost its first records long ago.
pub async fn a_first_batch_may_start_anywhere(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    assert_eq!(store.resume(&source(7)).await.unwrap().next, None);
    store.write(batch(source(7), 1000, 1001).with_record(&tenant("acme"), 1000, 0, &some(1))).await.unwrap();
    assert_eq!(store.resume(&source(7)).await.unwrap().next, Some(Offset(1001)));
    assert!(is_not_contiguous(store.write(batch(source(7), 1500, 1501)).await, 1001));
}

/// Offsets of one partition say nothing of another's.
pub async fn sources_go_on_by_themselves(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let acme = tenant("acme");
    for partition in [3, 0, 1] {
        store.write(batch(source(partition), 0, 2).with_record(&acme, 1, 0, &some(1))).await.unwrap();
    }
    store.write(batch(source(0), 2, 9)).await.unwrap();
    for (partition, next) in [(0, Some(9)), (1, Some(2)), (2, None), (3, Some(2))] {
        assert_eq!(store.resume(&source(partition)).await.unwrap().next, next.map(Offset));
    }
    assert_eq!(stored_samples(store.as_ref()).await, 3);
}

/// Offsets that hold nothing to store are passed all the same.
pub async fn a_batch_without_samples_moves_on(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    assert_eq!(store.write(batch(source(0), 0, 3)).await.unwrap(), Stored::default());
    let empty_record = batch(source(0), 3, 4).with_record(&tenant("acme"), 3, 0, &[]);
    assert_eq!(store.write(empty_record.clone()).await.unwrap(), Stored::default());
    assert!(store.write(empty_record).await.unwrap().already);
    store = factory.reopen(store, Ending::Crash).await;
    assert_eq!(store.resume(&source(0)).await.unwrap().next, Some(Offset(4)));
    assert_eq!(stored_samples(store.as_ref()).await, 0);
}

/// What a write has moved on, neither a repeat nor a restart moves back.
pub async fn the_next_offset_survives_repeats_and_crashes(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    let acme = tenant("acme");
    for at in 0..6 {
        let entry_time = NOW + at as i64;
        let written =
            batch(source(0), at, at + 1).with_record(&acme, at, 0, &some(2)).with_entry(&acme, at, entry_time);
        store.write(written.clone()).await.unwrap();
        store = factory.reopen(store, if at % 2 == 0 { Ending::Crash } else { Ending::Close }).await;
        assert!(store.write(written).await.unwrap().already);
        let resume = store.resume(&source(0)).await.unwrap();
        assert_eq!(resume.next, Some(Offset(at + 1)));
        assert_eq!(resume.idempotency.len(), at as usize + 1);
    }
}

/// What the writer leaves for its successor is there, in order, until it is said to be old.
pub async fn idempotency_entries_are_found_again_until_forgotten(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let first = batch(source(0), 0, 3).with_entry(&acme, 0, NOW).with_entry(&beta, 2, NOW + 20);
    let second = batch(source(0), 3, 5).with_entry(&acme, 3, NOW + 10).with_entry(&acme, 4, NOW + 30);
    let other = batch(source(1), 0, 1).with_entry(&acme, 0, NOW);
    let mut expected = [first.idempotency.clone(), second.idempotency.clone()].concat();
    for written in [first, second, other.clone()] {
        store.write(written).await.unwrap();
    }
    store = factory.reopen(store, Ending::Crash).await;
    assert_eq!(store.resume(&source(0)).await.unwrap().idempotency, expected);

    let mut forgetting = batch(source(0), 5, 6).with_entry(&beta, 5, NOW + 40);
    forgetting.forget_idempotency_before = NOW + 20;
    expected.extend(forgetting.idempotency.clone());
    expected.retain(|entry| entry.append_time >= NOW + 20);
    store.write(forgetting).await.unwrap();
    for ending in [Ending::Close, Ending::Crash] {
        assert_eq!(store.resume(&source(0)).await.unwrap().idempotency, expected);
        // Another partition's entries are judged by its own batches.
        assert_eq!(store.resume(&source(1)).await.unwrap().idempotency, other.idempotency);
        store = factory.reopen(store, ending).await;
    }
}

/// An erasure takes the tenant's entries, and leaves others' and the place to go on.
pub async fn an_erasure_leaves_the_next_offset(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let both = batch(source(0), 0, 2).with_record(&acme, 0, 0, &some(1)).with_record(&beta, 1, 0, &some(1));
    store.write(both.with_entry(&acme, 0, NOW).with_entry(&beta, 1, NOW)).await.unwrap();
    store.erase(&acme, &[(source(0), Offset(2))]).await.unwrap();
    for ending in [Ending::Crash, Ending::Close] {
        let resume = store.resume(&source(0)).await.unwrap();
        assert_eq!(resume.next, Some(Offset(2)));
        assert!(resume.idempotency.iter().map(|entry| &entry.tenant).eq([&beta]));
        store = factory.reopen(store, ending).await;
    }
}
