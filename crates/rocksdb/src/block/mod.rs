//! Column blocks: many samples as one summary and numbered pages. Pure encoding and decoding; the store keeps the pages.
//!
//! A block's samples are sorted by tenant, metric, retention, series id, timestamp and value. The samples of one tenant,
//! metric and retention are a *section*; some thousand neighbouring samples are a *strip*, whose timestamps and values
//! are pages of their own. A *run* is a list of blocks whose ranges ascend and do not overlap.
//!
//! | module | holds |
//! |---|---|
//! | [`summary`] | [`BlockSummary`]: what is kept in memory of every block |
//! | [`page`] | [`PageReader`]: where pages are read; checksums |
//! | `index` | page 0: where everything else stands |
//! | `pack` | columns of numbers as bytes |
//! | `dictionary`, `filter` | the distinct values of a key, and what rules values out |
//! | `sort`, `order`, [`encode`] | a batch in the order of blocks, strings in order, arrival blocks |
//! | `draft`, `write` | a block while it is collected, and as pages |
//! | `open`, `identity`, `canonical` | columns, dimensions and ids of series of a stored block |
//! | `condition`, `memory`, `scan`, [`read`] | [`BlockReader`]: answering a query |
//! | `cursor`, `tournament`, `output`, [`merge`](mod@merge) | many runs become one a tenant and window of time |
//! | [`error`] | [`BlockError`] |

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
mod memory;
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
