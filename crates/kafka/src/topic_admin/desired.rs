//! What topics should be like, by the configuration.

use std::collections::BTreeMap;

use luminate_model::TenantId;

use crate::config::{KafkaConfig, TENANT_PLACEHOLDER};
use crate::settings::Settings;

/// What a topic should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredTopic {
    /// Its name.
    pub name: String,
    /// Partitions, at least.
    pub partitions: u32,
    /// Copies of every partition.
    pub replication: u32,
    /// Settings, by Kafka's names.
    pub settings: BTreeMap<&'static str, String>,
}

/// The shared topics, and those of the tenants named.
pub(super) fn desired_topics(config: &KafkaConfig, tenants: &[TenantId]) -> Vec<DesiredTopic> {
    let topics = &config.topics;
    let names = tenants.iter().map(|tenant| topics.tenant.replace(TENANT_PLACEHOLDER, tenant.as_str()));
    let samples = std::iter::once(topics.samples.clone()).chain(names).map(|name| DesiredTopic {
        name,
        partitions: topics.partitions,
        replication: topics.replication,
        settings: samples_settings(config),
    });
    let dead_letters = DesiredTopic {
        name: topics.dead_letters.clone(),
        partitions: 1,
        replication: topics.replication,
        settings: dead_letters_settings(config),
    };
    samples.chain([dead_letters]).collect()
}

fn samples_settings(config: &KafkaConfig) -> BTreeMap<&'static str, String> {
    let mut settings = shared_settings(config);
    settings.insert("cleanup.policy", "delete".to_owned());
    settings.insert("retention.ms", config.topics.retention.get().as_millis().to_string());
    // Time alone decides what goes.
    settings.insert("retention.bytes", "-1".to_owned());
    settings.insert("max.message.bytes", Settings::new(config).largest_batch().to_string());
    settings
}

fn dead_letters_settings(config: &KafkaConfig) -> BTreeMap<&'static str, String> {
    let mut settings = shared_settings(config);
    settings.insert("cleanup.policy", "compact".to_owned());
    settings.insert("max.message.bytes", Settings::new(config).largest_dead_letter().to_string());
    settings
}

fn shared_settings(config: &KafkaConfig) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("min.insync.replicas", config.topics.min_insync_replicas.to_string()),
        // A replay must decide as the first run did, and no producer may choose the time.
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        // A leader that lacks acknowledged records would lose them.
        ("unclean.leader.election.enable", "false".to_owned()),
    ])
}
