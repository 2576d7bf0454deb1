//! Answering queries.
//!
//! Everything is computed in the server, and only results travel. What an aggregate means is said by the in-memory oracle
//! ([`luminate_storage::memory`]); every function of it is pushed down. Sums of doubles depend on their order, which is the
//! server's: `sum`, `avg` and `stddev` may differ from another store's in the last digits. So may a percentile that lies
//! between two ranks, because the server rounds the distance between them once more.
//!
//! | module | holds |
//! |---|---|
//! | `table` | the only place that knows how the table of samples is shaped |
//! | `query` | [`query::TenantQuery`]: SQL over one tenant's samples, with everything a user sent as parameters |
//! | `conditions` | time, retention and filters as conditions |
//! | `function` | aggregate functions in the server's words |
//! | `aggregate` | groups, steps, order and limit |
//! | `catalogue` | metrics, keys and values |
//! | `scan` | samples |
//! | `chunks` | rows of a scan as chunks of columns |
//! | `row_binary` | the format of results |
//! | `run` | execution within the limits of a query |
//! | `faults` | the server's errors as those of a query |
//! | `replicas` | replicas brought up to date before a receipt or a cursor is answered |
//! | `watermark` | how far samples are stored, if the queue tells in time |

mod aggregate;
mod catalogue;
mod chunks;
mod conditions;
mod faults;
mod function;
mod query;
mod replicas;
mod row_binary;
mod run;
mod scan;
mod table;
mod watermark;

use std::sync::Arc;

use async_trait::async_trait;
use luminate_model::Receipt;
use luminate_storage::{
    AggregateAnswer, AggregateRequest, CataloguePage, CatalogueRequest, ChunkConsumer, QueryContext, ReachError,
    SampleSource, ScanRequest, StorageError, Watermarks,
};

use self::replicas::Replicas;
use self::table::Table;
use self::watermark::PromptWatermarks;
use crate::client::{ClientError, Hosts};
use crate::config::ClickHouseConfig;

/// Answers queries from ClickHouse. How far each source is stored, the queue knows.
pub struct ClickHouseSource {
    hosts: Hosts,
    replicas: Replicas,
    table: Table,
    watermarks: Arc<dyn Watermarks>,
    prompt: PromptWatermarks,
}

impl ClickHouseSource {
    /// Queries go to `hosts`, as their user, and read the samples of the configured database.
    ///
    /// # Errors
    /// [`ClientError::Config`]
    pub fn new(hosts: Hosts, config: &ClickHouseConfig, watermarks: Arc<dyn Watermarks>) -> Result<Self, ClientError> {
        let replicas = Replicas::new(config)?;
        let prompt = PromptWatermarks::new(Arc::clone(&watermarks));
        Ok(Self { hosts, replicas, table: Table::in_database(&config.database), watermarks, prompt })
    }
}

#[async_trait]
impl SampleSource for ClickHouseSource {
    async fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        consumer: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        if request.earliest.is_some_and(|earliest| earliest.after.is_some()) {
            // A page that goes on with what another replica may have answered.
            self.replicas.catch_up().await?;
        }
        scan::scan(&self.hosts, &self.table, request, context, consumer.as_ref()).await
    }

    async fn aggregate(
        &self,
        request: &AggregateRequest,
        context: &QueryContext,
    ) -> Result<Option<AggregateAnswer>, StorageError> {
        aggregate::aggregate(&self.hosts, &self.table, request, context).await.map(Some)
    }

    async fn metrics(&self, request: &CatalogueRequest, context: &QueryContext) -> Result<CataloguePage, StorageError> {
        let mut request = request.clone();
        request.metric = None;
        catalogue::page(&self.hosts, catalogue::metrics(&self.table, &request), &request, context).await
    }

    async fn dimension_keys(
        &self,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        catalogue::page(&self.hosts, catalogue::keys(&self.table, request), request, context).await
    }

    async fn dimension_values(
        &self,
        key: &str,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        catalogue::page(&self.hosts, catalogue::values(&self.table, key, request), request, context).await
    }

    async fn watermark(&self) -> Result<Receipt, StorageError> {
        self.prompt.ask().await
    }

    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        self.watermarks.reach(receipt).await?;
        self.replicas.catch_up().await.map_err(|error| ReachError::Unavailable(error.to_string()))
    }

    fn readable(&self) -> Result<(), String> {
        self.hosts.reachable()
    }
}
