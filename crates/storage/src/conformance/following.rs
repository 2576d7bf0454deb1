//! How far a store has come, and waiting for it: asked of stores that know it by themselves, where the queue does not
//! ([`Watermarks`](crate::Watermarks)).

use luminate_model::{Incarnation, Offset, Receipt, Source};

use super::batches::{batch, sample};
use super::collect::read;
use super::generate::tenant;
use super::{Ending, NOW, StoreFactory, source};
use crate::request::ScanRequest;
use crate::sink::SampleSink;
use crate::source::{ReachError, SampleSource};

fn receipt(places: &[(u32, u64)]) -> Receipt {
    let mut receipt = Receipt::default();
    places.iter().for_each(|(partition, next)| receipt.add(source(*partition), Offset(*next)));
    receipt
}

/// Source by source, also over a restart.
pub async fn the_watermark_follows_the_batches(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    assert_eq!(store.watermark().await.unwrap(), Receipt::default());
    store.write(batch(source(1), 5, 9)).await.unwrap();
    store.write(batch(source(0), 0, 1)).await.unwrap();
    store.write(batch(source(1), 9, 12)).await.unwrap();
    for ending in [Ending::Crash, Ending::Close] {
        assert_eq!(store.watermark().await.unwrap(), receipt(&[(0, 1), (1, 12)]));
        store = factory.reopen(store, ending).await;
    }
}

/// At once where it is stored already; else when it is, and then its samples are readable.
pub async fn a_receipt_is_reached_when_its_batch_is_stored(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    store.write(batch(source(0), 0, 3)).await.unwrap();
    for reached in [&[][..], &[(0, 1)], &[(0, 3)], &[(5, 0)]] {
        assert_eq!(store.reach(&receipt(reached)).await, Ok(()), "{reached:?}");
    }
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move {
            store.reach(&receipt(&[(0, 4), (1, 1)])).await.unwrap();
            read(store.as_ref(), &ScanRequest::new(tenant("acme"), "m", NOW)).await.len()
        })
    };
    let written = |partition, at| {
        batch(source(partition), at, at + 1).with_record(&tenant("acme"), at, 0, &[sample("m", NOW, 1.0, &[])])
    };
    store.write(written(0, 3)).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "one of two sources is not enough");
    store.write(written(1, 0)).await.unwrap();
    assert_eq!(waiting.await.unwrap(), 2);
}

/// Waiting for it would never end.
pub async fn a_receipt_of_another_queue_is_never_reached(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let foreign = Source { incarnation: Incarnation([1; 16]), partition: 0 };
    let mut receipt = receipt(&[(0, 0)]);
    receipt.add(foreign, Offset(1));
    assert_eq!(store.reach(&receipt).await, Err(ReachError::OtherIncarnation(foreign)));
}
