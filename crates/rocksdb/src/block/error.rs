//! What decoding a block fails with.

use luminate_storage::StorageError;

use super::summary::BlockId;

/// Bytes are not what an encoder wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// A summary does not decode.
    #[error("a block's summary is damaged: {0}")]
    Summary(&'static str),
    /// A page does not decode.
    #[error("page {page} of block {block} is damaged: {fault}")]
    Page {
        /// The block.
        block: BlockId,
        /// The page's number.
        page: u32,
        /// What does not fit.
        fault: &'static str,
    },
}

impl BlockError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Summary(_) => "block_summary_damaged",
            Self::Page { .. } => "block_page_damaged",
        }
    }
}

impl From<BlockError> for StorageError {
    fn from(error: BlockError) -> Self {
        Self::Damaged(error.to_string())
    }
}
