//! What operators need: how far every partition reaches.

use async_trait::async_trait;
use luminate_model::{Offset, Source};
use luminate_queue::{QueueAdmin, QueueError};

use crate::cluster::{KafkaCluster, Place};
use crate::error::blocking;

/// Tells the ends of all topics of samples, whoever owns their partitions.
#[derive(Clone)]
pub struct KafkaAdmin {
    cluster: KafkaCluster,
}

impl KafkaAdmin {
    /// The admin of a cluster.
    #[must_use]
    pub fn new(cluster: &KafkaCluster) -> Self {
        Self { cluster: cluster.clone() }
    }
}

#[async_trait]
impl QueueAdmin for KafkaAdmin {
    async fn ends(&self) -> Result<Vec<(Source, Offset)>, QueueError> {
        let cluster = self.cluster.clone();
        blocking(move || {
            let topics = cluster.refresh_topics()?;
            let sources: Vec<Source> = topics.iter().flat_map(|topic| topic.sources()).collect();
            let places: Vec<Place> = topics
                .iter()
                .flat_map(|topic| (0..topic.partitions).map(|partition| (topic.name.clone(), partition)))
                .collect();
            Ok(sources.into_iter().zip(cluster.ends(&places)?).collect())
        })
        .await
    }

    /// Records leave with the topic's retention.
    async fn scrub(&self) -> Result<(), QueueError> {
        Ok(())
    }
}
