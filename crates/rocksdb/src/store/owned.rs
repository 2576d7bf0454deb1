//! Which partitions a database belongs to, where its records come from a queue that others share: it remembers them, so that
//! it is never continued with others by mistake.
//!
//! A database of a single node is never claimed: its queue lies beside it and is nobody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use luminate_model::{Incarnation, Offset, Source};
use luminate_storage::StorageError;
use rocksdb::WriteBatch;

use super::keys::{META, MetaKey, next_value};
use super::{RocksStore, Shared, blocking};
use crate::database::Durability;

/// A partition that a database belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedPartition {
    /// The topic's name, for people: what counts is its incarnation.
    pub topic: String,
    /// The partition of one incarnation of the topic.
    pub source: Source,
}

/// The partitions that a database belongs to, by topic and number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owned {
    by_place: BTreeMap<(String, u32), Incarnation>,
    sources: BTreeSet<Source>,
}

/// Why a database cannot be continued with some partitions.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Partitions are missing that it belongs to.
    #[error(
        "the database belongs to {owned}, and the configuration assigns {assigned}: {missing} is missing. Partitions can be \
         added, and not taken away: assign them all again, or begin with an empty data folder"
    )]
    Dropped {
        /// What it belongs to.
        owned: PartitionNames,
        /// What it was to be continued with.
        assigned: PartitionNames,
        /// What is missing.
        missing: PartitionNames,
    },
    /// A topic was made again, or is another cluster's.
    #[error(
        "the database belongs to partition {partition} of topic {topic} in its incarnation {owned}, and the topic is {found} \
         now: it was made again, or is another cluster's. What the old one had and was not stored is in the old one alone; begin \
         with an empty data folder"
    )]
    OtherIncarnation {
        /// The topic's name.
        topic: String,
        /// The partition.
        partition: u32,
        /// The incarnation that the database belongs to.
        owned: Incarnation,
        /// The topic's incarnation now.
        found: Incarnation,
    },
    /// It holds samples of a queue that is none of these, such as a single node's.
    #[error(
        "the database holds samples of {found}, and the configuration assigns {assigned}: it belongs to another queue. Begin \
         with an empty data folder"
    )]
    Foreign {
        /// One of the sources that it has samples of.
        found: Source,
        /// What it was to be continued with.
        assigned: PartitionNames,
    },
    /// The database did not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ClaimError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Dropped { .. } => "partitions_dropped",
            Self::OtherIncarnation { .. } => "partitions_of_other_incarnation",
            Self::Foreign { .. } => "database_of_other_queue",
            Self::Storage(error) => error.code(),
        }
    }
}

/// Partitions by topic and number, for people: `topic/0, topic/3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionNames(BTreeSet<(String, u32)>);

impl PartitionNames {
    /// The names of partitions.
    pub fn of<'a>(partitions: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        Self(partitions.into_iter().map(|(topic, partition)| (topic.to_owned(), partition)).collect())
    }
}

impl fmt::Display for PartitionNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (topic, partition)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{topic}/{partition}")?;
        }
        if self.0.is_empty() { f.write_str("nothing") } else { Ok(()) }
    }
}

impl Owned {
    pub(crate) fn add(&mut self, partition: OwnedPartition) {
        let OwnedPartition { topic, source } = partition;
        self.sources.insert(source);
        self.by_place.insert((topic, source.partition), source.incarnation);
    }

    /// Whether batches of a source are taken; of all where the database was never claimed.
    pub(crate) fn takes(&self, source: &Source) -> bool {
        self.sources.is_empty() || self.sources.contains(source)
    }

    pub(crate) fn sources(&self) -> &BTreeSet<Source> {
        &self.sources
    }

    fn names(&self) -> PartitionNames {
        PartitionNames(self.by_place.keys().cloned().collect())
    }

