//! The store of column blocks in RocksDB.
//!
//! A batch becomes an *arrival* block, which stands in the database with the source's next offset, all in one synced
//! write. A thread of the store's own merges arrivals into *merged* blocks of one tenant and window of time, those into
//! fewer and larger ones, and drops on the way what retention no longer keeps. Pages of merged blocks are written once, as
//! files that the database takes up whole; a merge counts from the moment when one synced write replaces its inputs by its
//! outputs in the directory.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`RocksStoreConfig`] |
//! | `open` | reading a database back, and removing what a crash left |
//! | [`owned`] | which partitions of a shared queue the database belongs to |
//! | `state`, `directory` | what is known in memory: offsets and erasures; which blocks are live |
//! | `keys`, `entry` | how that stands in the database |
//! | `write` | storing a batch |
//! | `pages`, `scan`, `catalogue` | reading |
//! | `provenance` | what blocks hold and where it came from, for comparing with the queue |
//! | `merger`, `inbox` | the merging thread, and what it waits for |
//! | `planner`, `merging`, `page_files`, `rules` | what to merge, carrying it out, and what it leaves out |
//! | `garbage` | removing replaced blocks when nobody reads them any more |
//! | `retention`, `erase` | dropping what has expired; erasing a tenant |
//! | `room`, `ballast` | the disk's free space, and keeping some of it for erasing |
//! | [`stats`] | [`StoreStats`] |
//! | `hooks` | moments at which tests look at the database as a crash would leave it |

mod ballast;
mod catalogue;
pub mod config;
mod directory;
mod entry;
mod erase;
mod garbage;
mod hooks;
mod inbox;
mod keys;
mod merger;
mod merging;
mod open;
pub mod owned;
mod page_files;
mod pages;
mod planner;
mod provenance;
mod retention;
mod room;
mod rules;
mod scan;
mod sink;
mod source;
mod state;
pub mod stats;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use luminate_model::{Incarnation, Offset, RetentionRules, Source};
use luminate_runtime::clock::Clock;
use luminate_storage::StorageError;
use tokio::sync::{oneshot, watch};

pub use config::RocksStoreConfig;
pub use owned::{ClaimError, OwnedPartition, PartitionNames};
pub use stats::StoreStats;

use crate::database::{Database, Failure};
use crate::error::OpenError;
use ballast::Ballast;
use directory::Directory;
use garbage::Garbage;
use inbox::{Inbox, Job};
use state::State;
use stats::Merged;

/// The store. Calls that read or write the disk run on tokio's blocking threads. Dropping it ends the merging thread, which
/// may have to give up a merge; nothing is lost by that.
pub struct RocksStore {
    shared: Arc<Shared>,
    merger: Option<JoinHandle<()>>,
}

/// What the store's threads share.
pub(crate) struct Shared {
    database: Database,
    config: RocksStoreConfig,
    rules: RetentionRules,
    clock: Clock,
    /// Held while something is written that changes it, so that there is one order of changes.
    state: Mutex<State>,
    /// Replaced as a whole, only while `state` is held.
    directory: RwLock<Arc<Directory>>,
    inbox: Arc<Inbox>,
    progress: watch::Sender<Progress>,
    garbage: Mutex<Garbage>,
    ballast: Ballast,
    merged: Merged,
    #[cfg(test)]
    hook: Mutex<Option<hooks::Hook>>,
}

/// How far the store has come, for those who wait for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) next: BTreeMap<Source, Offset>,
    /// The life of the queue that the store reads, where it was told.
    pub(crate) incarnation: Option<Incarnation>,
    /// The partitions that it reads, where it was claimed for them since it was opened.
    pub(crate) owned: Option<BTreeSet<Source>>,
    pub(crate) closed: bool,
}

impl RocksStore {
    /// Opens the store in `folder`, or makes it. `rules` is the retention as it is set now; `clock` tells the time that it is
    /// judged by.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(
        folder: &Path,
        config: &RocksStoreConfig,
        rules: RetentionRules,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        let shared = Arc::new(open::open(folder, config, rules, clock)?);
        let merger = merger::start(Arc::clone(&shared))
            .map_err(|error| OpenError::Unavailable { folder: folder.to_owned(), reason: error.to_string() })?;
        Ok(Self { shared, merger: Some(merger) })
    }

    /// Opens the store in `folder` for looking at what it holds: nothing is merged, expired or erased meanwhile, and whoever asks
    /// for that is refused.
    ///
    /// # Errors
    /// [`OpenError`], also where there is no store.
    pub fn open_at_rest(
        folder: &Path,
        config: &RocksStoreConfig,
        rules: RetentionRules,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        crate::database::must_exist(folder)?;
        let shared = open::open(folder, config, rules, clock)?;
        shared.inbox.close();
        Ok(Self { shared: Arc::new(shared), merger: None })
    }

    /// Ends what runs in the background and waits for it. Queries that still run keep the files open until they end.
    pub async fn close(mut self) {
        let merger = self.stop();
        // A merge gives up at its next block.
        let joined = tokio::task::spawn_blocking(move || merger.map(JoinHandle::join)).await;
        if !matches!(joined, Ok(None | Some(Ok(())))) {
            tracing::error!("the merging thread ended by a panic");
        }
    }

    /// Merges everything there is, until every tenant has one run a window, and gives back the room of what was replaced.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn merge_all(&self) -> Result<(), StorageError> {
        self.ask(|done| Job::MergeAll { done }).await
    }

    /// Drops the samples whose retention has passed, now rather than at the next time; returns how many.
    ///
    /// # Errors
    /// [`StorageError`]
    pub async fn expire(&self) -> Result<u64, StorageError> {
        self.ask(|done| Job::Expire { done }).await
    }

    /// What the store holds and does. Looks at the store's files.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        self.shared.stats()
    }

    /// Tells the store which life of a queue it reads, so that receipts of others are refused at once.
    pub fn set_incarnation(&self, incarnation: Incarnation) {
        self.shared.progress.send_modify(|progress| progress.incarnation = Some(incarnation));
    }

    /// Whether the store has failed for good; then the process should end.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        self.shared.database.failure()
    }
}

impl RocksStore {
    /// Asks the merging thread and waits for its answer.
    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StorageError>>) -> Job,
    ) -> Result<T, StorageError> {
        let (done, answer) = oneshot::channel();
        self.shared.inbox.ask(job(done));
        answer.await.unwrap_or_else(|_| Err(StorageError::Unavailable("the store is closing".to_owned())))
    }

    fn stop(&mut self) -> Option<JoinHandle<()>> {
        self.shared.progress.send_modify(|progress| progress.closed = true);
        self.shared.inbox.close();
        self.merger.take()
    }
}

impl Drop for RocksStore {
    fn drop(&mut self) {
        if let Some(merger) = self.stop() {
            // A panic was reported where it happened.
            drop(merger.join());
        }
    }
}

impl Shared {
    /// The live blocks now.
    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn garbage(&self) -> MutexGuard<'_, Garbage> {
        self.garbage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the directory. The guard proves that no other change comes in between.
    fn replace_directory(&self, _state: &mut State, change: impl FnOnce(&Directory) -> Directory) {
        let next = Arc::new(change(&self.directory()));
        let previous = std::mem::replace(&mut *self.directory.write().unwrap_or_else(PoisonError::into_inner), next);
        // Dropped after the lock is released: it may be the last holder of blocks.
        drop(previous);
    }
}

/// Runs `work` on a blocking thread.
async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || work(&shared)).await;
    done.unwrap_or_else(|error| Err(StorageError::Damaged(format!("a task of the store ended early: {error}"))))
}
