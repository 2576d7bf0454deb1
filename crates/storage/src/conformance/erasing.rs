//! What is erased is gone, and replays do not bring it back.

use luminate_model::{Offset, Sample, TenantId};

use super::batches::{batch, sample};
use super::collect::read;
use super::generate::tenant;
use super::{Ending, NOW, StoreFactory, ample, source};
use crate::request::{CatalogueRequest, ScanRequest};
use crate::sink::{Erased, NotedErasure, SampleSink, Stored};
use crate::source::SampleSource;

fn one(value: f64) -> [Sample; 1] {
    [sample("m", NOW, value, &[("host", "a")])]
}

async fn values(store: &impl SampleSource, of: &TenantId) -> Vec<f64> {
    read(store, &ScanRequest::new(of.clone(), "m", NOW)).await.iter().map(|sample| sample.value).collect()
}

/// Samples and catalogue of the tenant are gone; everything else is as it was.
pub async fn an_erased_tenant_is_gone_and_others_stay(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    for partition in [0, 1] {
        let both =
            batch(source(partition), 0, 2).with_record(&acme, 0, 0, &one(1.0)).with_record(&beta, 1, 0, &one(2.0));
        store.write(both).await.unwrap();
    }
    let erased = store.erase(&acme, &[(source(0), Offset(2)), (source(1), Offset(2))]).await.unwrap();
    assert_eq!(erased, Erased { samples: 2 });
    for ending in [Ending::Crash, Ending::Close] {
        assert_eq!(values(store.as_ref(), &acme).await, [0.0; 0]);
        assert_eq!(values(store.as_ref(), &beta).await, [2.0, 2.0]);
        let metrics = store.metrics(&CatalogueRequest::new(acme.clone(), 10, NOW), &ample()).await.unwrap();
        assert_eq!(metrics.entries, []);
        store = factory.reopen(store, ending).await;
    }
    let fresh = batch(source(0), 2, 3).with_record(&acme, 2, 0, &one(3.0));
    assert_eq!(store.write(fresh).await.unwrap(), Stored { already: false, samples: 1, erased: 0 });
    assert_eq!(values(store.as_ref(), &acme).await, [3.0]);
}

/// Only batches that begin before the erasure's end are covered, of the sources that it names; others are covered as far as
/// they are stored.
pub async fn a_replay_does_not_undo_an_erasure(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    let acme = tenant("acme");
    let first = batch(source(0), 0, 2).with_record(&acme, 0, 0, &one(1.0));
    let second = batch(source(0), 2, 3).with_record(&acme, 2, 0, &one(2.0));
    let of_other = batch(source(1), 0, 1).with_record(&acme, 0, 0, &one(3.0));
    store.write(first.clone()).await.unwrap();
    store.write(of_other.clone()).await.unwrap();
    assert_eq!(store.erase(&acme, &[(source(0), Offset(2))]).await.unwrap(), Erased { samples: 2 });
    store.write(second.clone()).await.unwrap();
    for ending in [Ending::Crash, Ending::Close] {
        assert!(store.write(first.clone()).await.unwrap().already);
        assert!(store.write(second.clone()).await.unwrap().already);
        assert!(store.write(of_other.clone()).await.unwrap().already);
        assert_eq!(values(store.as_ref(), &acme).await, [2.0], "the offset after the erasure's end stays");
        store = factory.reopen(store, ending).await;
    }
}

/// An erasure may end where the store has not come yet: what was acknowledged before it and not stored is erased too.
pub async fn an_erasure_reaches_into_what_is_to_come(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    store.write(batch(source(0), 0, 1).with_record(&acme, 0, 0, &one(1.0))).await.unwrap();
    let ends = [(source(0), Offset(3)), (source(1), Offset(1))];
    assert_eq!(store.erase(&acme, &ends).await.unwrap(), Erased { samples: 1 });
    store = factory.reopen(store, Ending::Crash).await;
    let late = batch(source(0), 1, 5)
        .with_record(&acme, 1, 0, &one(2.0))
        .with_record(&beta, 2, 0, &one(3.0))
        .with_record(&acme, 3, 0, &one(4.0));
    assert_eq!(store.write(late).await.unwrap(), Stored { already: false, samples: 2, erased: 1 });
    let of_other = batch(source(1), 0, 2).with_record(&acme, 0, 0, &one(5.0)).with_record(&acme, 1, 0, &one(6.0));
    assert_eq!(store.write(of_other).await.unwrap(), Stored { already: false, samples: 1, erased: 1 });
    assert_eq!(values(store.as_ref(), &acme).await, [4.0, 6.0]);
    assert_eq!(values(store.as_ref(), &beta).await, [3.0]);
}

/// Erasing again finds nothing, takes nothing back, and a shorter one does not shorten the longer.
pub async fn an_erasure_may_be_repeated(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let acme = tenant("acme");
    store.write(batch(source(0), 0, 1).with_record(&acme, 0, 0, &one(1.0))).await.unwrap();
    assert_eq!(store.erase(&acme, &[(source(0), Offset(2))]).await.unwrap(), Erased { samples: 1 });
    for end in [2, 1] {
        assert_eq!(store.erase(&acme, &[(source(0), Offset(end))]).await.unwrap(), Erased { samples: 0 });
    }
    assert_eq!(store.erase(&tenant("nobody"), &[]).await.unwrap(), Erased { samples: 0 });
    let late = batch(source(0), 1, 3).with_record(&acme, 1, 0, &one(2.0)).with_record(&acme, 2, 0, &one(3.0));
    assert_eq!(store.write(late).await.unwrap(), Stored { already: false, samples: 1, erased: 1 });
    assert_eq!(values(store.as_ref(), &acme).await, [3.0]);
}

/// What was noted and not finished is found again after a crash, until it is finished.
pub async fn an_erasure_that_was_noted_survives_a_crash(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let both = batch(source(0), 0, 2).with_record(&acme, 0, 0, &one(1.0)).with_record(&beta, 1, 0, &one(2.0));
    store.write(both).await.unwrap();
    let erasure = NotedErasure { tenant: acme.clone(), up_to: vec![(source(0), Offset(3)), (source(1), Offset(1))] };
    store.note_erasure(&erasure).await.unwrap();

    let store = factory.reopen(store, Ending::Crash).await;
    assert_eq!(store.unfinished_erasures().await.unwrap(), std::slice::from_ref(&erasure));
    let late = batch(source(0), 2, 4).with_record(&acme, 2, 0, &one(3.0)).with_record(&acme, 3, 0, &one(4.0));
    assert_eq!(store.write(late).await.unwrap(), Stored { already: false, samples: 1, erased: 1 });
    store.remove_erased(&acme).await.unwrap();
    assert_eq!((values(store.as_ref(), &acme).await, values(store.as_ref(), &beta).await), (vec![4.0], vec![2.0]));

    let later = NotedErasure { tenant: acme.clone(), up_to: vec![(source(0), Offset(4)), (source(1), Offset(1))] };
    store.note_erasure(&later).await.unwrap();
    store.finish_erasure(&erasure).await.unwrap();
    assert_eq!(
        store.unfinished_erasures().await.unwrap(),
        std::slice::from_ref(&later),
        "the later one is not finished"
    );
    assert_eq!(store.remove_erased(&acme).await.unwrap(), Erased { samples: 1 });
    store.finish_erasure(&later).await.unwrap();
    let store = factory.reopen(store, Ending::Crash).await;
    assert_eq!(store.unfinished_erasures().await.unwrap(), []);
    assert!(values(store.as_ref(), &acme).await.is_empty());
}
