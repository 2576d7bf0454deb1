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
    /// Whoever lets go of the partition last drops the other half.
    ended: watch::Receiver<()>,
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
                Ok(Assignment::Revoked { source, done }) => self.let_go(source, done),
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
        let (ends, ended) = watch::channel(());
        let writer = PartitionWriter::new(Arc::clone(&self.pipeline), partition, self.stop.clone(), revoked);
        self.tasks.spawn(async move {
            writer.run().await;
            drop(ends);
        });
        self.running.insert(source, Running { revoke, ended });
    }

    /// Takes a partition away from its task, which says so when it has let go. Nobody waits for it here: a partition whose insert
    /// takes long would keep the others that are taken away with it from hearing of it.
    fn let_go(&mut self, source: Source, done: oneshot::Sender<()>) {
        let (releases, released) = watch::channel(());
        let ended = self.running.get_mut(&source).map(|running| {
            running.revoke.send_replace(true);
            // Whoever begins with the partition again waits for the last of it.
            std::mem::replace(&mut running.ended, released)
        });
        let progress = self.pipeline.progress.clone();
        self.tasks.spawn(async move {
            if let Some(ended) = ended {
                has_ended(ended).await;
                progress.released(source);
            }
            drop(releases);
            // The receiver is gone where the queue is.
            let _ = done.send(());
        });
    }

    /// Waits until a former task of a partition has let go.
    async fn end(&mut self, source: Source) {
        let Some(running) = self.running.remove(&source) else { return };
        running.revoke.send_replace(true);
        has_ended(running.ended).await;
        self.pipeline.progress.released(source);
    }
}

async fn has_ended(mut task: watch::Receiver<()>) {
    // Nothing is ever sent: the task's end is the message.
    let _ = task.changed().await;
}
