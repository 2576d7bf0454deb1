use std::collections::BTreeMap;

use luminate_model::TenantRetention;
use luminate_model::time::DAY_MS;
use luminate_storage::SampleSink;

use super::*;
use crate::store::stats::folder_bytes;

/// Samples of ten days, `per_day` each, values hard to compress.
fn ten_days(per_day: usize) -> Vec<Row> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let row = |at: usize| {
        let time = NOW - (at % 10) as i64 * DAY_MS - 1;
        ("cpu", time, f64::from_bits(random() >> 12 | 0x3ff0_0000_0000_0000), format!("h{}", at % 50))
    };
    (0..10 * per_day).map(row).collect()
}

/// What `du` says of a store's folder; measured while it is closed, because an open log has room set aside.
async fn disk_bytes(test: TestStore) -> (TestStore, u64) {
    let TestStore { store, folder, now, config, rules } = test;
    store.close().await;
    let bytes = folder_bytes(folder.path());
    let store = RocksStore::open(folder.path(), &config, rules.clone(), clock(&now)).unwrap();
    (TestStore { store, folder, now, config, rules }, bytes)
}

#[tokio::test]
async fn what_has_expired_is_dropped_and_the_disk_shrinks() {
    let test = TestStore::new();
    let rows = ten_days(40_000);
    for (at, part) in (0..).zip(rows.chunks(100_000)) {
        test.store.write(batch_of(0, at, &[("acme", 30, part)])).await.unwrap();
    }
    test.store.merge_all().await.unwrap();
    let stats = test.store.stats();
    assert_eq!((stats.samples, stats.runs), (400_000, 10));
    assert_eq!(test.store.expire().await.unwrap(), 0);
    let (test, before) = disk_bytes(test).await;

    // Thirty days later the oldest five days are over.
    test.now.store(NOW + 25 * DAY_MS - 2, Ordering::Relaxed);
    assert_eq!(test.store.expire().await.unwrap(), 160_000);
    assert_eq!(test.store.stats().samples, 240_000);
    let (test, after) = disk_bytes(test).await;
    assert!(after < before * 7 / 10, "{before} bytes became {after}");
    let left = scan(&test.store, &ScanRequest::new(tenant("acme"), "cpu", NOW)).await.unwrap();
    assert!(left.len() == 240_000 && left.iter().all(|(_, time, _)| *time >= NOW - 6 * DAY_MS));

    test.now.store(NOW + 40 * DAY_MS, Ordering::Relaxed);
    assert_eq!(test.store.expire().await.unwrap(), 240_000);
    let (_, after) = disk_bytes(test).await;
    assert!(after < 512 << 10, "{after} bytes are left");
}

#[tokio::test]
async fn a_shorter_setting_of_today_drops_what_was_written_to_last() {
    let metrics = BTreeMap::from([("cpu".to_owned(), 3_u16)]);
    let rules = RetentionRules {
        default_days: 0,
        tenants: BTreeMap::from([(tenant("acme"), TenantRetention { default_days: 0, metrics })]),
    };
    let test = TestStore::with(quiet(), rules);
    let rows = ten_days(100);
    let other: Vec<Row> = rows.iter().map(|(_, t, v, h)| ("disk", *t, *v, h.clone())).collect();
    test.store.write(batch_of(0, 0, &[("acme", 0, &rows), ("acme", 0, &other), ("beta", 0, &rows)])).await.unwrap();
    // Merges drop by themselves.
    test.store.merge_all().await.unwrap();
    assert_eq!(count(&test.store, "acme", "cpu").await, 300);
    assert_eq!(count(&test.store, "acme", "disk").await, 1000);
    assert_eq!(count(&test.store, "beta", "cpu").await, 1000);
    assert_eq!(test.store.stats().expired_samples, 700);
    // A block of which some sections have expired for long is rewritten.
    test.now.store(NOW + 2 * DAY_MS, Ordering::Relaxed);
    assert_eq!(test.store.expire().await.unwrap(), 200);
    assert_eq!(count(&test.store, "acme", "cpu").await, 100);
    assert_eq!(count(&test.store, "acme", "disk").await, 1000);
}
