//! Column blocks: many samples as one summary and numbered pages. Pure encoding and decoding; the store keeps the pages.

mod bytes;
mod canonical;
mod condition;
mod cursor;
mod dictionary;
mod draft;
pub mod encode;
pub mod error;
mod filter;
mod identity;
mod index;
pub mod merge;
mod open;
mod order;
mod output;
mod pack;
pub mod page;
pub mod read;
mod scan;
mod sort;
pub mod summary;
mod tournament;
mod write;

pub use encode::{EncodedBlock, encode_batch};
pub use error::BlockError;
pub use merge::{MergeInput, MergeOptions, MergeReport, MergeRules, SectionRule, merge};
pub use page::PageReader;
pub use read::BlockReader;
pub use summary::{BlockId, BlockKind, BlockSummary, KeySummary, MAX_BLOCK_SAMPLES, Section};

/// Property tests that try the same values on every run.
#[cfg(test)]
fn seeded_proptest() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
