//! The suite that every store passes.

use async_trait::async_trait;
use luminate_storage::conformance::{Ending, INCARNATION, StoreFactory};

use super::*;

/// Makes stores in folders of their own; a crash is a copy of the folder of an open store.
struct Rocks {
    config: RocksStoreConfig,
    now: i64,
    folders: Vec<TempDir>,
}

impl Rocks {
    const fn new(config: RocksStoreConfig, now: i64) -> Self {
        Self { config, now, folders: Vec::new() }
    }

    fn open_last(&self) -> Arc<RocksStore> {
        let folder = self.folders.last().unwrap().path();
        let now = self.now;
        let store = RocksStore::open(folder, &self.config, RetentionRules::default(), Arc::new(move || now)).unwrap();
        store.set_incarnation(INCARNATION);
        Arc::new(store)
    }
}

#[async_trait]
impl StoreFactory for Rocks {
    type Store = RocksStore;

    async fn open(&mut self) -> Arc<RocksStore> {
        self.folders.push(tempfile::tempdir().unwrap());
        self.open_last()
    }

    async fn reopen(&mut self, store: Arc<RocksStore>, ending: Ending) -> Arc<RocksStore> {
        if ending == Ending::Crash {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(self.folders.last().unwrap().path(), copy.path());
            self.folders.push(copy);
        }
        Arc::into_inner(store).expect("the only holder").close().await;
        self.open_last()
    }
}

/// With batches as they arrive.
mod unmerged {
    use super::*;

    luminate_storage::store_conformance!(Rocks::new(quiet(), NOW));
}

/// With merges in the background at every moment. A copy of a folder in the middle of a merge may catch a file that is about to
/// vanish, so crashes are left to the other.
mod merging {
    use super::*;

    /// Nothing has expired yet for merges to drop: the suite counts what an erasure removes.
    const LONG_AGO: i64 = 0;

    fn eager() -> RocksStoreConfig {
        RocksStoreConfig { merge_batches: 1, merge_runs: 2, block_samples: 1024, ..quiet() }
    }

    struct Eager(Rocks);

    #[async_trait]
    impl StoreFactory for Eager {
        type Store = RocksStore;

        async fn open(&mut self) -> Arc<RocksStore> {
            self.0.open().await
        }

        async fn reopen(&mut self, store: Arc<RocksStore>, _: Ending) -> Arc<RocksStore> {
            self.0.reopen(store, Ending::Close).await
        }
    }

    luminate_storage::store_conformance!(Eager(Rocks::new(eager(), LONG_AGO)));
}
