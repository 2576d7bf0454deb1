//! What looks after queue and store while the server runs: their health, failure, numbers and closing.

use std::sync::Arc;
use std::time::Duration;

use luminate_queue::Producer as _;
use luminate_rocksdb::RocksStore;
use luminate_rocksdb::queue::EmbeddedQueue;
use luminate_runtime::lifecycle::{Dependency, Lifecycle, StopStage};
use luminate_storage::{SampleSink as _, SampleSource as _};

/// How often health looks at queue and store.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the numbers of queue and store are read; their files are listed for it.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Closes the store and then the queue in the last stage of the stop, when nobody uses them any more.
pub(super) fn close_last(lifecycle: &Lifecycle, queue: &EmbeddedQueue, store: &Arc<RocksStore>) {
    let (queue, store) = (queue.clone(), Arc::clone(store));
    lifecycle.spawn("close", StopStage::Close, |mut stop| async move {
        stop.requested().await;
        match Arc::into_inner(store) {
            Some(store) => store.close().await,
            // A query that was cut off still reads; what was acknowledged is on disk in any case.
            None => tracing::warn!("the store is still read from, and ends with the process"),
        }
        queue.close().await;
        Ok(())
    });
}

/// Stops the process when a database has failed for good: it is mended by a start, and by nothing else.
pub(super) fn failures(lifecycle: &Lifecycle, queue: &EmbeddedQueue, store: &RocksStore) {
    for (task, what, failure) in
        [("queue-failure", "queue", queue.failure().clone()), ("store-failure", "store", store.failure().clone())]
    {
        lifecycle.spawn(task, StopStage::Drain, move |mut stop| async move {
            tokio::select! {
                () = stop.requested() => Ok(()),
                error = failure.failed() => Err(format!("the {what} has failed: {error}").into()),
            }
        });
    }
}

/// Keeps what `/api/v1/health` and `luminate_dependency_up` tell of queue and store.
pub(super) fn health(lifecycle: &Lifecycle, queue: &EmbeddedQueue, store: &Arc<RocksStore>) {
    let (queue_health, store_health) =
        (lifecycle.health().dependency("queue"), lifecycle.health().dependency("storage"));
    let (queue, store) = (queue.clone(), Arc::clone(store));
    lifecycle.spawn("health", StopStage::Drain, move |mut stop| async move {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        loop {
            tell(&queue_health, queue.available().and_then(|()| queue.takes_dead_letters()));
            tell(&store_health, store.writable().and_then(|()| store.readable()));
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
        }
    });
}

/// Keeps the metrics that queue and store do not count themselves.
pub(super) fn telemetry(lifecycle: &Lifecycle, queue: &EmbeddedQueue, store: &Arc<RocksStore>) {
    let (queue, store) = (queue.clone(), Arc::clone(store));
    let metrics = lifecycle.metrics().clone();
    lifecycle.spawn("telemetry", StopStage::Drain, move |mut stop| async move {
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        let (mut syncs, mut merges, mut expired) = (0, 0, 0);
        loop {
            let (queue, store) = (queue.clone(), Arc::clone(&store));
            let counted = tokio::task::spawn_blocking(move || (queue.stats(), store.stats())).await;
            let (of_queue, of_store) = counted?;
            metrics.queue_syncs.inc_by(of_queue.syncs.saturating_sub(syncs));
            metrics.store_merges.inc_by(of_store.merges.saturating_sub(merges));
            metrics.samples_expired.inc_by(of_store.expired_samples.saturating_sub(expired));
            (syncs, merges, expired) = (of_queue.syncs, of_store.merges, of_store.expired_samples);
            metrics.active_series.set(of_store.active_series as f64);
            metrics.store_blocks.set(of_store.blocks as f64);
            metrics.dead_letter_bytes.set(of_queue.dead_letter_bytes as f64);
            metrics.disk_bytes.with(["queue"]).set(of_queue.disk_bytes as f64);
            metrics.disk_bytes.with(["store"]).set((of_store.disk_bytes + of_store.ballast_bytes) as f64);
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
        }
    });
}

fn tell(dependency: &Dependency, state: Result<(), String>) {
    match state {
        Ok(()) => dependency.up(),
        Err(reason) => dependency.down(reason),
    }
}
