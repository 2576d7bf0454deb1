//! Rows arrive as they were sent, once.

use std::time::Duration;

use luminate_storage::conformance::batches::{batch, sample};
use luminate_storage::{IntentSink as _, Permit, SampleSink as _, StorageError, Stored};

use super::fixture::{NOW, Store, many_days, one_day, source, tenant};

/// Everything that a row can hold, and empty maps and dictionaries of more than 256 and more than 65536 entries.
#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive_as_they_were_sent() {
    let store = Store::shared().await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let odd = "a'b\\c\t\"\n ä€😀";
    let first = [
        sample("m", NOW + 2, -0.1, &[("k", odd), ("z", "1")]),
        sample(odd, NOW + 1, f64::MAX, &[]),
        sample("m", NOW, 1.5, &[("a", &"x".repeat(300))]),
    ];
    let written = batch(source(0), 5, 9).with_record(&beta, 5, 10_000, &first).with_record(&acme, 8, 0, &first[..1]);
    assert_eq!(store.insert(&written).await, 4);
    let rows = store.query(
        "SELECT tenant, metric, toUnixTimestamp64Milli(ts), value, dimensions, retention_days, source, batch \
         FROM {samples} ORDER BY tenant, metric, ts FORMAT JSONCompactEachRow",
    );
    let rows: Vec<serde_json::Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let place = source(0).to_string();
    let row = |tenant: &str, metric: &str, at: i64, value: f64, dimensions: serde_json::Value, days: u16| {
        serde_json::json!([tenant, metric, at, value, dimensions, days, place, 5])
    };
    let expected = [
        row("acme", "m", NOW + 2, -0.1, serde_json::json!({"k": odd, "z": "1"}), 0),
        row("beta", odd, NOW + 1, f64::MAX, serde_json::json!({}), 10_000),
        row("beta", "m", NOW, 1.5, serde_json::json!({"a": "x".repeat(300)}), 10_000),
        row("beta", "m", NOW + 2, -0.1, serde_json::json!({"k": odd, "z": "1"}), 10_000),
    ];
    assert_eq!(rows, expected);

    let none = batch(source(0), 9, 10).with_record(&acme, 9, 0, &[sample("no_dimensions", NOW, 1.0, &[])]);
    assert_eq!(store.insert(&none).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wide_dictionaries_arrive() {
    let store = Store::shared().await;
    for (first, names) in [(0_u64, 300_usize), (1, 70_000)] {
        let many: Vec<_> = (0..names).map(|at| sample(&format!("m{at:05}"), NOW, at as f64, &[("k", "v")])).collect();
        let written = batch(source(0), first, first + 1).with_record(&tenant("acme"), first, 0, &many);
        assert_eq!(store.insert(&written).await, names as u64);
        let wrong = format!(
            "SELECT count(), countIf(value != toUInt32(substring(metric, 2))) FROM {{samples}} WHERE batch = {first}"
        );
        assert_eq!(store.query(&wrong), format!("{names}\t0"));
    }
    let keys: Vec<(String, String)> = (0..400).map(|at| (format!("k{at:03}"), format!("v{at}"))).collect();
    let each = keys.iter().map(|(key, value)| sample("keys", NOW, 0.0, &[(key, value)])).collect::<Vec<_>>();
    store.insert(&batch(source(0), 2, 3).with_record(&tenant("acme"), 2, 0, &each)).await;
    let fits = "SELECT countIf(substring(mapKeys(dimensions)[1], 2) = leftPad(substring(mapValues(dimensions)[1], 2), 3, '0')) \
                FROM {samples} WHERE metric = 'keys'";
    assert_eq!(store.query(fits), "400");
}

/// More rows than a block of the server's own making would have: still one part.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_is_one_part() {
    let store = Store::shared().await;
    assert_eq!(store.insert(&one_day(0, 1, 70_000)).await, 70_000);
    assert_eq!(store.query("SELECT count(), uniqExact(_part) FROM {samples}"), "70000\t1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batch_twice_is_stored_once() {
    let store = Store::shared().await;
    let batch = many_days(3, 7, 4);
    assert_eq!(store.sink.write(batch.clone()).await.unwrap(), Stored { already: false, samples: 4, erased: 0 });
    for _ in 0..2 {
        assert_eq!(store.sink.write(batch.clone()).await.unwrap(), Stored { already: true, samples: 0, erased: 0 });
    }
    // The token alone holds as well, as long as the server knows it.
    store.insert(&batch).await;
    assert_eq!(store.rows(), 4);
    assert_eq!(store.query("SELECT uniqExact(_partition_id) FROM {samples}"), "4");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_before_1970_and_far_ahead_arrive_in_slices_of_their_names() {
    let store = Store::shared().await;
    let times = [luminate_model::time::MIN_TIMESTAMP, -1, 0, NOW, luminate_model::time::END_TIMESTAMP - 1];
    let samples: Vec<_> = times.iter().map(|at| sample("m", *at, 1.0, &[])).collect();
    let batch = batch(source(0), 0, 1).with_record(&tenant("acme"), 0, 0, &samples);
    assert_eq!(store.sink.write(batch.clone()).await.unwrap().samples, 5);
    assert!(store.sink.write(batch).await.unwrap().already);
    let found =
        store.query("SELECT groupArray(t) FROM (SELECT toUnixTimestamp64Milli(ts) AS t FROM {samples} ORDER BY t)");
    assert_eq!(found, format!("{times:?}").replace(' ', ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_nothing_is_sent() {
    let store = Store::shared().await;
    let (batch, target) = (one_day(0, 1, 10), store.target().await);
    for over in [Duration::ZERO, Duration::from_millis(50)] {
        let permit = Permit::from(Permit::now(), over);
        let inserted = store.sink.insert(&batch, &target, permit).await;
        assert!(matches!(inserted, Err(StorageError::PermitExpired)), "{inserted:?}");
        let settled = store.sink.settle(&batch, &target, permit).await;
        assert!(matches!(settled, Err(StorageError::PermitExpired)), "{settled:?}");
    }
    assert_eq!(store.rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_to_do() {
    let store = Store::shared().await;
    let batch = one_day(0, 1, 10);
    let unknown = luminate_storage::StoreTarget { shard: "gone".to_owned(), ..store.target().await };
    let error = store.sink.insert(&batch, &unknown, Permit::unlimited()).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("no shard `gone`"), "{error}");
    let later = luminate_storage::StoreTarget { format: 2, ..store.target().await };
    let error = store.sink.settle(&batch, &later, Permit::unlimited()).await.unwrap_err();
    assert!(matches!(error, StorageError::Damaged(_)), "{error}");
    store.query("ALTER TABLE {samples} MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1, max_avg_part_size_for_too_many_parts = 0");
    store.query("SYSTEM STOP MERGES {samples}");
    let mut refused = None;
    for at in 0..5 {
        let next = one_day(at, at + 1, 10);
        if let Err(error) = store.sink.insert(&next, &store.target().await, Permit::unlimited()).await {
            refused = Some((at, error));
            break;
        }
    }
    let (at, error) = refused.expect("too many parts");
    assert!(error.is_retryable() && error.to_string().contains("slow down"), "{error}");
    assert_eq!(store.rows(), at * 10, "nothing of the refused batch is stored");
}
