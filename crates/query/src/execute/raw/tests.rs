#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use luminate_model::{Offset, Receipt};
use luminate_storage::conformance::batches::{batch, sample};
use luminate_storage::conformance::generate::tenant;
use luminate_storage::conformance::{NOW, ample, source};
use luminate_storage::memory::MemoryStore;
use luminate_storage::{
    AggregateAnswer, AggregateRequest, CataloguePage, CatalogueRequest, DimensionFilter, DimensionTest, ReachError,
    SampleSink, ScanRequest,
};

use super::*;

/// Erases the first record before its second scan.
struct Vanishing {
    store: MemoryStore,
    scans: AtomicUsize,
}

#[async_trait]
impl SampleSource for Vanishing {
    async fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        consumer: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        if self.scans.fetch_add(1, Ordering::Relaxed) == 1 {
            self.store.erase(request.tenant(), &[(source(0), Offset(1))]).await?;
        }
        self.store.scan(request, context, consumer).await
    }

    async fn aggregate(&self, _: &AggregateRequest, _: &QueryContext) -> Result<Option<AggregateAnswer>, StorageError> {
        Ok(None)
    }

    async fn metrics(&self, _: &CatalogueRequest, _: &QueryContext) -> Result<CataloguePage, StorageError> {
        Ok(CataloguePage::default())
    }

    async fn dimension_keys(&self, _: &CatalogueRequest, _: &QueryContext) -> Result<CataloguePage, StorageError> {
        Ok(CataloguePage::default())
    }

    async fn dimension_values(
        &self,
        _: &str,
        _: &CatalogueRequest,
        _: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        Ok(CataloguePage::default())
    }

    async fn watermark(&self) -> Result<Receipt, StorageError> {
        Ok(Receipt::default())
    }

    async fn reach(&self, _: &Receipt) -> Result<(), ReachError> {
        Ok(())
    }

    fn readable(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A thousand samples, the first hundred of them in a record of their own; a sample's value is its place.
async fn thousand() -> MemoryStore {
    let store = MemoryStore::new();
    let samples: Vec<Sample> = (0..1000).map(|at| sample("m", NOW + at, at as f64, &[("host", "a")])).collect();
    let (first, second) = samples.split_at(100);
    let acme = tenant("acme");
    let written = batch(source(0), 0, 2).with_record(&acme, 0, 0, first).with_record(&acme, 1, 0, second);
    store.write(written).await.unwrap();
    store
}

fn first_ten() -> RawPlan {
    let mut scan = ScanRequest::new(tenant("acme"), "m", NOW);
    scan.columns = ScanColumns { all_dimensions: true, timestamps: true, values: true, ..ScanColumns::default() };
    RawPlan { scan, limit: 10, after: None, fingerprint: 1 }
}

async fn values(plan: RawPlan, source: &dyn SampleSource, context: &QueryContext) -> Vec<f64> {
    let (rows, truncated) = execute(plan, source, context).await.unwrap();
    let Rows::Samples { samples, cursor } = rows else { panic!("raw answers samples") };
    assert_eq!(truncated, cursor.is_some());
    samples.iter().map(|sample| sample.value).collect()
}

#[tokio::test]
async fn a_page_reads_little_more_than_itself_after_the_timestamps() {
    let (store, context) = (thousand().await, ample());
    let expected: Vec<f64> = (0..10).map(f64::from).collect();
    assert_eq!(values(first_ten(), &store, &context).await, expected);
    assert_eq!(context.counters().samples_read.load(Ordering::Relaxed), 1000 + 11);
}

#[tokio::test]
async fn a_filter_that_names_its_values_is_read_once() {
    let (store, context) = (thousand().await, ample());
    let mut plan = first_ten();
    plan.scan.filters.push(DimensionFilter { key: "host".to_owned(), test: DimensionTest::Equal("a".to_owned()) });
    assert_eq!(values(plan, &store, &context).await.len(), 10);
    assert_eq!(context.counters().samples_read.load(Ordering::Relaxed), 1000);
}

#[tokio::test]
async fn a_page_whose_samples_vanish_between_the_scans_goes_on_behind_them() {
    let vanishing = Vanishing { store: thousand().await, scans: AtomicUsize::new(0) };
    let expected: Vec<f64> = (100..110).map(f64::from).collect();
    assert_eq!(values(first_ten(), &vanishing, &ample()).await, expected);
    assert_eq!(vanishing.scans.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_store_that_leaves_columns_out_is_not_believed() {
    let mut plan = first_ten();
    plan.scan.columns.all_dimensions = false;
    plan.scan.columns.dimensions = vec!["host".to_owned()];
    let page = Page::new(&plan, &ample());
    let chunk = ScanChunk { metric: "m".into(), runs: vec![1], timestamps: vec![NOW], ..ScanChunk::default() };
    assert!(matches!(page.consume(0, chunk), Err(StorageError::Damaged(_))));
    assert!(matches!(page.consume(7, ScanChunk::default()), Err(StorageError::Damaged(_))));
}
