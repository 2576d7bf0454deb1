//! What topics should be like, by the configuration and the number of brokers.

use std::collections::BTreeMap;

use luminate_model::TenantId;

use crate::config::{KafkaConfig, TENANT_PLACEHOLDER, TopicsConfig};
use crate::settings::Settings;

/// Copies of every partition unless the configuration says how many: one may be away and another lost.
const USUAL_COPIES: u32 = 3;

const MIN_IN_SYNC: &str = "min.insync.replicas";

/// How many copies partitions should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    /// Copies of every partition.
    pub replication: u32,
    /// Copies that must have a record before it counts as written.
    pub min_insync_replicas: u32,
    /// Whether there are fewer copies than usual because there are not as many brokers.
    pub is_short: bool,
}

impl Copies {
    /// What `topics` says, and where it says nothing, what `brokers` brokers can hold.
    pub(super) fn new(topics: &TopicsConfig, brokers: u32) -> Self {
        let replication = topics.replication.unwrap_or_else(|| USUAL_COPIES.min(brokers.max(1)));
        Self {
            replication,
            min_insync_replicas: topics.min_insync_replicas.unwrap_or_else(|| (replication - 1).max(1)),
            is_short: topics.replication.is_none() && replication < USUAL_COPIES,
        }
    }
}

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

impl DesiredTopic {
    /// For a topic that is there with so many copies: if more had to be in sync than there are, nothing could be written.
    pub(super) fn limit_in_sync(&mut self, found: u32) {
        if let Some(in_sync) = self.settings.get_mut(MIN_IN_SYNC)
            && in_sync.parse().is_ok_and(|wanted: u32| wanted > found)
        {
            *in_sync = found.to_string();
        }
    }
}

/// The shared topics, and those of the tenants named.
pub(super) fn desired_topics(config: &KafkaConfig, copies: Copies, tenants: &[TenantId]) -> Vec<DesiredTopic> {
    let topics = &config.topics;
    let topic = |name, settings| DesiredTopic {
        name,
        partitions: topics.partitions,
        replication: copies.replication,
        settings,
    };
    let samples = topic(topics.samples.clone(), samples_settings(config, copies));
    let tenants = tenants.iter().map(|tenant| {
        topic(topics.tenant.replace(TENANT_PLACEHOLDER, tenant.as_str()), tenant_settings(config, copies))
    });
    let dead_letters = DesiredTopic {
        name: topics.dead_letters.clone(),
        partitions: 1,
        replication: copies.replication,
        settings: dead_letters_settings(config, copies),
    };
    std::iter::once(samples).chain(tenants).chain([dead_letters]).collect()
}

fn samples_settings(config: &KafkaConfig, copies: Copies) -> BTreeMap<&'static str, String> {
    let mut settings = shared_settings(copies);
    settings.insert("cleanup.policy", "delete".to_owned());
    settings.insert("retention.ms", config.topics.retention.get().as_millis().to_string());
    // Time alone decides what goes.
    settings.insert("retention.bytes", "-1".to_owned());
    settings.insert("max.message.bytes", Settings::new(config).largest_batch().to_string());
    settings
}

fn tenant_settings(config: &KafkaConfig, copies: Copies) -> BTreeMap<&'static str, String> {
    let mut settings = samples_settings(config, copies);
    // Brokers compress again what came otherwise. librdkafka bounds what it inflates of Zstandard, and of nothing else: a small
    // batch of another compression could take all of a writer's memory, and of the next one's.
    settings.insert("compression.type", "zstd".to_owned());
    settings
}

fn dead_letters_settings(config: &KafkaConfig, copies: Copies) -> BTreeMap<&'static str, String> {
    let mut settings = shared_settings(copies);
    settings.insert("cleanup.policy", "compact".to_owned());
    settings.insert("max.message.bytes", Settings::new(config).largest_dead_letter().to_string());
    settings
}

fn shared_settings(copies: Copies) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (MIN_IN_SYNC, copies.min_insync_replicas.to_string()),
        // A replay must decide as the first run did, and no producer may choose the time.
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        // A leader that lacks acknowledged records would lose them.
        ("unclean.leader.election.enable", "false".to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(replication: Option<u32>, min_insync_replicas: Option<u32>, brokers: u32) -> (u32, u32, bool) {
        let topics = TopicsConfig { replication, min_insync_replicas, ..TopicsConfig::default() };
        let copies = Copies::new(&topics, brokers);
        (copies.replication, copies.min_insync_replicas, copies.is_short)
    }

    #[test]
    fn copies_are_three_where_brokers_suffice() {
        assert_eq!(copies(None, None, 5), (3, 2, false));
        assert_eq!(copies(None, None, 2), (2, 1, true));
        assert_eq!(copies(None, None, 1), (1, 1, true));
        assert_eq!(copies(None, Some(1), 3), (3, 1, false));
    }

    #[test]
    fn no_more_copies_must_be_in_sync_than_there_are() {
        let topics = desired_topics(&KafkaConfig::default(), Copies::new(&TopicsConfig::default(), 3), &[]);
        for wanted in topics {
            let mut limited = wanted.clone();
            limited.limit_in_sync(3);
            assert_eq!(limited, wanted);
            limited.limit_in_sync(1);
            assert_eq!(limited.settings[MIN_IN_SYNC], "1");
        }
    }

    #[test]
    fn configured_copies_do_not_depend_on_brokers() {
        assert_eq!(copies(Some(3), None, 1), (3, 2, false));
        assert_eq!(copies(Some(1), Some(1), 3), (1, 1, false));
    }
}
