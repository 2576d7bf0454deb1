//! Queries that end before their answer: clients that go away, deadlines, slots that are taken.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use luminate_model::Receipt;
use luminate_runtime::config::HumanDuration;
use luminate_storage::{
    AggregateAnswer, AggregateRequest, CataloguePage, CatalogueRequest, ChunkConsumer, QueryContext, ReachError,
    SampleSource, ScanRequest, StorageError,
};
use tokio::sync::mpsc;

use super::harness::{TestApi, query_of};
use crate::QueryConfig;

const RAW: &str = r#"{"queryType": "raw", "metricName": "m", "timeRange": {"relative": "1h"}}"#;

/// A store whose scans never end. It tells the context of each.
pub(super) struct Endless {
    contexts: mpsc::UnboundedSender<QueryContext>,
}

impl Endless {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<QueryContext>) {
        let (contexts, told) = mpsc::unbounded_channel();
        (Arc::new(Self { contexts }), told)
    }

    async fn never<T>(&self, context: &QueryContext) -> Result<T, StorageError> {
        self.contexts.send(context.clone()).unwrap();
        std::future::pending().await
    }
}

#[async_trait]
impl SampleSource for Endless {
    async fn scan(
        &self,
        _: &ScanRequest,
        context: &QueryContext,
        _: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        self.never(context).await
    }

    async fn aggregate(
        &self,
        _: &AggregateRequest,
        context: &QueryContext,
    ) -> Result<Option<AggregateAnswer>, StorageError> {
        self.never(context).await
    }

    async fn metrics(&self, _: &CatalogueRequest, context: &QueryContext) -> Result<CataloguePage, StorageError> {
        self.never(context).await
    }

    async fn dimension_keys(&self, _: &CatalogueRequest, _: &QueryContext) -> Result<CataloguePage, StorageError> {
        Err(StorageError::Unavailable("/a/path".to_owned()))
    }

    async fn dimension_values(
        &self,
        _: &str,
        _: &CatalogueRequest,
        _: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        Err(StorageError::Damaged("/a/path".to_owned()))
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

#[tokio::test]
async fn a_client_that_goes_away_stops_its_query() {
    let (store, mut told) = Endless::new();
    let api = TestApi::over(store);
    for path in ["/api/v1/query", "/api/v1/metrics"] {
        let asking = async { if path == "/api/v1/metrics" { api.get(path).await } else { api.query(RAW).await } };
        let context = tokio::select! {
            _ = asking => panic!("an endless query was answered"),
            context = told.recv() => context.unwrap(),
        };
        assert!(matches!(context.check(), Err(StorageError::Cancelled)), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_whose_store_hangs_ends_after_its_time() {
    let (store, mut told) = Endless::new();
    let api = TestApi::over(store);
    let answered = api.query(RAW).await;
    assert_eq!((answered.status, answered.code()), (StatusCode::GATEWAY_TIMEOUT, "query_timeout"));
    assert_eq!(answered.body["limit"], 30_000);
    assert!(told.recv().await.unwrap().check().is_err());
    assert!(api.metrics.render().unwrap().contains("luminate_query_limits_hit_total{code=\"query_timeout\"} 1"));
}

#[tokio::test(start_paused = true)]
async fn queries_wait_for_a_slot_but_not_for_ever() {
    let (store, mut told) = Endless::new();
    let queue_timeout = HumanDuration::new(Duration::from_secs(5));
    let mut config = QueryConfig { queue_timeout, ..QueryConfig::default() };
    config.max_concurrent = 2.try_into().unwrap();
    config.max_concurrent_per_tenant = 1.try_into().unwrap();
    let api = TestApi::new(config, store);
    let spawn = |tenant: &'static str| {
        let routes = api.routes.clone();
        tokio::spawn(tower::ServiceExt::oneshot(routes, query_of(tenant, RAW)))
    };
    let first = spawn("acme");
    told.recv().await.unwrap();
    let of_same = api.send(query_of("acme", RAW)).await;
    assert_eq!((of_same.status, of_same.code()), (StatusCode::TOO_MANY_REQUESTS, "tenant_queries_busy"));
    let second = spawn("beta");
    told.recv().await.unwrap();
    let of_third = api.send(query_of("gamma", RAW)).await;
    assert_eq!((of_third.status, of_third.code()), (StatusCode::SERVICE_UNAVAILABLE, "queries_busy"));
    assert!(of_same.retry_after && of_third.retry_after);
    first.abort();
    let third = spawn("gamma");
    told.recv().await.unwrap();
    second.abort();
    third.abort();
}

#[tokio::test]
async fn a_store_that_is_away_or_damaged_says_nothing_of_itself() {
    let (store, _told) = Endless::new();
    let api = TestApi::over(store);
    let away = api.get("/api/v1/dimensions").await;
    assert_eq!((away.status, away.code()), (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable"));
    assert!(away.retry_after && !away.body.to_string().contains("/a/path"));
    let damaged = api.get("/api/v1/dimensions/a/values").await;
    assert_eq!((damaged.status, damaged.code()), (StatusCode::INTERNAL_SERVER_ERROR, "internal"));
    assert!(!damaged.body.to_string().contains("/a/path"));
}
