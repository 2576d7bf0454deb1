//! The suite that every queue must pass, on a broker.

use std::sync::Arc;

use async_trait::async_trait;
use luminate_queue::conformance::{self, Ending, OpenQueue, QueueFactory};
use luminate_runtime::config::ByteSize;

use super::{cluster, config, shared_brokers};
use crate::{ConsumerCloser, KafkaAdmin, KafkaCluster, KafkaConsumer, KafkaDeadLetters, KafkaProducer};

#[derive(Default)]
struct Factory {
    cluster: Option<KafkaCluster>,
    open: Option<(Arc<KafkaProducer>, ConsumerCloser)>,
}

impl Factory {
    fn open_again(&mut self) -> OpenQueue {
        let cluster = self.cluster.as_ref().unwrap();
        let producer = Arc::new(KafkaProducer::new(cluster).unwrap());
        let consumer = KafkaConsumer::start(cluster).unwrap();
        self.open = Some((Arc::clone(&producer), consumer.closer()));
        OpenQueue {
            producer,
            consumer: Box::new(consumer),
            dead_letters: Arc::new(KafkaDeadLetters::new(cluster).unwrap()),
            admin: Arc::new(KafkaAdmin::new(cluster)),
        }
    }
}

#[async_trait]
impl QueueFactory for Factory {
    async fn open(&mut self) -> OpenQueue {
        let mut config = config(shared_brokers().await);
        config.topics.partitions = conformance::PARTITIONS;
        config.producer.buffer = ByteSize::bytes(conformance::MAX_BYTES as u64);
        config.producer.max_record_bytes = ByteSize::bytes(conformance::MAX_RECORD_BYTES as u64);
        self.cluster = Some(cluster(config).await);
        self.open_again()
    }

    /// A process cannot be killed in here: `crash` is asked of whole processes.
    async fn reopen(&mut self, queue: OpenQueue, _: Ending) -> OpenQueue {
        tokio::task::spawn_blocking(move || drop(queue)).await.unwrap();
        self.open_again()
    }

    async fn close(&mut self) {
        let (producer, closer) = self.open.as_ref().unwrap();
        producer.close();
        closer.close();
    }

    fn is_service(&self) -> bool {
        true
    }
}

luminate_queue::queue_conformance!(Factory::default());
