//! The gateway as a process of its own, in front of Kafka.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use luminate_kafka::{KafkaCluster, KafkaConfig, KafkaProducer};
use luminate_queue::Producer as _;
use luminate_runtime::config::{AuthConfig, EnvVariable, RetentionConfig};
use luminate_runtime::http::{HttpConfig, ServiceParts};
use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig};
use luminate_runtime::process::{ProcessConfig, Service, StartError};
use luminate_runtime::telemetry::{LogConfig, Process};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{GatewayConfig, WriteRateLimitConfig};
use crate::gateway;

/// Everything that can be set of a gateway's process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GatewayProcessConfig {
    /// The port.
    pub http: HttpConfig,
    /// Who may do what.
    pub auth: AuthConfig,
    /// What write requests may be, and how they are spread.
    pub gateway: GatewayConfig,
    /// Where records go.
    pub kafka: KafkaConfig,
    /// How long samples are kept.
    pub retention: RetentionConfig,
    /// How long a stop may take.
    pub lifecycle: LifecycleConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

impl Default for GatewayProcessConfig {
    fn default() -> Self {
        // In a cluster tenants share what there is, so each has a limit unless someone says otherwise.
        let rate_limit = WriteRateLimitConfig {
            requests_per_second: NonZeroU32::new(100),
            samples_per_second: NonZeroU32::new(10_000),
            ..WriteRateLimitConfig::default()
        };
        Self {
            http: HttpConfig::default(),
            auth: AuthConfig::default(),
            gateway: GatewayConfig { rate_limit, ..GatewayConfig::default() },
            kafka: KafkaConfig::default(),
            retention: RetentionConfig::default(),
            lifecycle: LifecycleConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl ProcessConfig for GatewayProcessConfig {
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
        self.gateway.check()?;
        self.gateway.check_budget(self.http.max_body_bytes_in_flight.get())?;
        self.retention.rules()?;
        Ok(self.kafka.check()?)
    }
}

/// `luminate-gateway`.
pub struct GatewayService;

impl Service for GatewayService {
    const IDENTITY: Identity = Identity { service: "luminate-gateway", version: env!("CARGO_PKG_VERSION") };
    const ABOUT: &'static str = "Takes write requests over HTTP and puts their samples on Kafka";
    const METRICS: &'static [Process] = &[Process::Gateway];
    type Config = GatewayProcessConfig;

    fn variables() -> Vec<EnvVariable> {
        [luminate_kafka::VARIABLES, crate::environment::VARIABLES].concat()
    }

    async fn start(config: GatewayProcessConfig, lifecycle: &Lifecycle) -> Result<Router, StartError> {
        let verifier = config.auth.required_verifier()?;
        let parts = ServiceParts::of_process(&config.http, verifier, config.retention.rules()?, lifecycle);
        // Brokers may be away now: the gateway is ready all the same, and answers 503 until they are there.
        let producer = Arc::new(KafkaProducer::new(&KafkaCluster::new(config.kafka)?)?);
        let watched = Arc::clone(&producer);
        lifecycle.watch_dependency("kafka", move || watched.available());
        let closed = Arc::clone(&producer);
        lifecycle.close_last("producer", move || closed.close());
        Ok(gateway::build(config.gateway, producer, parts)?)
    }
}
