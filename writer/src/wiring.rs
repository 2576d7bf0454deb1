//! The writer as a process of its own: from Kafka into ClickHouse.

use std::sync::Arc;

use axum::Router;
use luminate_clickhouse::{ClickHouseSink, ClusterStorageConfig, Hosts, wait_until_migrated};
use luminate_kafka::{KafkaAdmin, KafkaCluster, KafkaConfig, KafkaConsumer, KafkaDeadLetters, KafkaWatermarks};
use luminate_runtime::clock::system_clock;
use luminate_runtime::config::{AuthConfig, EnvVariable};
use luminate_runtime::http::HttpConfig;
use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig};
use luminate_runtime::process::{ProcessConfig, Service, StartError};
use luminate_runtime::telemetry::{LogConfig, Process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::WriterConfig;
use crate::progress::Progress;
use crate::schema_registry::{HttpSchemaRegistry, SchemaRegistry, SchemaRegistryConfig};
use crate::writer::{self, Writer, WriterParts};

/// Everything that can be set of a writer's process.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct WriterProcessConfig {
    /// The port of health, metrics and operators.
    pub http: HttpConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// How records become stored batches.
    pub writer: WriterConfig,
    /// Where records come from.
    pub kafka: KafkaConfig,
    /// Where schemas are kept that direct producers' records name by a number.
    pub schema_registry: SchemaRegistryConfig,
    /// Where samples are kept.
    pub storage: ClusterStorageConfig,
    /// How long a stop may take.
    pub lifecycle: LifecycleConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

impl ProcessConfig for WriterProcessConfig {
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
        self.writer.check()?;
        self.kafka.check()?;
        if !self.kafka.consumer.assign.is_empty() {
            return Err("kafka.consumer.assign (LUMINATE_KAFKA_ASSIGN) is for an edge node (`luminate serve`): writers share the \
                        partitions in a group, which keeps two from having the same one"
                .into());
        }
        HttpSchemaRegistry::from_config(&self.schema_registry)?;
        Ok(Hosts::new(&self.storage.clickhouse).map(drop)?)
    }
}

/// `luminate-writer`.
pub struct WriterService;

impl Service for WriterService {
    const IDENTITY: Identity = Identity { service: "luminate-writer", version: env!("CARGO_PKG_VERSION") };
    const ABOUT: &'static str = "Stores the samples that are on Kafka in ClickHouse, exactly once";
    const METRICS: &'static [Process] = &[Process::Writer];
    type Config = WriterProcessConfig;

    fn variables() -> Vec<EnvVariable> {
        [luminate_kafka::VARIABLES, luminate_clickhouse::VARIABLES].concat()
    }

    async fn start(config: WriterProcessConfig, lifecycle: &Lifecycle) -> Result<Router, StartError> {
        let verifier = config.auth.required_verifier()?;
        let clickhouse = config.storage.clickhouse;
        let sink = Arc::new(ClickHouseSink::new(clickhouse.clone(), system_clock())?);
        let cluster = KafkaCluster::new(config.kafka)?;
        let registry = HttpSchemaRegistry::from_config(&config.schema_registry)?;
        cluster.show_in(lifecycle);
        Hosts::new(&clickhouse)?.show_in(lifecycle);
        // Nothing is read that could not be stored.
        tokio::select! {
            migrated = wait_until_migrated(&clickhouse) => migrated?,
            reason = lifecycle.stop_requested() => return Err(reason.to_string().into()),
        }
        let consumer = KafkaConsumer::start(&cluster)?;
        consumer.pulse().show_in(lifecycle);
        let own_ends = Arc::new(consumer.owned_ends());
        let parts = WriterParts {
            consumer: Box::new(consumer),
            schema_registry: registry.map(|registry| Arc::new(registry) as Arc<dyn SchemaRegistry>),
            dead_letters: Arc::new(KafkaDeadLetters::new(&cluster)?),
            queue: Arc::new(KafkaAdmin::new(&cluster)),
            own_ends,
            watermarks: Some(Arc::new(KafkaWatermarks::new(&cluster))),
            sink,
            progress: Progress::default(),
            verifier,
            clock: system_clock(),
            lifecycle: lifecycle.clone(),
        };
        let Writer { admin, .. } = writer::build(config.writer, parts)?;
        Ok(admin)
    }
}
