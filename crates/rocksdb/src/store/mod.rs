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
//! | `state`, `directory` | what is known in memory: offsets and erasures; which blocks are live |
//! | `keys`, `entry` | how that stands in the database |
//! | `write` | storing a batch |
//! | `pages`, `scan`, `catalogue` | reading |
//! | `inbox` | what the merging thread waits for |

mod catalogue;
pub mod config;
mod directory;
mod entry;
mod inbox;
mod keys;
mod open;
mod pages;
mod scan;
mod sink;
mod source;
mod state;
mod write;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use luminate_model::{Incarnation, RetentionRules};
use luminate_storage::StorageError;
use tokio::sync::watch;

pub use config::RocksStoreConfig;

use crate::database::{Clock, Database, Failure};
use crate::error::OpenError;
use directory::Directory;
use inbox::Inbox;
use state::State;

/// The store. Calls that read or write the disk run on tokio's blocking threads.
pub struct RocksStore {
    shared: Arc<Shared>,
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
}

/// How far the store has come, for those who wait for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    pub(crate) next: std::collections::BTreeMap<luminate_model::Source, luminate_model::Offset>,
    /// The life of the queue that the store reads, where it was told.
    pub(crate) incarnation: Option<Incarnation>,
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
        Ok(Self { shared: Arc::new(open::open(folder, config, rules, clock)?) })
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

impl Shared {
    /// The live blocks now.
    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
