//! What is known of registered schemas.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use luminate_runtime::lifecycle::Dependency;
use luminate_schemas::UnusableSchema;
use tokio::time::Instant;

use super::waiting::Waiting;
use super::{Lookup, SchemaRegistry, SchemaRegistryError};

/// So many numbers are remembered; then the ones that were learnt first are forgotten.
const MAX_KNOWN: usize = 1000;

/// A number never changes its meaning, but one without a meaning may be given one.
const NOT_REGISTERED_FOR: Duration = Duration::from_secs(60);

/// The registered schemas that were asked for, shared by all partitions.
pub struct RegisteredSchemas {
    registry: Option<Arc<dyn SchemaRegistry>>,
    known: Mutex<Known>,
    waiting: Option<Waiting>,
}

#[derive(Default)]
struct Known {
    lookups: HashMap<u32, (Lookup, Instant)>,
    /// The numbers in the order in which they were learnt.
    order: VecDeque<u32>,
}

impl RegisteredSchemas {
    /// Knows nothing yet. Without a registry no number has a meaning.
    #[must_use]
    pub fn new(registry: Option<Arc<dyn SchemaRegistry>>) -> Self {
        Self { registry, known: Mutex::default(), waiting: None }
    }

    /// Shows in the process's health, under this name, whether the registry is waited for.
    #[must_use]
    pub fn shown_as(mut self, dependency: Dependency) -> Self {
        self.waiting = Some(Waiting::new(dependency));
        self
    }

    pub(super) fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }

    /// What is known of a number; `None` where the registry has to be asked.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<Lookup> {
        if self.registry.is_none() {
            return Some(Err(UnusableSchema::NoRegistry));
        }
        let known = self.known();
        let (lookup, learnt_at) = known.lookups.get(&id)?;
        let is_stale = *lookup == Err(UnusableSchema::NotRegistered) && learnt_at.elapsed() > NOT_REGISTERED_FOR;
        (!is_stale).then(|| lookup.clone())
    }

    /// Asks the registry, so that [`get`](Self::get) knows.
    ///
    /// # Errors
    /// [`SchemaRegistryError`]; trying again may help.
    pub async fn learn(&self, id: u32) -> Result<(), SchemaRegistryError> {
        let Some(registry) = &self.registry else { return Ok(()) };
        let lookup = registry.look_up(id).await?;
        if let Err(why) = &lookup {
            tracing::warn!(id, %why, "records with this registered schema are rejected");
        }
        self.known().insert(id, lookup);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it is held, and a map is whole after each step in any case.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn insert(&mut self, id: u32, lookup: Lookup) {
        if self.lookups.insert(id, (lookup, Instant::now())).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_KNOWN
            && let Some(first) = self.order.pop_front()
        {
            self.lookups.remove(&first);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use luminate_schemas::PublishedSchema;

    use super::*;

    /// Knows even numbers, and counts how often it is asked.
    #[derive(Default)]
    struct Even(AtomicUsize);

    #[async_trait]
    impl SchemaRegistry for Even {
        async fn look_up(&self, id: u32) -> Result<Lookup, SchemaRegistryError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(if id.is_multiple_of(2) {
                Ok(PublishedSchema::SampleRowsV1)
            } else {
                Err(UnusableSchema::NotRegistered)
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_learnt_is_known_and_an_unknown_number_is_asked_for_again_later() {
        let schemas = RegisteredSchemas::new(Some(Arc::new(Even::default())));
        assert_eq!(schemas.get(2), None);
        schemas.learn(2).await.unwrap();
        schemas.learn(3).await.unwrap();
        assert_eq!(schemas.get(2), Some(Ok(PublishedSchema::SampleRowsV1)));
        assert_eq!(schemas.get(3), Some(Err(UnusableSchema::NotRegistered)));
        tokio::time::advance(NOT_REGISTERED_FOR + Duration::from_millis(1)).await;
        assert_eq!((schemas.get(2).is_some(), schemas.get(3)), (true, None));
    }

    #[tokio::test]
    async fn without_a_registry_no_number_has_a_meaning() {
        let schemas = RegisteredSchemas::new(None);
        assert_eq!(schemas.get(1), Some(Err(UnusableSchema::NoRegistry)));
        assert_eq!(schemas.learn(1).await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_known_is_bounded() {
        let schemas = RegisteredSchemas::new(Some(Arc::new(Even::default())));
        for id in 0..3 * MAX_KNOWN as u32 {
            schemas.learn(id / 2).await.unwrap();
        }
        let known = schemas.known();
        assert_eq!((known.lookups.len(), known.order.len()), (MAX_KNOWN, MAX_KNOWN));
        assert!(known.order.iter().all(|id| known.lookups.contains_key(id)));
        assert!(!known.lookups.contains_key(&0), "the first are forgotten");
    }
}
