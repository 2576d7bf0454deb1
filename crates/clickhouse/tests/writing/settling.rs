//! What is found out after doubt, and what is done about it.

use luminate_storage::{IntentSink as _, Permit, StorageError, StoreTarget, Stored};

use super::fixture::{DAY, NOW, Store, many_days, one_day, tenant};

async fn settle(store: &Store<'_>, batch: &luminate_storage::Batch) -> Result<Stored, StorageError> {
    store.sink.settle(batch, &store.target().await, Permit::unlimited()).await
}

/// The answer got lost: everything is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_left_alone() {
    let store = Store::shared().await;
    let batch = many_days(10, 20, 3);
    store.insert(&batch).await;
    assert!(settle(&store, &batch).await.unwrap().already);
    assert_eq!(store.rows(), 3);
}

/// The server knows the token and has no rows, as after a crash between its log of tokens and the part's rename. (A mutation
/// removes rows and keeps tokens.)
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_known_token_hides_are_stored() {
    let store = Store::shared().await;
    let batch = one_day(0, 5, 10);
    for _ in 0..3 {
        store.insert(&batch).await;
        store.query("ALTER TABLE {samples} DELETE WHERE 1 SETTINGS mutations_sync = 2");
        store.insert(&batch).await;
        assert_eq!(store.rows(), 0, "the token alone loses the rows");
        assert_eq!(settle(&store, &batch).await.unwrap(), Stored { already: false, samples: 10, erased: 0 });
        assert_eq!(store.rows(), 10);
        assert!(settle(&store, &batch).await.unwrap().already);
    }
}

/// A restart after the window of tokens has passed.
#[tokio::test(flavor = "multi_thread")]
async fn rows_whose_token_is_forgotten_are_not_doubled() {
    let store = Store::shared().await;
    store.query("ALTER TABLE {samples} MODIFY SETTING non_replicated_deduplication_window = 1");
    let (first, second) = (one_day(0, 1, 10), one_day(1, 2, 10));
    store.insert(&first).await;
    store.insert(&second).await;
    for batch in [&first, &second] {
        assert!(settle(&store, batch).await.unwrap().already);
    }
    assert_eq!(store.rows(), 20);
    store.insert(&first).await;
    assert_eq!(store.rows(), 30, "the token alone doubles the rows");
}

