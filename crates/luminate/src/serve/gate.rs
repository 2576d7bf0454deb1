//! Holds the writer back until what it needs is there, while gateway and queries are at work already.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use luminate_queue::{Assignment, Consumer, QueueError};
use luminate_runtime::lifecycle::{Lifecycle, StopStage};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a start waits, so that what will never come true refuses the start instead of ending the process later.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives no partition before the gate is open.
struct GatedConsumer {
    is_open: watch::Receiver<bool>,
    consumer: Box<dyn Consumer>,
}

/// Has `consumer` give no partition before `condition` has come true. Where it does not within a moment, a task named `task` goes on
/// waiting for it, and ends the process where it fails.
///
/// # Errors
/// What the condition fails with within that moment.
pub(super) async fn hold_back(
    consumer: Box<dyn Consumer>,
    lifecycle: &Lifecycle,
    task: &'static str,
    condition: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) -> anyhow::Result<Box<dyn Consumer>> {
    let mut condition = Box::pin(condition);
    if let Ok(outcome) = timeout(PATIENCE, &mut condition).await {
        return outcome.map(|()| consumer);
    }
    tracing::warn!(task, "records are accepted and wait; they are stored once what this task waits for is there");
    let (opens, is_open) = watch::channel(false);
    lifecycle.spawn(task, StopStage::Drain, move |mut stop| async move {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            outcome = condition => outcome?,
        }
        tracing::info!(task, "it is there; storing begins");
        opens.send_replace(true);
        stop.requested().await;
        Ok(())
    });
    Ok(Box::new(GatedConsumer { is_open, consumer }))
}

#[async_trait]
impl Consumer for GatedConsumer {
    async fn assignment(&mut self) -> Result<Assignment, QueueError> {
        // The task has ended where its end of the channel is gone, and the process is stopping.
        self.is_open.wait_for(|is_open| *is_open).await.map_err(|_| QueueError::Closed)?;
        self.consumer.assignment().await
    }
}
