//! How far each source is stored, for whoever waits for it or watches it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use luminate_model::{Offset, Receipt, Source};
use luminate_queue::QueueAdmin;
use luminate_storage::{ReachError, StorageError, Watermarks};
use tokio::sync::watch;

/// How far each source is stored. Clones are the same.
#[derive(Clone)]
pub struct Progress {
    sources: Arc<watch::Sender<BTreeMap<Source, SourceProgress>>>,
}

/// How far one source is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// Everything before is stored.
    pub stored: Offset,
    /// When the oldest record that was read and is not stored was appended, ms since 1970.
    pub oldest_open: Option<i64>,
    /// Why the partition stands still until an operator has looked: a stable code.
    pub stopped: Option<&'static str>,
}

/// A partition that stands still keeps a watermark from being reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("partition {place} has stopped ({code})")]
pub struct StoppedPartition {
    /// The partition.
    pub place: Source,
    /// Why.
    pub code: &'static str,
}

impl Default for Progress {
    fn default() -> Self {
        Self { sources: Arc::new(watch::Sender::new(BTreeMap::new())) }
    }
}

impl Progress {
    /// How far every source is that this writer has begun with.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<Source, SourceProgress> {
        self.sources.borrow().clone()
    }

    /// The sources that stand still, with the codes of the reasons.
    #[must_use]
    pub fn stopped_sources(&self) -> Vec<(Source, &'static str)> {
        let sources = self.sources.borrow();
        sources.iter().filter_map(|(source, progress)| Some((*source, progress.stopped?))).collect()
    }

    /// Waits until everything before these offsets is stored.
    ///
    /// # Errors
    /// [`StoppedPartition`] where one of the sources stands still before its offset.
    pub async fn reach(&self, offsets: &[(Source, Offset)]) -> Result<(), StoppedPartition> {
        let mut sources = self.sources.subscribe();
        loop {
            let mut reached = true;
            {
                let sources = sources.borrow_and_update();
                for (source, wanted) in offsets.iter().filter(|(_, wanted)| *wanted > Offset(0)) {
                    let progress = sources.get(source);
                    if progress.is_some_and(|progress| progress.stored >= *wanted) {
                        continue;
                    }
                    reached = false;
                    if let Some(code) = progress.and_then(|progress| progress.stopped) {
                        return Err(StoppedPartition { place: *source, code });
                    }
                }
            }
            if reached {
                return Ok(());
            }
            // The sender lives in `self`.
            let _ = sources.changed().await;
        }
    }

    pub(crate) fn stored(&self, source: Source, next: Offset) {
        self.change(source, |progress| {
            *progress = SourceProgress { stored: next.max(progress.stored), ..SourceProgress::default() };
        });
    }

    pub(crate) fn reading(&self, source: Source, oldest_open: Option<i64>) {
        self.change(source, |progress| progress.oldest_open = oldest_open);
    }

    pub(crate) fn stopped(&self, source: Source, code: &'static str) {
        self.change(source, |progress| progress.stopped = Some(code));
    }

    /// The source is no longer this writer's.
    pub(crate) fn released(&self, source: Source) {
        self.sources.send_modify(|sources| {
            sources.remove(&source);
        });
    }

    fn change(&self, source: Source, change: impl FnOnce(&mut SourceProgress)) {
        self.sources.send_modify(|sources| change(sources.entry(source).or_default()));
    }
}

/// The watermarks of a writer that has every partition of its queue, for a store in the same process that does not know them.
pub struct OwnWatermarks {
    progress: Progress,
    queue: Arc<dyn QueueAdmin>,
}

impl OwnWatermarks {
    /// The watermarks that `progress` tells, of the partitions of `queue`.
    #[must_use]
    pub fn new(progress: Progress, queue: Arc<dyn QueueAdmin>) -> Self {
        Self { progress, queue }
    }

