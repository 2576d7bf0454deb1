//! The store as writers see it.

use async_trait::async_trait;
use luminate_model::{Source, TenantId};
use luminate_storage::{Batch, Erased, NotedErasure, Resume, SampleSink, StorageError, Stored};

use super::inbox::Job;
use super::{RocksStore, Shared, blocking};

#[async_trait]
impl SampleSink for RocksStore {
    async fn resume(&self, source: &Source) -> Result<Resume, StorageError> {
        let source = *source;
        blocking(&self.shared, move |shared| shared.resume(source)).await
    }

    async fn write(&self, batch: Batch) -> Result<Stored, StorageError> {
        blocking(&self.shared, move |shared| shared.write(batch)).await
    }

    async fn note_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        let erasure = erasure.clone();
        // Whatever the merging thread does: what is stored from now on stays.
        blocking(&self.shared, move |shared| shared.note_erasure(&erasure)).await
    }

    async fn remove_erased(&self, tenant: &TenantId) -> Result<Erased, StorageError> {
        self.ask(|done| Job::Erase { tenant: tenant.clone(), done }).await
    }

    async fn unfinished_erasures(&self) -> Result<Vec<NotedErasure>, StorageError> {
        blocking(&self.shared, Shared::unfinished_erasures).await
    }

    async fn finish_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        let erasure = erasure.clone();
        blocking(&self.shared, move |shared| shared.finish_erasure(&erasure)).await
    }

    fn writable(&self) -> Result<(), String> {
        self.shared.database.check().map_err(|error| error.to_string())?;
        self.shared.check_room(0).map_err(|error| error.to_string())
    }
}
