//! What looks after queue and store while the server runs: their health, failure, numbers and closing.

use std::sync::Arc;
use std::time::Duration;

use luminate_queue::Producer as _;
use luminate_rocksdb::queue::EmbeddedQueue;
use luminate_rocksdb::{Failure, RocksStore};
use luminate_runtime::lifecycle::{Lifecycle, StopStage};
use luminate_storage::{SampleSink as _, SampleSource as _};

/// How often the numbers of queue and store are read; their files are listed for it.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Looks after the embedded queue, and closes it in the last stage of the stop, when nobody uses it any more.
pub(super) fn queue(lifecycle: &Lifecycle, queue: &EmbeddedQueue) {
    failure(lifecycle, "queue-failure", "queue", queue.failure().clone());
    let watched = queue.clone();
    lifecycle.watch_dependency("queue", move || watched.available().and_then(|()| watched.takes_dead_letters()));
    queue_numbers(lifecycle, queue.clone());
    let closed = queue.clone();
    lifecycle.spawn("close-queue", StopStage::Close, |mut stop| async move {
        stop.requested().await;
        closed.close().await;
        Ok(())
    });
}

/// Looks after the RocksDB store, and closes it in the last stage of the stop, when nobody uses it any more.
pub(super) fn store(lifecycle: &Lifecycle, store: &Arc<RocksStore>) {
    failure(lifecycle, "store-failure", "store", store.failure().clone());
    let watched = Arc::clone(store);
    lifecycle.watch_dependency("storage", move || watched.writable().and_then(|()| watched.readable()));
    store_numbers(lifecycle, Arc::clone(store));
    let closed = Arc::clone(store);
    lifecycle.spawn("close-store", StopStage::Close, |mut stop| async move {
        stop.requested().await;
        match Arc::into_inner(closed) {
            Some(store) => store.close().await,
            // A query that was cut off still reads; what was acknowledged is on disk in any case.
            None => tracing::warn!("the store is still read from, and ends with the process"),
        }
        Ok(())
    });
}

/// Stops the process when a database has failed for good: it is mended by a start, and by nothing else.
fn failure(lifecycle: &Lifecycle, task: &'static str, what: &'static str, failure: Failure) {
    lifecycle.spawn(task, StopStage::Drain, move |mut stop| async move {
        tokio::select! {
            () = stop.requested() => Ok(()),
            error = failure.failed() => Err(format!("the {what} has failed: {error}").into()),
        }
    });
}

/// Keeps the metrics that the queue does not count itself.
fn queue_numbers(lifecycle: &Lifecycle, queue: EmbeddedQueue) {
    let metrics = lifecycle.metrics().clone();
    lifecycle.spawn("queue-numbers", StopStage::Drain, move |mut stop| async move {
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        let mut syncs = 0;
        loop {
            let counted = queue.clone();
            let stats = tokio::task::spawn_blocking(move || counted.stats()).await?;
            metrics.queue_syncs.inc_by(stats.syncs.saturating_sub(syncs));
            syncs = stats.syncs;
            metrics.dead_letter_bytes.set(stats.dead_letter_bytes as f64);
            metrics.disk_bytes.with(["queue"]).set(stats.disk_bytes as f64);
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
        }
    });
}

/// Keeps the metrics that the store does not count itself.
fn store_numbers(lifecycle: &Lifecycle, store: Arc<RocksStore>) {
    let metrics = lifecycle.metrics().clone();
    lifecycle.spawn("store-numbers", StopStage::Drain, move |mut stop| async move {
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        let (mut merges, mut expired) = (0, 0);
        loop {
            let counted = Arc::clone(&store);
            let stats = tokio::task::spawn_blocking(move || counted.stats()).await?;
            metrics.store_merges.inc_by(stats.merges.saturating_sub(merges));
            metrics.samples_expired.inc_by(stats.expired_samples.saturating_sub(expired));
            (merges, expired) = (stats.merges, stats.expired_samples);
            metrics.active_series.set(stats.active_series as f64);
            metrics.store_blocks.set(stats.blocks as f64);
            metrics.disk_bytes.with(["store"]).set((stats.disk_bytes + stats.ballast_bytes) as f64);
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
        }
    });
}
