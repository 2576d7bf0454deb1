//! Blocks of an arriving batch.

use luminate_storage::BatchRecord;

use super::draft::BlockDraft;
use super::index::Layout;
use super::sort::BatchRows;
use super::summary::{BlockKind, BlockSummary};
use super::write::BlockWriter;

/// Samples of an arrival block, as far as they fill one. A merge holds a block of each run open, and arrival blocks have
/// most values a sample: so they are smaller than merged ones.
const ARRIVAL_BLOCK_SAMPLES: u32 = 131_072;

/// A block that is not stored yet.
#[derive(Debug, Clone)]
pub struct EncodedBlock {
    /// What is kept of it in memory.
    pub summary: BlockSummary,
    /// Its pages, in the order of their numbers.
    pub pages: Vec<Vec<u8>>,
}

/// Sorts and encodes the samples of a batch. Together the blocks are one run: their ranges ascend and do not overlap.
/// Nothing is returned for no samples.
#[must_use]
pub fn encode_batch(records: &[BatchRecord]) -> Vec<EncodedBlock> {
    encode_batch_with(records, ARRIVAL_BLOCK_SAMPLES, Layout::STANDARD)
}

/// As [`encode_batch`], in blocks of about `block_samples`.
pub(super) fn encode_batch_with(records: &[BatchRecord], block_samples: u32, layout: Layout) -> Vec<EncodedBlock> {
    let mut rows = BatchRows::sorted(records);
    let mut writer = BlockWriter::new(layout);
    let mut draft = BlockDraft::new(BlockKind::Arrival);
    let mut blocks = Vec::new();
    while rows.fill(&mut draft, block_samples) {
        blocks.push(writer.write(&draft));
        draft.clear();
    }
    blocks
}