    /// Refuses an assignment that drops what the database belongs to.
    fn check_places(&self, assigned: &PartitionNames) -> Result<(), ClaimError> {
        let owned = self.names();
        let missing: BTreeSet<_> = owned.0.difference(&assigned.0).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ClaimError::Dropped { owned, assigned: assigned.clone(), missing: PartitionNames(missing) })
    }

    fn check_incarnations(&self, assigned: &[OwnedPartition]) -> Result<(), ClaimError> {
        for OwnedPartition { topic, source } in assigned {
            let known = self.by_place.get(&(topic.clone(), source.partition));
            if let Some(owned) = known.filter(|owned| **owned != source.incarnation) {
                let (topic, partition, found) = (topic.clone(), source.partition, source.incarnation);
                return Err(ClaimError::OtherIncarnation { topic, partition, owned: *owned, found });
            }
        }
        Ok(())
    }
}

impl RocksStore {
    /// Whether the database belongs to partitions of a shared queue.
    #[must_use]
    pub fn is_claimed(&self) -> bool {
        !self.shared.state().owned.sources().is_empty()
    }

    /// Whether the database can be continued with these partitions, as far as can be told without the topics' incarnations.
    ///
    /// # Errors
    /// [`ClaimError::Dropped`]
    pub fn check_claim(&self, assigned: &PartitionNames) -> Result<(), ClaimError> {
        self.shared.state().owned.check_places(assigned)
    }

    /// Makes the database belong to these partitions, beside those it belongs to. From then on it takes batches of no others, and
    /// receipts of others are refused at once.
    ///
    /// # Errors
    /// [`ClaimError`] where it belongs to others already; then nothing is changed.
    pub async fn claim(&self, assigned: Vec<OwnedPartition>) -> Result<(), ClaimError> {
        let shared = Arc::clone(&self.shared);
        let claimed = blocking(&self.shared, move |_| Ok(shared.claim(&assigned))).await;
        claimed.unwrap_or_else(|error| Err(error.into()))
    }
}

impl RocksStore {
    /// Gives up everything of a source before `next` that is not stored, for an operator who knows that it is lost: what comes from
    /// `next` on is taken then. Never goes back. Returns whether anything was given up.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn skip_to(&self, source: Source, next: Offset) -> Result<bool, StorageError> {
        blocking(&self.shared, move |shared| shared.skip_to(source, next)).await
    }
}

impl Shared {
    fn skip_to(&self, source: Source, next: Offset) -> Result<bool, StorageError> {
        let mut state = self.state();
        state.check_owned(source)?;
        if state.next.get(&source).is_some_and(|stored| *stored >= next) {
            return Ok(false);
        }
        let since = state.idempotency.get(&source).copied().unwrap_or_default().since;
        let mut write = WriteBatch::default();
        write.put_cf(self.database.family(META)?, MetaKey::Next(source).encode(), next_value(next, since));
        self.database.write(write, Durability::Synced)?;
        state.next.insert(source, next);
        self.progress.send_modify(|progress| {
            progress.next.insert(source, next);
        });
        Ok(true)
    }

    fn claim(&self, assigned: &[OwnedPartition]) -> Result<(), ClaimError> {
        let mut state = self.state();
        let places = assigned.iter().map(|one| (one.topic.as_str(), one.source.partition));
        let names = PartitionNames::of(places);
        state.owned.check_places(&names)?;
        state.owned.check_incarnations(assigned)?;
        let is_ours = |source: &Source| assigned.iter().any(|one| one.source == *source);
        if let Some(foreign) = state.next.keys().find(|source| !is_ours(source)) {
            return Err(ClaimError::Foreign { found: *foreign, assigned: names });
        }
        let mut owned = state.owned.clone();
        assigned.iter().cloned().for_each(|partition| owned.add(partition));
        if owned != state.owned {
            self.remember(&owned).map_err(StorageError::from)?;
            state.owned = owned;
        }
        self.progress.send_modify(|progress| progress.owned = Some(state.owned.sources().clone()));
        Ok(())
    }

    fn remember(&self, owned: &Owned) -> Result<(), crate::error::DatabaseError> {
        let mut write = WriteBatch::default();
        for ((topic, partition), incarnation) in &owned.by_place {
            let source = Source { incarnation: *incarnation, partition: *partition };
            write.put_cf(self.database.family(META)?, MetaKey::Owned(source).encode(), topic.as_bytes());
        }
        self.database.write(write, Durability::Synced)
    }
}
