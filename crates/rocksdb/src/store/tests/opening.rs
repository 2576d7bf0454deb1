use rocksdb::{DB, Options};

use super::*;
use crate::OpenError;
use crate::store::keys::{FAMILIES, MetaKey};

fn open(folder: &Path, config: &RocksStoreConfig) -> Result<RocksStore, OpenError> {
    RocksStore::open(folder, config, RetentionRules::default(), Arc::new(|| NOW))
}

#[tokio::test]
async fn a_second_process_is_told_which_folder_is_in_use() {
    let test = TestStore::new();
    let error = open(test.folder.path(), &test.config).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "database_locked");
    assert!(error.to_string().contains(&test.folder.path().display().to_string()));
    test.store.close().await;
    open(test.folder.path(), &test.config).map(|_| ()).unwrap();
}

#[tokio::test]
async fn a_format_of_the_future_is_refused() {
    let test = TestStore::new();
    test.store.close().await;
    let mut options = Options::default();
    options.create_if_missing(false);
    let database = DB::open_cf(&options, test.folder.path(), FAMILIES).unwrap();
    database.put(MetaKey::Format.encode(), 7_u32.to_be_bytes()).unwrap();
    drop(database);
    let error = open(test.folder.path(), &test.config).map(|_| ()).unwrap_err();
    assert!(matches!(error, OpenError::UnknownFormat { found: 7, known: 1, .. }), "{error}");
}

#[test]
fn settings_that_cannot_work_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = RocksStoreConfig { block_samples: 3, ..quiet() };
    let error = open(folder.path(), &config).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "database_settings");
    assert!(error.to_string().contains("blockSamples"), "{error}");
}

#[tokio::test]
async fn a_directory_entry_with_a_flipped_bit_is_damage() {
    use luminate_storage::SampleSink;
    let test = TestStore::new();
    test.store.write(batch(0, 0, "acme", &rows(10, "a"))).await.unwrap();
    test.store.close().await;
    let database = DB::open_cf(&Options::default(), test.folder.path(), FAMILIES).unwrap();
    let family = database.cf_handle("directory").unwrap();
    let mut entry = database.get_cf(family, 0_u64.to_be_bytes()).unwrap().unwrap();
    let middle = entry.len() - 20;
    entry[middle] ^= 1;
    database.put_cf(family, 0_u64.to_be_bytes(), entry).unwrap();
    drop(database);
    let error = open(test.folder.path(), &test.config).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "database_damaged");
}
