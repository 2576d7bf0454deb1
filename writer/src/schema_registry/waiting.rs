//! Waiting for a registry that does not answer, and saying so.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use luminate_runtime::lifecycle::Dependency;
use tokio::time::sleep;

use super::{RegisteredSchemas, SchemaRegistryError};

/// How many partitions wait for the registry. It counts as up while none does: it is asked only for what is new.
pub(super) struct Waiting {
    dependency: Dependency,
    partitions: Mutex<usize>,
}

impl Waiting {
    pub(super) fn new(dependency: Dependency) -> Self {
        dependency.up();
        Self { dependency, partitions: Mutex::default() }
    }

    /// Another one waits, for as long as the answer lives.
    fn begin(&self, error: &SchemaRegistryError) -> OneWaits<'_> {
        let mut partitions = self.partitions();
        if *partitions == 0 {
            // The reason is for the log: health is public, and the reason may name addresses.
            self.dependency.down("does not answer; partitions wait for it, the log says why");
            tracing::warn!(%error, "the schema registry does not answer: records wait for their schema");
        }
        *partitions += 1;
        OneWaits(self)
    }

    fn partitions(&self) -> MutexGuard<'_, usize> {
        // Nothing panics while it is held.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct OneWaits<'a>(&'a Waiting);

impl Drop for OneWaits<'_> {
    fn drop(&mut self) {
        let mut partitions = self.0.partitions();
        *partitions = partitions.saturating_sub(1);
        if *partitions == 0 {
            self.0.dependency.up();
            tracing::info!("no record waits for the schema registry any more");
        }
    }
}

impl RegisteredSchemas {
    /// Asks the registry until it answers, so that [`get`](Self::get) knows. While somebody waits here the registry counts as
    /// down. Drop it to stop.
    pub async fn learn_until_known(&self, id: u32, first_delay: Duration, max_delay: Duration) {
        let mut delay = first_delay;
        let mut waits = None;
        while let Err(error) = self.learn(id).await {
            if let (None, Some(waiting)) = (&waits, self.waiting()) {
                waits = Some(waiting.begin(&error));
            }
            tracing::debug!(%error, "a record waits for its schema");
            sleep(delay).await;
            delay = (delay * 2).min(max_delay);
        }
    }
}
