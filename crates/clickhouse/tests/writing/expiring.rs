//! Retention over all times.

use luminate_clickhouse::ClickHouseSink;
use luminate_model::time::{END_TIMESTAMP, MAX_RETENTION_DAYS, MIN_TIMESTAMP};
use luminate_runtime::clock::system_clock;
use luminate_storage::conformance::batches::{batch, sample};
use luminate_storage::{Batch, IntentSink as _, Permit, Stored};

use super::fixture::{DAY, Store, source, tenant};

/// A sink that has the server's clock, because here the server judges as well.
fn with_the_servers_clock(mut store: Store<'static>) -> Store<'static> {
    store.sink = ClickHouseSink::new(store.config.clone(), system_clock()).unwrap();
    store
}

async fn settle(store: &Store<'_>, batch: &Batch) -> Stored {
    store.sink.settle(batch, &store.target().await, Permit::unlimited()).await.unwrap()
}

/// DateTime's arithmetic wraps before 1970 and after 2106; the table's does not.
#[tokio::test(flavor = "multi_thread")]
async fn samples_expire_by_their_retention_and_never_otherwise() {
    let store = with_the_servers_clock(Store::shared().await);
    let now = system_clock()();
    let times = [MIN_TIMESTAMP, -1, 0, now - 10_001 * DAY, now - 2 * DAY, now, 4_294_967_295_000, END_TIMESTAMP - 1];
    let mut written = batch(source(0), 0, 9);
    for (offset, days) in [0, 1, 30, MAX_RETENTION_DAYS].into_iter().enumerate() {
        let samples: Vec<_> = times.iter().map(|at| sample("m", *at, 1.0, &[])).collect();
        written = written.with_record(&tenant("acme"), offset as u64, days, &samples);
    }
    store.insert(&written).await;
    store.query("OPTIMIZE TABLE {samples} FINAL");
    for days in [0, 1, 30, i64::from(MAX_RETENTION_DAYS)] {
        let kept: Vec<i64> = times.into_iter().filter(|at| days == 0 || *at + days * DAY > now).collect();
        let found = store.query(&format!(
            "SELECT arraySort(groupArray(toUnixTimestamp64Milli(ts))) FROM {{samples}} WHERE retention_days = {days}"
        ));
        assert_eq!(found, format!("{kept:?}").replace(' ', ""), "kept for {days} days");
    }
}

/// Rows that the server has removed by their retention are missed on neither side.
#[tokio::test(flavor = "multi_thread")]
async fn expired_rows_are_left_out_of_the_count() {
    let store = with_the_servers_clock(Store::shared().await);
    let now = system_clock()();
    let (acme, old) = (tenant("acme"), [sample("old", now - 2 * DAY, 1.0, &[])]);
    let kept = [sample("kept", now - 2 * DAY, 1.0, &[])];
    let mixed = batch(source(0), 0, 2).with_record(&acme, 0, 1, &old).with_record(&acme, 1, 0, &kept);
    store.insert(&mixed).await;
    assert!(settle(&store, &mixed).await.already, "before the server has removed them");
    store.query("OPTIMIZE TABLE {samples} FINAL");
    assert_eq!(store.rows(), 1);
    assert!(settle(&store, &mixed).await.already, "and after");
    assert_eq!(store.rows(), 1);
}

/// A slice of which every row may have expired by the server's clock is stored where any of it is found.
#[tokio::test(flavor = "multi_thread")]
async fn rows_about_to_expire_are_not_doubled() {
    let store = with_the_servers_clock(Store::shared().await);
    let soon = system_clock()() - DAY + 600_000;
    let expiring = batch(source(0), 0, 1).with_record(&tenant("acme"), 0, 1, &[sample("m", soon, 1.0, &[])]);
    assert_eq!(settle(&store, &expiring).await.samples, 1);
    assert!(settle(&store, &expiring).await.already);
    assert_eq!(store.rows(), 1);
}
