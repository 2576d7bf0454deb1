//! Generated histories are read back as the oracle has them.

use super::collect::{in_order, read};
use super::dice::Dice;
use super::generate::{catalogue_request, history, scan_request, tenants};
use super::{Ending, INCARNATION, StoreFactory, ample};
use crate::memory::MemoryStore;
use crate::sink::SampleSink;
use crate::source::SampleSource;

/// Questions asked each time.
const QUESTIONS: usize = 40;

/// Scans and catalogue, over repeats, crashes and an erasure.
pub async fn generated_histories_are_read_back(factory: &mut impl StoreFactory) {
    let mut dice = Dice::new(17);
    let oracle = MemoryStore::of_incarnation(INCARNATION);
    let mut store = factory.open().await;
    let (batches, occurrences) = history(&mut dice, INCARNATION, 4000);
    assert!(occurrences.series_over_batches > 20 && occurrences.duplicates > 20 && occurrences.expired > 20);
    let (half, repeats) = (batches.len() / 2, 3);
    for (at, batch) in batches.into_iter().enumerate() {
        for _ in 0..if dice.once_in(10) { repeats } else { 1 } {
            let ours = store.write(batch.clone()).await.unwrap();
            let theirs = oracle.write(batch.clone()).await.unwrap();
            // By what is stored nobody can tell whether a batch without samples was there before.
            assert!(ours == theirs || batch.samples() == 0, "{ours:?} instead of {theirs:?}");
        }
        if at == half {
            let ends = oracle.watermark().await.unwrap();
            let erased = store.erase(&tenants()[1], ends.places()).await.unwrap();
            assert_eq!(erased, oracle.erase(&tenants()[1], ends.places()).await.unwrap());
            assert!(erased.samples > 0);
        }
        if at == half || dice.once_in(40) {
            store = factory.reopen(store, if dice.once_in(2) { Ending::Crash } else { Ending::Close }).await;
        }
    }
    let mut samples = 0;
    for _ in 0..QUESTIONS {
        let scan = scan_request(&mut dice);
        let found = read(store.as_ref(), &scan).await;
        samples += found.len();
        assert_eq!(found, in_order(oracle.select(&scan)), "{scan:#?}");
        let page = catalogue_request(&mut dice);
        let ours = store.dimension_values("endpoint", &page, &ample()).await.unwrap();
        assert_eq!(ours, oracle.dimension_values("endpoint", &page, &ample()).await.unwrap(), "{page:#?}");
        let ours = store.metrics(&page, &ample()).await.unwrap();
        assert_eq!(ours, oracle.metrics(&page, &ample()).await.unwrap(), "{page:#?}");
        let ours = store.dimension_keys(&page, &ample()).await.unwrap();
        assert_eq!(ours, oracle.dimension_keys(&page, &ample()).await.unwrap(), "{page:#?}");
    }
    assert!(samples > 1000, "the questions found {samples} samples");
}
