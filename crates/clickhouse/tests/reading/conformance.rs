//! The suite that every store passes, over both halves of this one. Where to go on with a source, and how far it is stored, the
//! queue knows: those questions are not asked.

use std::sync::Arc;

use async_trait::async_trait;
use luminate_clickhouse::source::ClickHouseSource;
use luminate_clickhouse::{ClickHouseConfig, ClickHouseSink, Hosts, migrate};
use luminate_model::{Offset, Receipt, Source, TenantId};
use luminate_storage::conformance::{Ending, NOW, StoreFactory};
use luminate_storage::{
    AggregateAnswer, AggregateRequest, Batch, CataloguePage, CatalogueRequest, ChunkConsumer, Erased, NotedErasure,
    QueryContext, ReachError, Resume, SampleSink, SampleSource, ScanRequest, StorageError, Stored,
};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions, unique_name};

use crate::database::{NoSources, delete_old_parts_soon};

/// What a writer and a query-api have of the same tables.
struct Store {
    sink: ClickHouseSink,
    source: ClickHouseSource,
}

/// Makes databases on a server.
#[derive(Default)]
struct Databases {
    /// A server that may crash; else that which all tests share, and which goes on whatever happens.
    own: Option<ClickHouse>,
    config: ClickHouseConfig,
}

impl Databases {
    fn with_own_server() -> Self {
        let own = Some(ClickHouse::start(ClickHouseOptions::default()));
        Self { own, config: ClickHouseConfig::default() }
    }

    fn server(&self) -> &ClickHouse {
        self.own.as_ref().unwrap_or_else(|| ClickHouse::shared())
    }

    fn store(&self) -> Arc<Store> {
        let hosts = Hosts::new(&self.config).unwrap();
        Arc::new(Store {
            sink: ClickHouseSink::new(self.config.clone(), Arc::new(|| NOW)).unwrap(),
            source: ClickHouseSource::new(hosts, &self.config, Arc::new(NoSources)).unwrap(),
        })
    }
}

#[async_trait]
impl StoreFactory for Databases {
    type Store = Store;

    async fn open(&mut self) -> Arc<Store> {
        let server = self.server();
        let config: ClickHouseConfig = serde_json::from_value(server.settings(&unique_name("conformance"))).unwrap();
        migrate(&config, "test", false).await.unwrap();
        // The server's clock is not the suite's: to it all that has a retention has expired.
        server.query(&format!("SYSTEM STOP TTL MERGES {}.samples", config.database));
        // An erasure waits until the parts that it replaced are gone from disk.
        delete_old_parts_soon(server, &format!("{}.samples", config.database));
        self.config = config;
        self.store()
    }

    async fn reopen(&mut self, store: Arc<Store>, ending: Ending) -> Arc<Store> {
        drop(store);
        if let (Some(server), Ending::Crash) = (&self.own, ending) {
            tokio::task::block_in_place(|| {
                server.kill();
                server.restart();
            });
        }
        self.store()
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        let _ = self.server().try_query_on(1, &format!("DROP DATABASE IF EXISTS {} SYNC", self.config.database));
    }
}

#[async_trait]
impl SampleSink for Store {
    async fn resume(&self, source: &Source) -> Result<Resume, StorageError> {
        self.sink.resume(source).await
    }

    async fn write(&self, batch: Batch) -> Result<Stored, StorageError> {
        self.sink.write(batch).await
    }

    async fn note_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        self.sink.note_erasure(erasure).await
    }

    async fn remove_erased(&self, tenant: &TenantId) -> Result<Erased, StorageError> {
        self.sink.remove_erased(tenant).await
    }

    async fn unfinished_erasures(&self) -> Result<Vec<NotedErasure>, StorageError> {
        self.sink.unfinished_erasures().await
    }

    async fn finish_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        self.sink.finish_erasure(erasure).await
    }

    async fn erase(&self, tenant: &TenantId, up_to: &[(Source, Offset)]) -> Result<Erased, StorageError> {
        self.sink.erase(tenant, up_to).await
    }

    fn writable(&self) -> Result<(), String> {
        self.sink.writable()
    }
}

#[async_trait]
impl SampleSource for Store {
    async fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        consumer: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        self.source.scan(request, context, consumer).await
    }

    async fn aggregate(
        &self,
        request: &AggregateRequest,
        context: &QueryContext,
    ) -> Result<Option<AggregateAnswer>, StorageError> {
        self.source.aggregate(request, context).await
    }

    async fn metrics(&self, request: &CatalogueRequest, context: &QueryContext) -> Result<CataloguePage, StorageError> {
        self.source.metrics(request, context).await
    }

    async fn dimension_keys(
        &self,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        self.source.dimension_keys(request, context).await
    }

    async fn dimension_values(
        &self,
        key: &str,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        self.source.dimension_values(key, request, context).await
    }

    async fn watermark(&self) -> Result<Receipt, StorageError> {
        self.source.watermark().await
    }

    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        self.source.reach(receipt).await
    }

    fn readable(&self) -> Result<(), String> {
        self.source.readable()
    }
}

luminate_storage::store_conformance!(next_offset_in_queue: Databases::default(), crashing: Databases::with_own_server());
