//! What an erasure covers is gone and stays away.

use luminate_model::Offset;
use luminate_storage::conformance::batches::batch;
use luminate_storage::{NotedErasure, SampleSink as _, Stored};

use super::fixture::{NOW, Store, samples, source, tenant};

/// Replaced parts are deleted a minute later; tests cannot wait so long.
fn hurry(store: &Store<'_>) {
    store.query(
        "ALTER TABLE {samples} MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 1, \
         max_cleanup_delay_period = 1, cleanup_delay_period_random_add = 0",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn erased_rows_leave_the_disk_and_are_left_out_of_counts() {
    let store = Store::shared().await;
    hurry(&store);
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let both = batch(source(0), 0, 4).with_record(&acme, 0, 0, &samples(5, NOW, 1)).with_record(
        &beta,
        1,
        0,
        &samples(3, NOW, 1),
    );
    store.sink.write(both.clone()).await.unwrap();
    assert_eq!(store.sink.erase(&acme, &[(source(0), Offset(4))]).await.unwrap().samples, 5);
    assert_eq!(store.query("SELECT DISTINCT tenant FROM {samples}"), "beta");
    let parts = format!("SELECT count() FROM system.parts WHERE database = '{}' AND NOT active", store.config.database);
    assert_eq!(store.query(&parts), "0", "no part of before is on the disk");
    assert_eq!(store.sink.write(both).await.unwrap(), Stored { already: true, samples: 0, erased: 5 });
    assert_eq!(store.rows(), 3);
}

/// An erasure that ends within a batch: rows of after it are kept, also when it is carried out later than they were stored,
/// and a batch that was stored before the erasure is not stored again for their sake where others prove that it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_ends_within_a_batch_keeps_what_comes_after() {
    let store = Store::shared().await;
    hurry(&store);
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let erasure = NotedErasure { tenant: acme.clone(), up_to: vec![(source(0), Offset(2))] };
    store.sink.note_erasure(&erasure).await.unwrap();
    let batch = batch(source(0), 0, 4)
        .with_record(&acme, 1, 0, &samples(5, NOW, 1))
        .with_record(&acme, 2, 0, &samples(4, NOW, 1))
        .with_record(&beta, 3, 0, &samples(3, NOW, 1));
    assert_eq!(store.sink.write(batch.clone()).await.unwrap(), Stored { already: false, samples: 7, erased: 5 });
    assert_eq!(store.sink.remove_erased(&acme).await.unwrap().samples, 0);
    assert_eq!(store.rows(), 7);
    assert_eq!(store.sink.write(batch.clone()).await.unwrap(), Stored { already: true, samples: 0, erased: 5 });

    let whole = NotedErasure { tenant: acme.clone(), up_to: vec![(source(0), Offset(3))] };
    store.sink.note_erasure(&whole).await.unwrap();
    assert_eq!(store.sink.unfinished_erasures().await.unwrap(), std::slice::from_ref(&whole));
    assert_eq!(store.sink.remove_erased(&acme).await.unwrap().samples, 4);
    store.sink.finish_erasure(&whole).await.unwrap();
    assert_eq!(store.sink.unfinished_erasures().await.unwrap(), []);
    assert!(store.sink.write(batch).await.unwrap().already);
    assert_eq!(store.rows(), 3);
}

/// Sources that are not named are erased as far as they are stored.
#[tokio::test(flavor = "multi_thread")]
async fn sources_that_are_not_named_are_erased_too() {
    let store = Store::shared().await;
    hurry(&store);
    let acme = tenant("acme");
    for partition in [0, 1] {
        let stored = batch(source(partition), 7, 8).with_record(&acme, 7, 0, &samples(2, NOW, 1));
        store.sink.write(stored).await.unwrap();
    }
    assert_eq!(store.sink.erase(&acme, &[(source(0), Offset(8))]).await.unwrap().samples, 4);
    assert_eq!(store.rows(), 0);
    assert_eq!(store.sink.unfinished_erasures().await.unwrap(), []);
    let later = batch(source(1), 8, 9).with_record(&acme, 8, 0, &samples(2, NOW, 1));
    assert_eq!(store.sink.write(later).await.unwrap().samples, 2);
}

/// Years of topics that were made again: more sources than one parameter or one text of a statement holds.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_may_name_thousands_of_sources() {
    let store = Store::shared().await;
    hurry(&store);
    let acme = tenant("acme");
    let last = source(9_999);
    let stored = batch(last, 7, 8).with_record(&acme, 7, 0, &samples(2, NOW, 1));
    store.sink.write(stored.clone()).await.unwrap();
    let up_to: Vec<_> = (0..10_000).map(|partition| (source(partition), Offset(8))).collect();
    assert_eq!(store.sink.erase(&acme, &up_to).await.unwrap().samples, 2);
    assert_eq!(store.query("SELECT uniqExact(source) FROM {erasures}"), "10000");
    assert_eq!(store.sink.write(stored).await.unwrap().erased, 2);
    assert_eq!((store.rows(), store.sink.unfinished_erasures().await.unwrap()), (0, Vec::new()));
}