/// The table of samples has another name since the intent: what the intent names is looked into and stored into, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_is_settled_in_the_table_that_it_names() {
    let store = Store::shared().await;
    store.query("CREATE TABLE {samples}_2 AS {samples}");
    let table = format!("{}_2", store.target().await.table);
    let target = StoreTarget { table, ..store.target().await };
    let rows = |table: &str| store.query(&format!("SELECT count() FROM {table}"));
    let (stored, missing) = (one_day(0, 1, 10), many_days(1, 2, 3));
    store.sink.insert(&stored, &target, Permit::unlimited()).await.unwrap();
    let settled = async |batch| store.sink.settle(batch, &target, Permit::unlimited()).await.unwrap();
    assert!(settled(&stored).await.already);
    assert_eq!(settled(&missing).await, Stored { already: false, samples: 3, erased: 0 });
    assert_eq!((rows("{samples}_2"), rows("{samples}")), ("13".to_owned(), "0".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_slice_of_many_is_stored_alone() {
    let store = Store::shared().await;
    let batch = many_days(0, 1, 5);
    store.insert(&batch).await;
    store.query("ALTER TABLE {samples} DROP PARTITION 20250103");
    assert_eq!(settle(&store, &batch).await.unwrap(), Stored { already: false, samples: 1, erased: 0 });
    assert_eq!(store.rows(), 5);
    assert!(settle(&store, &batch).await.unwrap().already);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_in_part_or_twice_is_damage() {
    let store = Store::shared().await;
    let batch = one_day(0, 1, 10);
    store.insert(&batch).await;
    store.query("ALTER TABLE {samples} DELETE WHERE value = 3 SETTINGS mutations_sync = 2");
    let part = settle(&store, &batch).await.unwrap_err();
    assert!(matches!(&part, StorageError::Damaged(what) if what.contains("has 9 rows where 10")), "{part}");
    store.query("INSERT INTO {samples} SELECT * FROM {samples}");
    let twice = settle(&store, &batch).await.unwrap_err();
    assert!(matches!(&twice, StorageError::Damaged(what) if what.contains("has 18 rows where 10")), "{twice}");
}

/// Rows of other batches, sources and tenants are nobody's proof.
#[tokio::test(flavor = "multi_thread")]
async fn only_rows_of_the_batch_count() {
    let store = Store::shared().await;
    let [before, batch, after] = [(0, 4), (4, 8), (8, 12)].map(|(first, next)| one_day(first, next, 10));
    store.insert(&before).await;
    store.insert(&after).await;
    let mut elsewhere = one_day(4, 8, 10);
    elsewhere.source.partition = 1;
    store.insert(&elsewhere).await;
    assert_eq!(settle(&store, &batch).await.unwrap().samples, 10);
    assert_eq!(store.rows(), 40);
}

/// More metrics than a condition names: time and batch narrow alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_metrics_is_counted() {
    use luminate_storage::conformance::batches::{batch, sample};
    let store = Store::shared().await;
    let many: Vec<_> = (0..3000).map(|at| sample(&format!("m{at}"), NOW + at % 2 * DAY, 1.0, &[("k", "v")])).collect();
    let batch = batch(super::fixture::source(0), 0, 1).with_record(&tenant("acme"), 0, 0, &many);
    assert_eq!(settle(&store, &batch).await.unwrap().samples, 3000);
    assert!(settle(&store, &batch).await.unwrap().already);
}

/// More tenants and longer names than a server takes in one parameter.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_many_tenants_or_long_metrics_is_counted() {
    use luminate_storage::conformance::batches::{batch, sample};
    let store = Store::shared().await;
    let mut of_many = batch(super::fixture::source(0), 0, 6000);
    for at in 0..6000 {
        of_many =
            of_many.with_record(&tenant(&format!("tenant-with-a-name{at:05}")), at, 0, &[sample("m", NOW, 1.0, &[])]);
    }
    let long: Vec<_> = (0..1000).map(|at| sample(&format!("{at:_>250}"), NOW, 1.0, &[])).collect();
    let of_long = batch(super::fixture::source(0), 6000, 6001).with_record(&tenant("acme"), 6000, 0, &long);
    for (batch, rows) in [(&of_many, 6000), (&of_long, 1000)] {
        assert_eq!(settle(&store, batch).await.unwrap(), Stored { already: false, samples: rows, erased: 0 });
        assert!(settle(&store, batch).await.unwrap().already);
    }
    store.query("ALTER TABLE {samples} DELETE WHERE tenant = 'tenant-with-a-name05999' SETTINGS mutations_sync = 2");
    let part = settle(&store, &of_many).await.unwrap_err();
    assert!(matches!(&part, StorageError::Damaged(what) if what.contains("has 5999 rows where 6000")), "{part}");
}

/// Rows of tenants that an erasure covers or cuts are nobody's proof, however many tenants there are.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_tenants_only_those_count_that_no_erasure_touches() {
    use luminate_model::Offset;
    use luminate_storage::conformance::batches::{batch, sample};
    use luminate_storage::{NotedErasure, SampleSink as _};
    let store = Store::shared().await;
    let mut of_many = batch(super::fixture::source(0), 0, 6000);
    for at in 0..6000 {
        of_many =
            of_many.with_record(&tenant(&format!("tenant-with-a-name{at:05}")), at, 0, &[sample("m", NOW, 1.0, &[])]);
    }
    assert_eq!(store.insert(&of_many).await, 6000);
    for (name, end) in [("tenant-with-a-name00007", 6000), ("tenant-with-a-name05000", 3000)] {
        let up_to = vec![(super::fixture::source(0), Offset(end))];
        store.sink.note_erasure(&NotedErasure { tenant: tenant(name), up_to }).await.unwrap();
    }
    // Of the first all is covered, and may or may not be removed yet; of the second, what is after the end.
    assert!(settle(&store, &of_many).await.unwrap().already);
    store.query(
        "ALTER TABLE {samples} DELETE WHERE tenant LIKE '%00007' OR tenant LIKE '%05000' SETTINGS mutations_sync = 2",
    );
    assert!(settle(&store, &of_many).await.unwrap().already);
}
