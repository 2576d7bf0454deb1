//! Which partitions are this writer's: one task for each.

use std::collections::HashMap;
use std::sync::Arc;

use luminate_model::Source;
use luminate_queue::{Assignment, Consumer, PartitionConsumer, QueueError};
use luminate_runtime::lifecycle::{StopSignal, TaskError};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::partition::{PartitionWriter, Pipeline};

/// Takes partitions as the queue gives them, until the process stops.
pub(crate) struct Assignments {
    pipeline: Arc<Pipeline>,
    consumer: Box<dyn Consumer>,
    stop: StopSignal,
    running: HashMap<Source, Running>,
    tasks: JoinSet<()>,
}

struct Running {
    revoke: watch::Sender<bool>,
    /// The task drops the other half when it ends.
    ended: oneshot::Receiver<()>,
}

impl Assignments {
    pub(crate) fn new(pipeline: Arc<Pipeline>, consumer: Box<dyn Consumer>, stop: StopSignal) -> Self {
        Self { pipeline, consumer, stop, running: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Runs until the process stops and every partition has stored what it had read.
    pub(crate) async fn run(mut self) -> Result<(), TaskError> {
        loop {
            let assignment = tokio::select! {
                biased;
                () = self.stop.requested() => break,
                // A panic of a partition's task ends the process; a partition that has stopped does not.
                Some(ended) = self.tasks.join_next() => {
                    ended?;
                    continue;
                }
                assignment = self.consumer.assignment() => assignment,
            };
            match assignment {
                Ok(Assignment::Given(partition)) => self.begin(partition).await,
                Ok(Assignment::Revoked { source, done }) => {
                    self.end(source).await;
                    // The receiver is gone where the queue is.
                    let _ = done.send(());
                }
                // It closes when the process stops, perhaps a moment before this task learns of it.
                Err(QueueError::Closed) => self.stop.requested().await,
                Err(error) if error.is_retryable() => {
                    tracing::warn!(code = error.code(), %error, "the queue gives no partitions for now");
                    sleep(self.pipeline.config.retry.max_delay.get()).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            ended?;
        }
        Ok(())
    }

    async fn begin(&mut self, partition: Box<dyn PartitionConsumer>) {
        let source = partition.source();
        self.end(source).await;
        let (revoke, revoked) = watch::channel(false);
        let (ends, ended) = oneshot::channel();
        let writer = PartitionWriter::new(Arc::clone(&self.pipeline), partition, self.stop.clone(), revoked);
        self.tasks.spawn(async move {
            writer.run().await;
            drop(ends);
        });
        self.running.insert(source, Running { revoke, ended });
    }

    /// Takes a partition away from its task, and waits until it has let go.
    async fn end(&mut self, source: Source) {
        let Some(running) = self.running.remove(&source) else { return };
        running.revoke.send_replace(true);
        // Nothing is ever sent: the task's end is the message.
        let _ = running.ended.await;
        self.pipeline.progress.released(source);
    }
}
