//! What looks after queue and store while the server runs: their health, their failure, their closing.

use std::sync::Arc;
use std::time::Duration;

use luminate_queue::Producer as _;
use luminate_rocksdb::RocksStore;
use luminate_rocksdb::queue::EmbeddedQueue;
use luminate_runtime::lifecycle::{Dependency, Lifecycle, StopStage};
use luminate_storage::{SampleSink as _, SampleSource as _};

/// How often health looks at queue and store.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
            tell(&queue_health, queue.available());
            tell(&store_health, store.writable().and_then(|()| store.readable()));
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