    /// Whether the queue has these sources: what the writer has not begun with yet, it will.
    async fn check_sources(&self, receipt: &Receipt) -> Result<(), ReachError> {
        // A queue that cannot tell refuses nobody.
        let Ok(ends) = self.queue.ends().await else { return Ok(()) };
        let is_unknown = |wanted: &Source| ends.iter().all(|(known, _)| known != wanted);
        match receipt.places().iter().find(|(wanted, _)| is_unknown(wanted)) {
            Some((unknown, _)) => Err(ReachError::OtherIncarnation(*unknown)),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Watermarks for OwnWatermarks {
    async fn watermark(&self) -> Result<Receipt, StorageError> {
        let mut receipt = Receipt::default();
        self.progress.sources().into_iter().for_each(|(source, progress)| receipt.add(source, progress.stored));
        Ok(receipt)
    }

    /// A partition that stands still goes on when an operator has seen to it, so it is waited for as well.
    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        self.check_sources(receipt).await?;
        if let Err(stopped) = self.progress.reach(receipt.places()).await {
            tracing::debug!(%stopped, "a receipt waits in vain");
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use luminate_model::Incarnation;
    use luminate_queue::QueueError;
    use tokio::time::timeout;

    use super::*;

    fn source(partition: u32) -> Source {
        Source { incarnation: Incarnation([1; 16]), partition }
    }

    #[tokio::test]
    async fn waiting_ends_when_all_sources_are_there() {
        let progress = Progress::default();
        let wanted = [(source(0), Offset(5)), (source(1), Offset(1)), (source(2), Offset(0))];
        let waiting = tokio::spawn({
            let progress = progress.clone();
            async move { progress.reach(&wanted).await }
        });
        progress.stored(source(0), Offset(7));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        progress.stored(source(1), Offset(1));
        assert_eq!(waiting.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_partition_that_stands_still_is_waited_for_only_where_it_is_far_enough() {
        let progress = Progress::default();
        progress.stored(source(0), Offset(5));
        progress.stopped(source(0), "damaged");
        assert_eq!(progress.reach(&[(source(0), Offset(5))]).await, Ok(()));
        let refused = progress.reach(&[(source(0), Offset(6))]).await.unwrap_err();
        assert_eq!((refused.place, refused.code), (source(0), "damaged"));
        assert_eq!(progress.stopped_sources(), [(source(0), "damaged")]);
    }

    /// A queue of two partitions.
    struct TwoPartitions;

    #[async_trait]
    impl QueueAdmin for TwoPartitions {
        async fn ends(&self) -> Result<Vec<(Source, Offset)>, QueueError> {
            Ok(vec![(source(0), Offset(9)), (source(1), Offset(9))])
        }

        async fn scrub(&self) -> Result<(), QueueError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn own_watermarks_wait_for_partitions_of_the_queue_and_refuse_others() {
        let progress = Progress::default();
        let watermarks = OwnWatermarks::new(progress.clone(), Arc::new(TwoPartitions));
        let receipt = |partition, next| {
            let mut receipt = Receipt::default();
            receipt.add(source(partition), Offset(next));
            receipt
        };
        let refused = watermarks.reach(&receipt(2, 1)).await;
        assert_eq!(refused, Err(ReachError::OtherIncarnation(source(2))));
        // Not begun with yet: it is waited for.
        let patience = Duration::from_secs(60);
        assert!(timeout(patience, watermarks.reach(&receipt(1, 3))).await.is_err());
        progress.stored(source(1), Offset(3));
        assert_eq!(timeout(patience, watermarks.reach(&receipt(1, 3))).await.unwrap(), Ok(()));
        // It stands still, and an operator may mend that.
        progress.stopped(source(1), "damaged");
        assert!(timeout(patience, watermarks.reach(&receipt(1, 4))).await.is_err());
        assert_eq!(watermarks.watermark().await.unwrap().places(), [(source(1), Offset(3))]);
    }
}
