//! The store as queries see it.

use std::sync::Arc;

use async_trait::async_trait;
use luminate_model::{Receipt, Source};
use luminate_storage::{
    AggregateAnswer, AggregateRequest, CataloguePage, CatalogueRequest, ChunkConsumer, QueryContext, ReachError,
    SampleSource, ScanRequest, StorageError,
};

use super::catalogue::{self, Names};
use super::{Progress, RocksStore, scan};

#[async_trait]
impl SampleSource for RocksStore {
    async fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        consumer: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        scan::scan(&self.shared, self.shared.directory(), request, context, consumer).await
    }

    /// Always `None`: over column blocks nothing is gained by computing here what can be computed from chunks.
    async fn aggregate(
        &self,
        _request: &AggregateRequest,
        _context: &QueryContext,
    ) -> Result<Option<AggregateAnswer>, StorageError> {
        Ok(None)
    }

    async fn metrics(&self, request: &CatalogueRequest, context: &QueryContext) -> Result<CataloguePage, StorageError> {
        catalogue::page(&self.shared, Names::Metrics, request, context).await
    }

    async fn dimension_keys(
        &self,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        catalogue::page(&self.shared, Names::Keys, request, context).await
    }

    async fn dimension_values(
        &self,
        key: &str,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        catalogue::page(&self.shared, Names::Values(key.to_owned()), request, context).await
    }

    async fn watermark(&self) -> Result<Receipt, StorageError> {
        let mut receipt = Receipt::default();
        for (source, next) in &self.shared.progress.borrow().next {
            receipt.add(*source, *next);
        }
        Ok(receipt)
    }

    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        let mut progress = self.shared.progress.subscribe();
        loop {
            if progress.borrow_and_update().has_reached(receipt)? {
                return Ok(());
            }
            if progress.changed().await.is_err() {
                return Err(ReachError::Closed);
            }
        }
    }

    fn readable(&self) -> Result<(), String> {
        if self.shared.progress.borrow().closed {
            return Err("the store is closing".to_owned());
        }
        Ok(())
    }
}

impl Progress {
    /// Whether everything before the receipt's offsets is readable.
    fn has_reached(&self, receipt: &Receipt) -> Result<bool, ReachError> {
        if self.closed {
            return Err(ReachError::Closed);
        }
        let mut reached = true;
        for (source, next) in receipt.places() {
            if self.next.get(source).copied().unwrap_or_default() >= *next {
                continue;
            }
            self.check_will_read(source)?;
            reached = false;
        }
        Ok(reached)
    }

    /// Refuses a source of which no more will come.
    fn check_will_read(&self, source: &Source) -> Result<(), ReachError> {
        if let Some(owned) = &self.owned {
            return if owned.contains(source) { Ok(()) } else { Err(ReachError::NotRead(*source)) };
        }
        let will_read = match self.incarnation {
            Some(incarnation) => source.incarnation == incarnation,
            None => self.next.is_empty() || self.next.keys().any(|known| known.incarnation == source.incarnation),
        };
        if will_read { Ok(()) } else { Err(ReachError::OtherIncarnation(*source)) }
    }
}
