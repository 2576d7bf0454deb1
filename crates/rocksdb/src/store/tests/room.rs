use luminate_storage::SampleSink;

use super::*;

#[tokio::test]
async fn a_nearly_full_disk_refuses_batches_before_it_fails() {
    let config = RocksStoreConfig { disk_reserve: ByteSize::bytes(1 << 62), ..quiet() };
    let test = TestStore::with(config, RetentionRules::default());
    let error = test.store.write(batch(0, 0, "acme", &rows(10, "a"))).await.unwrap_err();
    assert_eq!(error.code(), "storage_disk_full");
    assert!(error.is_retryable());
    assert!(test.store.writable().is_err());
    assert!(test.store.failure().reason().is_none());
    assert_eq!(count(&test.store, "acme", "cpu").await, 0);
}
