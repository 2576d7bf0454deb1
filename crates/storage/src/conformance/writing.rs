//! Batches are stored once, and found again.

use luminate_model::Sample;

use super::batches::{batch, sample};
use super::collect::read;
use super::generate::tenant;
use super::{Ending, NOW, StoreFactory, source};
use crate::request::ScanRequest;
use crate::sink::{SampleSink, Stored};
use crate::source::SampleSource;

pub(super) fn some(count: i64) -> Vec<Sample> {
    (0..count).map(|at| sample("m", NOW - at * 1000, at as f64, &[("host", "a"), ("nr", "1")])).collect()
}

pub(super) async fn stored_samples(store: &impl SampleSource) -> usize {
    read(store, &ScanRequest::new(tenant("acme"), "m", NOW)).await.len()
}

/// What goes in comes out.
pub async fn a_batch_is_read_back(factory: &mut impl StoreFactory) {
    let store = factory.open().await;
    let acme = tenant("acme");
    let written = [
        sample("m", NOW, 1.5, &[("a", "1"), ("b", "ä\n")]),
        sample("m", NOW - 1, -0.0, &[]),
        sample("m", -5, f64::MAX, &[("a", "1")]),
        sample("m", NOW, 5e-324, &[("b", "2")]),
    ];
    let stored = store.write(batch(source(0), 0, 1).with_record(&acme, 0, 0, &written)).await.unwrap();
    assert_eq!(stored, Stored { already: false, samples: 4, erased: 0 });
    let found = read(store.as_ref(), &ScanRequest::new(acme, "m", NOW)).await;
    let expected = super::collect::in_order(written.to_vec());
    assert_eq!(found, expected);
    assert!(found.iter().zip(&expected).all(|(a, b)| a.value.to_bits() == b.value.to_bits()), "bits of values");
    assert_eq!(store.writable(), Ok(()));
    assert_eq!(store.readable(), Ok(()));
}

/// The same offsets again change nothing, also the first of several batches, also after a restart.
pub async fn a_repeat_is_stored_once(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    let acme = tenant("acme");
    let first = batch(source(0), 0, 2).with_record(&acme, 0, 0, &some(3)).with_record(&acme, 1, 0, &some(2));
    let second = batch(source(0), 2, 5).with_record(&acme, 4, 0, &some(4));
    for fresh in [&first, &second] {
        assert!(!store.write(fresh.clone()).await.unwrap().already);
    }
    for ending in [Ending::Close, Ending::Crash] {
        for repeat in [&first, &second] {
            assert_eq!(store.write(repeat.clone()).await.unwrap(), Stored { already: true, samples: 0, erased: 0 });
        }
        assert_eq!(stored_samples(store.as_ref()).await, 9);
        store = factory.reopen(store, ending).await;
    }
}

/// Once a write has returned, nothing of it is lost.
pub async fn what_is_written_survives_a_crash(factory: &mut impl StoreFactory) {
    let mut store = factory.open().await;
    for at in 0..6 {
        store.write(batch(source(0), at, at + 1).with_record(&tenant("acme"), at, 0, &some(2))).await.unwrap();
        store = factory.reopen(store, if at % 2 == 0 { Ending::Crash } else { Ending::Close }).await;
        assert_eq!(stored_samples(store.as_ref()).await, 2 * (at as usize + 1));
    }
}
