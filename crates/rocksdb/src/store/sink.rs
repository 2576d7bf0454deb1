//! The store as writers see it.

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{Batch, Erased, Resume, SampleSink, StorageError, Stored};

use super::{RocksStore, blocking};

#[async_trait]
impl SampleSink for RocksStore {
    async fn resume(&self, source: &Source) -> Result<Resume, StorageError> {
        let source = *source;
        blocking(&self.shared, move |shared| shared.resume(source)).await
    }

    async fn write(&self, batch: Batch) -> Result<Stored, StorageError> {
        blocking(&self.shared, move |shared| shared.write(batch)).await
    }

    async fn erase(&self, _tenant: &TenantId, _up_to: &[(Source, Offset)]) -> Result<Erased, StorageError> {
        Err(StorageError::Unavailable("not built yet".to_owned()))
    }

    fn writable(&self) -> Result<(), String> {
        self.shared.database.check().map_err(|error| error.to_string())?;
        self.shared.check_room().map_err(|error| error.to_string())
    }
}
