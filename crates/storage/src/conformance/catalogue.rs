//! What there is, with its counts.

use std::sync::Arc;

use luminate_model::TimeRange;
use luminate_model::time::DAY_MS;

use super::batches::{batch, sample};
use super::generate::tenant;
use super::{Ending, NOW, StoreFactory, ample, source};
use crate::request::CatalogueRequest;
use crate::sink::SampleSink;
use crate::source::{CataloguePage, SampleSource};

/// Opens a store with two batches of acme's and one sample of beta's.
async fn filled<F: StoreFactory>(factory: &mut F) -> Arc<F::Store> {
    let store = factory.open().await;
    let (acme, beta) = (tenant("acme"), tenant("beta"));
    let first = [
        sample("cpu", NOW, 1.0, &[("host", "a"), ("zone", "1")]),
        sample("cpu", NOW, 2.0, &[("host", "b")]),
        sample("disk", NOW - 2 * DAY_MS, 3.0, &[("host", "a"), ("mount", "/")]),
    ];
    let second = [sample("cpu", NOW - 2 * DAY_MS, 4.0, &[("host", "a")]), sample("cpu", NOW, 5.0, &[])];
    let expired = [sample("short", NOW - 3 * DAY_MS, 6.0, &[("host", "old")])];
    store.write(batch(source(0), 0, 1).with_record(&acme, 0, 0, &first)).await.unwrap();
    let written = batch(source(0), 1, 3).with_record(&acme, 1, 0, &second).with_record(&acme, 1, 1, &expired);
    store.write(written.with_record(&beta, 2, 0, &[sample("of beta", NOW, 7.0, &[("secret", "s")])])).await.unwrap();
    store
}

fn request(limit: usize) -> CatalogueRequest {
    CatalogueRequest::new(tenant("acme"), limit, NOW)
}

fn listed(page: &CataloguePage) -> Vec<(&str, u64)> {
    page.entries.iter().map(|entry| (entry.name.as_str(), entry.samples)).collect()
}

/// Metrics, keys and values; of all metrics and of one; also after a restart.
pub async fn names_come_with_their_samples(factory: &mut impl StoreFactory) {
    let mut store = filled(factory).await;
    for ending in [Ending::Crash, Ending::Close] {
        let context = ample();
        let metrics = store.metrics(&request(10), &context).await.unwrap();
        assert_eq!(listed(&metrics), [("cpu", 4), ("disk", 1)]);
        assert!(!metrics.truncated);
        let keys = store.dimension_keys(&request(10), &context).await.unwrap();
        assert_eq!(listed(&keys), [("host", 4), ("mount", 1), ("zone", 1)]);
        let hosts = store.dimension_values("host", &request(10), &context).await.unwrap();
        assert_eq!(listed(&hosts), [("a", 3), ("b", 1)]);
        assert_eq!(listed(&store.dimension_values("nowhere", &request(10), &context).await.unwrap()), []);

        let mut of_disk = request(10);
        of_disk.metric = Some("disk".to_owned());
        let keys = store.dimension_keys(&of_disk, &context).await.unwrap();
        assert_eq!(listed(&keys), [("host", 1), ("mount", 1)]);
        assert_eq!(listed(&store.dimension_values("host", &of_disk, &context).await.unwrap()), [("a", 1)]);
        assert_eq!(listed(&store.metrics(&of_disk, &context).await.unwrap()), [("cpu", 4), ("disk", 1)]);
        store = factory.reopen(store, ending).await;
    }
}

/// By `after`, and narrowed by a prefix.
pub async fn pages_follow_each_other(factory: &mut impl StoreFactory) {
    let store = filled(factory).await;
    let mut page = request(1);
    let mut names = Vec::new();
    loop {
        let keys = store.dimension_keys(&page, &ample()).await.unwrap();
        assert_eq!(keys.entries.len(), 1);
        names.push(keys.entries[0].name.clone());
        page.after = names.last().cloned();
        if !keys.truncated {
            break;
        }
    }
    assert_eq!(names, ["host", "mount", "zone"]);
    let mut prefixed = request(1);
    prefixed.prefix = "m".to_owned();
    let keys = store.dimension_keys(&prefixed, &ample()).await.unwrap();
    assert_eq!((listed(&keys), keys.truncated), (vec![("mount", 1)], false));
    prefixed.after = Some("mount".to_owned());
    assert_eq!(listed(&store.dimension_keys(&prefixed, &ample()).await.unwrap()), []);
    prefixed.prefix = "disk".to_owned();
    prefixed.after = None;
    assert_eq!(listed(&store.metrics(&prefixed, &ample()).await.unwrap()), [("disk", 1)]);
}

/// Samples outside the time, and expired ones, are not counted.
pub async fn time_and_retention_narrow_the_catalogue(factory: &mut impl StoreFactory) {
    let store = filled(factory).await;
    let context = ample();
    let mut today = request(10);
    today.time = TimeRange { start: NOW - DAY_MS, end: NOW + 1 };
    assert_eq!(listed(&store.metrics(&today, &context).await.unwrap()), [("cpu", 3)]);
    assert_eq!(listed(&store.dimension_keys(&today, &context).await.unwrap()), [("host", 2), ("zone", 1)]);
    assert_eq!(listed(&store.dimension_values("host", &today, &context).await.unwrap()), [("a", 1), ("b", 1)]);

    let mut with_retention = request(10);
    with_retention.retention.metrics.insert("cpu".to_owned(), 1);
    assert_eq!(listed(&store.metrics(&with_retention, &context).await.unwrap()), [("cpu", 3), ("disk", 1)]);

    // Written with a retention of a day: at that time it was still there.
    let mut earlier = CatalogueRequest::new(tenant("acme"), 10, NOW - 3 * DAY_MS);
    earlier.time = TimeRange { start: NOW - 4 * DAY_MS, end: NOW - 2 * DAY_MS };
    assert_eq!(listed(&store.metrics(&earlier, &context).await.unwrap()), [("short", 1)]);
}

/// Nothing of acme's shows to beta.
pub async fn tenants_have_catalogues_of_their_own(factory: &mut impl StoreFactory) {
    let store = filled(factory).await;
    let of_beta = CatalogueRequest::new(tenant("beta"), 10, NOW);
    assert_eq!(listed(&store.metrics(&of_beta, &ample()).await.unwrap()), [("of beta", 1)]);
    assert_eq!(listed(&store.dimension_keys(&of_beta, &ample()).await.unwrap()), [("secret", 1)]);
    assert_eq!(listed(&store.dimension_values("host", &of_beta, &ample()).await.unwrap()), []);
    let of_nobody = CatalogueRequest::new(tenant("nobody"), 10, NOW);
    assert_eq!(listed(&store.metrics(&of_nobody, &ample()).await.unwrap()), []);
}
