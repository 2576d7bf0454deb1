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

#[tokio::test]
async fn what_has_expired_is_dropped_and_the_disk_shrinks() {
    let test = TestStore::new();
    let rows = ten_days(10_000);
    for (at, part) in (0..).zip(rows.chunks(25_000)) {
        test.store.write(batch_of(0, at, &[("acme", 30, part)])).await.unwrap();
    }
    test.store.merge_all().await.unwrap();
    let (stats, before) = (test.store.stats(), folder_bytes(test.folder.path()));
    assert_eq!((stats.samples, stats.runs), (100_000, 10));
    assert_eq!(test.store.expire().await.unwrap(), 0);

    // Thirty days later the oldest five days are over.
    test.now.store(NOW + 25 * DAY_MS - 2, Ordering::Relaxed);
    assert_eq!(test.store.expire().await.unwrap(), 40_000);
    assert_eq!(test.store.stats().samples, 60_000);
    let after = folder_bytes(test.folder.path());
    assert!(after < before * 7 / 10, "{before} bytes became {after}");
    let left = scan(&test.store, &ScanRequest::new(tenant("acme"), "cpu", NOW)).await.unwrap();
    assert!(left.len() == 60_000 && left.iter().all(|(_, time, _)| *time >= NOW - 6 * DAY_MS));

    test.now.store(NOW + 40 * DAY_MS, Ordering::Relaxed);
    assert_eq!(test.store.expire().await.unwrap(), 60_000);
    assert!(folder_bytes(test.folder.path()) < 300 << 10, "{}", folder_bytes(test.folder.path()));
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
