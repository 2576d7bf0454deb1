//! Answering queries.

use async_trait::async_trait;
use luminate_model::{Receipt, Source};

use crate::chunk::ChunkConsumer;
use crate::context::QueryContext;
use crate::error::StorageError;
use crate::request::{AggregateRequest, CatalogueRequest, ScanRequest};

/// One group of an aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateGroup {
    /// The values of the dimensions, in the order of `group_by`; `None` where missing.
    pub group: Vec<Option<String>>,
    /// The value over the whole range.
    pub value: f64,
    /// With a step: starts of buckets and their values, ascending; buckets without samples are left out. Else empty.
    pub steps: Vec<(i64, f64)>,
}

/// The groups of an aggregate, ordered and limited as asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AggregateAnswer {
    /// The groups; one without samples does not occur.
    pub groups: Vec<AggregateGroup>,
    /// Whether the limit left groups out.
    pub truncated: bool,
}

/// A name of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The metric, key or value.
    pub name: String,
    /// Samples that have it.
    pub samples: u64,
}

/// Names of the catalogue, ascending by their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CataloguePage {
    /// The names.
    pub entries: Vec<CatalogueEntry>,
    /// Whether the limit left names out.
    pub truncated: bool,
}

/// Why waiting for a receipt is pointless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReachError {
    /// The receipt names a source that this store will never read.
    #[error("the receipt is of another incarnation of the queue ({0})")]
    OtherIncarnation(Source),
    /// The receipt names a partition that is stored elsewhere.
    #[error("this node does not read the partition of the receipt ({0}): ask the one that does")]
    NotRead(Source),
    /// Whether the store shows what it has, nobody can tell for now.
    #[error("{0}")]
    Unavailable(String),
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
}

/// Where queries are answered.
#[async_trait]
pub trait SampleSource: Send + Sync + 'static {
    /// Yields the samples that a request asks for, in chunks, from one consistent state of the store. Returns after the
    /// last chunk was consumed. A dropped future cancels the query (through its context) and returns no more chunks soon.
    ///
    /// # Errors
    /// [`StorageError`], also what the consumer returned.
    async fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        consumer: std::sync::Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError>;

    /// Computes an aggregate inside the store, where the store can: `None` means that the caller shall scan and compute.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn aggregate(
        &self,
        request: &AggregateRequest,
        context: &QueryContext,
    ) -> Result<Option<AggregateAnswer>, StorageError>;

    /// The tenant's metrics; `request.metric` says nothing here.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn metrics(&self, request: &CatalogueRequest, context: &QueryContext) -> Result<CataloguePage, StorageError>;

    /// The keys of the tenant's dimensions.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn dimension_keys(
        &self,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError>;

    /// The values of the dimension `key`.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn dimension_values(
        &self,
        key: &str,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError>;

    /// How far each source is stored and readable.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn watermark(&self) -> Result<Receipt, StorageError>;

    /// Waits until everything before the receipt's offsets is readable. Waits without a deadline; drop it to stop.
    ///
    /// # Errors
    /// [`ReachError`] where that will never be.
    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError>;

    /// Whether the store answers; the reason where it does not. For health, cheap.
    fn readable(&self) -> Result<(), String>;
}
