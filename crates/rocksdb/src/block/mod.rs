//! Column blocks: many samples as one summary and numbered pages. Pure encoding and decoding; the store keeps the pages.

pub mod encode;
pub mod error;
pub mod merge;
pub mod page;
pub mod read;
pub mod summary;

pub use encode::{EncodedBlock, encode_batch};
pub use error::BlockError;
pub use merge::{MergeInput, MergeOptions, MergeReport, MergeRules, SectionRule, merge};
pub use page::PageReader;
pub use read::BlockReader;
pub use summary::{BlockId, BlockKind, BlockSummary, Section};
