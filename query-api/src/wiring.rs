//! The query-api as a process of its own, over ClickHouse. How far samples are stored, the writers' group in Kafka tells.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use luminate_clickhouse::{ClickHouseSource, ClusterStorageConfig, Hosts, wait_until_migrated};
use luminate_kafka::{KafkaCluster, KafkaConfig, KafkaWatermarks};
use luminate_runtime::config::{AuthConfig, EnvVariable, RetentionConfig};
use luminate_runtime::http::{HttpConfig, ServiceParts};
use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig};
use luminate_runtime::process::{ProcessConfig, Service, StartError};
use luminate_runtime::telemetry::{LogConfig, Process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{QueryConfig, QueryRateLimitConfig};
use crate::service;

/// Everything that can be set of a query-api's process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct QueryProcessConfig {
    /// The port.
    pub http: HttpConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// What queries may take.
    pub query: QueryConfig,
    /// Where the writers' group tells how far samples are stored.
    pub kafka: KafkaConfig,
    /// Where samples are kept.
    pub storage: ClusterStorageConfig,
    /// How long samples are kept.
    pub retention: RetentionConfig,
    /// How long a stop may take.
    pub lifecycle: LifecycleConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

impl Default for QueryProcessConfig {
    fn default() -> Self {
        // In a cluster tenants share what there is, so each has a limit unless someone says otherwise.
        let rate_limit = QueryRateLimitConfig { requests_per_second: NonZeroU32::new(50) };
        Self {
            http: HttpConfig::default(),
            auth: AuthConfig::default(),
            query: QueryConfig { rate_limit, ..QueryConfig::default() },
            kafka: KafkaConfig::default(),
            storage: ClusterStorageConfig::default(),
            retention: RetentionConfig::default(),
            lifecycle: LifecycleConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl ProcessConfig for QueryProcessConfig {
    fn http(&self) -> &HttpConfig {
        &self.http
    }

    fn lifecycle(&self) -> &LifecycleConfig {
        &self.lifecycle
    }

    fn log(&self) -> &LogConfig {
        &self.log
    }

    fn check(&self) -> Result<(), StartError> {
        self.auth.required_verifier()?;
        self.query.check()?;
        self.retention.rules()?;
        self.kafka.check()?;
        Ok(Hosts::new(&self.storage.clickhouse).map(drop)?)
    }
}

/// `luminate-query`.
pub struct QueryService;

impl Service for QueryService {
    const IDENTITY: Identity = Identity { service: "luminate-query", version: env!("CARGO_PKG_VERSION") };
    const ABOUT: &'static str = "Answers queries over HTTP from ClickHouse";
    const METRICS: &'static [Process] = &[Process::QueryApi];
    type Config = QueryProcessConfig;

    fn variables() -> Vec<EnvVariable> {
        [luminate_kafka::VARIABLES, luminate_clickhouse::VARIABLES, crate::environment::VARIABLES].concat()
    }

    async fn start(config: QueryProcessConfig, lifecycle: &Lifecycle) -> Result<Router, StartError> {
        let verifier = config.auth.required_verifier()?;
        let parts = ServiceParts::of_process(&config.http, verifier, config.retention.rules()?, lifecycle);
        let clickhouse = config.storage.clickhouse;
        let cluster = KafkaCluster::new(config.kafka)?;
        cluster.show_in(lifecycle);
        let watermarks = Arc::new(KafkaWatermarks::new(&cluster));
        let hosts = Hosts::new(&clickhouse)?;
        hosts.show_in(lifecycle);
        tokio::select! {
            migrated = wait_until_migrated(&clickhouse) => migrated?,
            reason = lifecycle.stop_requested() => return Err(reason.to_string().into()),
        }
        let source = ClickHouseSource::new(hosts, &clickhouse, watermarks)?;
        Ok(service::build(config.query, Arc::new(source), parts)?)
    }
}
