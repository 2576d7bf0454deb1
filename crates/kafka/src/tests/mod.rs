//! Tests against real brokers.
//!
//! | module | asks |
//! |---|---|
//! | this one | topics, groups and records that tests need |
//! | `suite` | the suite that every queue must pass |
//! | `groups` | how consumers share partitions and hand them over |
//! | `changing_topics` | topics that were made again, records that are gone |
//! | `reading` | batches that cannot be read, ends that no record comes before |
//! | `topics` | topics made as the configuration wants them |
//! | `brokers` | brokers that go and come, a broken client |
//! | `security` | encryption, certificates and passwords |

mod brokers;
mod changing_topics;
mod groups;
mod reading;
mod security;
mod suite;
mod topics;

use std::time::Duration;

use luminate_model::TenantId;
use luminate_queue::{Record, RecordKey};
use luminate_runtime::config::{ByteSize, HumanDuration};
use luminate_tests::engines::{Kafka, unique_name};

use crate::{KafkaCluster, KafkaConfig, TopicAdmin};

/// The brokers that tests share; starting them blocks.
pub(crate) async fn shared_brokers() -> Vec<String> {
    let brokers = tokio::task::spawn_blocking(|| Kafka::shared().brokers()).await.unwrap();
    brokers.split(',').map(str::to_owned).collect()
}

/// Topics and a group that no other test has, with few partitions and short intervals.
pub(crate) fn config(brokers: Vec<String>) -> KafkaConfig {
    let name = unique_name("test").replace('_', "-");
    let mut config = KafkaConfig { brokers, ..KafkaConfig::default() };
    config.topics.samples = format!("{name}.samples");
    config.topics.tenant = format!("{name}.tenant.{{tenant}}.samples");
    config.topics.dead_letters = format!("{name}.deadletters");
    config.topics.partitions = 3;
    config.topics.replication = Some(1);
    config.topics.min_insync_replicas = Some(1);
    config.producer.linger = HumanDuration::new(Duration::from_millis(1));
    config.producer.max_record_bytes = ByteSize::mib(1);
    config.consumer.group = format!("{name}-group");
    config.consumer.session_timeout = HumanDuration::new(Duration::from_secs(6));
    config.consumer.max_poll_interval = HumanDuration::new(Duration::from_secs(30));
    config.consumer.watch_interval = HumanDuration::new(Duration::from_millis(200));
    config.consumer.discovery_interval = HumanDuration::new(Duration::from_millis(500));
    config
}

/// A cluster whose topics are there.
pub(crate) async fn cluster(config: KafkaConfig) -> KafkaCluster {
    let cluster = KafkaCluster::new(config).unwrap();
    apply_topics(&cluster, &[]).await;
    until_ready(&cluster).await;
    cluster
}

/// Makes the topics, and those of tenants.
pub(crate) async fn apply_topics(cluster: &KafkaCluster, tenants: &[TenantId]) {
    TopicAdmin::new(cluster).unwrap().apply(tenants).await.unwrap();
}

/// A topic that was made a moment ago is not told by every broker at once.
pub(crate) async fn until_ready(cluster: &KafkaCluster) {
    eventually("the topics are there", || async { cluster.ready().await.is_ok() }).await;
}

/// Waits for what must happen.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what}: this takes too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "the tests' own tenants")]
pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn record(tenant_name: &str, value: impl Into<bytes::Bytes>) -> Record {
    let key = RecordKey { tenant: tenant(tenant_name), shard: 0 };
    Record { key, headers: Vec::new(), value: value.into() }
}
