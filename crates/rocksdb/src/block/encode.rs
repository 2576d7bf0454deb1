//! Blocks of an arriving batch.

use luminate_storage::BatchRecord;

use super::draft::{BlockDraft, MOST_TEXT_BYTES};
use super::index::Layout;
use super::sort::{SortedBatch, sort_batch};
use super::summary::{BlockKind, BlockSummary};
use super::write::BlockWriter;

/// Samples of an arrival block, as far as they fill one. A merge holds a block of each run open, and arrival blocks have
/// most values a sample: so they are smaller than merged ones.
const ARRIVAL_BLOCK_SAMPLES: u32 = 65_536;

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
    encode_batch_with(records, ARRIVAL_BLOCK_SAMPLES, Layout::ARRIVAL)
}

/// As [`encode_batch`], in blocks of about `block_samples`.
pub(super) fn encode_batch_with(records: &[BatchRecord], block_samples: u32, layout: Layout) -> Vec<EncodedBlock> {
    let mut cutter = BatchCutter::new(sort_batch(records), block_samples);
    let mut writer = BlockWriter::new(layout);
    let mut draft = BlockDraft::new(BlockKind::Arrival);
    let mut blocks = Vec::new();
    while cutter.fill(&mut draft) {
        let values = cutter.take_values(&mut draft);
        blocks.push(writer.write(&draft, &values));
        draft.clear();
    }
    blocks
}

/// Hands out a sorted batch block by block.
struct BatchCutter<'a> {
    batch: SortedBatch<'a>,
    block_samples: u32,
    /// For each key which of its values the block at hand uses, a bit each: what is asked for every sample must be small.
    used: Vec<Vec<u64>>,
    /// Whether the values of one block could be too many. Looking at each costs more than all else that is done here.
    count_text: bool,
}

impl<'a> BatchCutter<'a> {
    fn new(batch: SortedBatch<'a>, block_samples: u32) -> Self {
        let used = batch.keys.iter().map(|(_, values)| vec![0; values.len().div_ceil(64)]).collect();
        let text_bytes: usize = batch.keys.iter().flat_map(|(_, values)| values).map(|value| value.len()).sum();
        Self { batch, block_samples, used, count_text: text_bytes > MOST_TEXT_BYTES }
    }

    /// Appends the rows of the next block to an empty draft, with values as numbers of the batch; false where none is left.
    fn fill(&mut self, draft: &mut BlockDraft) -> bool {
        for ((name, _), used) in self.batch.keys.iter().zip(&mut self.used) {
            draft.key_number(name);
            used.fill(0);
        }
        let SortedBatch { sections, keys, rows } = &mut self.batch;
        let mut before: Option<(u32, u128)> = None;
        while let Some((row, dimensions)) = rows.peek() {
            let same_section = before.is_some_and(|(section, _)| section == row.section);
            let same_series = before == Some((row.section, row.series));
            let full =
                if same_series { draft.room(self.block_samples) == 0 } else { draft.is_full(self.block_samples) };
            if full {
                break;
            }
            if !same_section {
                let (tenant, metric, days) = &sections[row.section as usize];
                draft.begin_section(tenant.clone(), metric.clone(), *days);
            }
            if !same_series {
                draft.begin_series(row.series, dimensions);
                for (key, value) in dimensions {
                    let used = &mut self.used[*key as usize][*value as usize / 64];
                    let bit = 1_u64 << (*value % 64);
                    if self.count_text && *used & bit == 0 {
                        draft.count_text(keys[*key as usize].1[*value as usize]);
                    }
                    *used |= bit;
                }
            }
            draft.push_sample(row.timestamp, row.value);
            before = Some((row.section, row.series));
            rows.advance();
        }
        before.is_some()
    }

    /// The values that the draft uses, of each key; the draft knows them by their places among these from now on.
    fn take_values(&self, draft: &mut BlockDraft) -> Vec<Vec<&'a str>> {
        let mut values = Vec::with_capacity(self.used.len());
        let mut before: Vec<Vec<u32>> = Vec::with_capacity(self.used.len());
        for ((_, of_batch), used) in self.batch.keys.iter().zip(&self.used) {
            let mut of_block: Vec<&str> = Vec::new();
            let mut before_word = Vec::with_capacity(used.len());
            for (word, values) in used.iter().zip(of_batch.chunks(64)) {
                before_word.push(of_block.len() as u32);
                let mut bits = *word;
                while bits != 0 {
                    of_block.push(values[bits.trailing_zeros() as usize]);
                    bits &= bits - 1;
                }
            }
            values.push(of_block);
            before.push(before_word);
        }
        draft.renumber(|key, value| {
            let (word, bit) = (value as usize / 64, value % 64);
            let below = self.used[key as usize][word] & ((1 << bit) - 1);
            before[key as usize][word] + below.count_ones()
        });
        values
    }
}
