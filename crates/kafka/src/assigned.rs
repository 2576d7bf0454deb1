//! The partitions that the configuration assigns, as brokers know them.

use luminate_model::Source;
use luminate_queue::QueueError;

use crate::cluster::{KafkaCluster, Place, missing};
use crate::error::blocking;

/// A partition that the configuration assigns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedPartition {
    /// The topic's name.
    pub topic: String,
    /// The partition, of the topic's incarnation now.
    pub source: Source,
}

impl KafkaCluster {
    /// The partitions of `consumer.assign`.
    ///
    /// # Errors
    /// [`QueueError::Unavailable`] where no broker answers, or a topic or partition is not there (yet).
    pub async fn assigned_partitions(&self) -> Result<Vec<AssignedPartition>, QueueError> {
        let cluster = self.clone();
        blocking(move || cluster.look_up_assigned()).await
    }

    /// Blocks.
    pub(crate) fn look_up_assigned(&self) -> Result<Vec<AssignedPartition>, QueueError> {
        let places = self.assigned_places();
        let names: Vec<String> = self.config().consumer.assign.keys().cloned().collect();
        let topics = self.describe(&names)?;
        let look_up = |(name, partition): Place| {
            let topic = topics.named(&name).ok_or_else(|| missing(&name))?;
            if partition >= topic.partitions {
                let count = topic.partitions;
                return Err(QueueError::Unavailable(format!(
                    "kafka.consumer.assign names partition {partition} of topic {name}, which has {count}"
                )));
            }
            Ok(AssignedPartition { source: topic.source(partition), topic: name })
        };
        places.into_iter().map(look_up).collect()
    }

    fn assigned_places(&self) -> Vec<Place> {
        let assign = self.config().consumer.assign.iter();
        assign.flat_map(|(topic, partitions)| partitions.iter().map(|at| (topic.clone(), *at))).collect()
    }
}
