//! The store as writers see it.

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{Batch, Erased, Resume, SampleSink, StorageError, Stored};

use super::inbox::Job;
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

    async fn erase(&self, tenant: &TenantId, up_to: &[(Source, Offset)]) -> Result<Erased, StorageError> {
        let (noted, up_to) = (tenant.clone(), up_to.to_vec());
        // Noted at once, whatever the merging thread does: what is stored from now on stays.
        let erased = blocking(&self.shared, move |shared| shared.note_erasure(&noted, &up_to)).await?;
        self.ask(|done| Job::Erase { tenant: tenant.clone(), done }).await?;
        tracing::info!(%tenant, samples = erased.samples, "erased a tenant");
        Ok(erased)
    }

    fn writable(&self) -> Result<(), String> {
        self.shared.database.check().map_err(|error| error.to_string())?;
        self.shared.check_room(0).map_err(|error| error.to_string())
    }
}
