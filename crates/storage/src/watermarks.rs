//! How far sources are stored, for stores that leave it to the queue to know.

use async_trait::async_trait;
use luminate_model::Receipt;

use crate::error::StorageError;
use crate::source::ReachError;

/// Tells how far each source is stored and readable. Behind it stands the queue's committed offset, which passes a record only
/// when the record is stored.
#[async_trait]
pub trait Watermarks: Send + Sync + 'static {
    /// How far each source is.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]
    async fn watermark(&self) -> Result<Receipt, StorageError>;

    /// Waits until everything before the receipt's offsets is stored. Waits without a deadline; drop it to stop.
    ///
    /// # Errors
    /// [`ReachError`] where that will never be.
    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError>;
}
