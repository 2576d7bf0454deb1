//! What operators need: how far every partition reaches.

use std::sync::Arc;

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};
use luminate_queue::{QueueAdmin, QueueError};

use crate::cluster::{KafkaCluster, Place};
use crate::error::blocking;
use crate::topics::Topic;

/// Tells the ends of partitions of the topics of samples.
#[derive(Clone)]
pub struct KafkaAdmin {
    cluster: KafkaCluster,
    of_assigned: bool,
}

impl KafkaAdmin {
    /// Tells of all partitions, whoever owns them.
    #[must_use]
    pub fn new(cluster: &KafkaCluster) -> Self {
        Self { cluster: cluster.clone(), of_assigned: false }
    }

    /// Tells of the partitions that the configuration assigns, and of no other.
    #[must_use]
    pub fn of_assigned(cluster: &KafkaCluster) -> Self {
        Self { cluster: cluster.clone(), of_assigned: true }
    }

    /// The partitions that are told of. Blocks.
    fn partitions(&self) -> Result<Vec<(Source, Place)>, QueueError> {
        if self.of_assigned {
            let assigned = self.cluster.look_up_assigned()?.into_iter();
            return Ok(assigned.map(|one| (one.source, (one.topic, one.source.partition))).collect());
        }
        let topics = self.cluster.refresh_topics()?;
        let of_topic = |topic: &Arc<Topic>| {
            let place = |source: Source| (source, (topic.name.clone(), source.partition));
            topic.sources().map(place).collect::<Vec<_>>()
        };
        Ok(topics.iter().flat_map(of_topic).collect())
    }
}

#[async_trait]
impl QueueAdmin for KafkaAdmin {
    async fn ends(&self) -> Result<Vec<(Source, Offset)>, QueueError> {
        let admin = self.clone();
        blocking(move || {
            let (sources, places): (Vec<Source>, Vec<Place>) = admin.partitions()?.into_iter().unzip();
            let ends: Vec<Offset> = admin.cluster.ends(&places).into_iter().collect::<Result<_, _>>()?;
            Ok(sources.into_iter().zip(ends).collect())
        })
        .await
    }

    fn owner(&self, source: Source) -> Option<TenantId> {
        self.cluster.topics().of(source).and_then(|topic| topic.owner.clone())
    }

    /// Records leave with the topic's retention.
    async fn scrub(&self) -> Result<(), QueueError> {
        Ok(())
    }
}
