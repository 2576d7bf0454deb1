//! Why a partition does not go on.

use luminate_queue::QueueError;
use luminate_storage::StorageError;

/// What the storing of a partition's records failed with.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The queue's call failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The store's call failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WriterError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Queue(error) => error.code(),
            Self::Storage(error) => error.code(),
        }
    }

    /// Whether trying again may help. Where not, the partition stops until an operator has looked.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Queue(error) => error.is_retryable(),
            Self::Storage(error) => error.is_retryable(),
        }
    }
}
