//! Merging blocks: many runs become one run a tenant and window of time.

use std::sync::Arc;

use luminate_model::TenantId;
use luminate_model::time::DAY_MS;
use luminate_storage::StorageError;

use super::cursor::{MergeSource, RunCursor};
use super::encode::EncodedBlock;
use super::index::Layout;
use super::output::MergeOutput;
use super::page::PageReader;
use super::summary::{BlockId, BlockSummary, Section};
use super::tournament::Tournament;

/// A block to merge.
#[derive(Debug, Clone)]
pub struct MergeInput {
    /// The block.
    pub id: BlockId,
    /// Its summary.
    pub summary: Arc<BlockSummary>,
}

/// What becomes of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionRule {
    /// Samples from this timestamp on (ms since 1970) are kept, older ones have expired.
    KeepFrom(i64),
    /// All samples are erased.
    Erase,
}

/// What a merge leaves out. Asked once for each section of each input block.
pub trait MergeRules: Sync {
    /// What becomes of the samples that `block` holds of a metric of a tenant, written with a retention of `written_days`.
    fn section(&self, block: BlockId, tenant: &TenantId, metric: &str, written_days: u16) -> SectionRule;
}

/// How a merge shapes its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeOptions {
    /// Samples of a block, as far as they fill one; at most [`MAX_BLOCK_SAMPLES`](super::MAX_BLOCK_SAMPLES).
    pub block_samples: u32,
    /// Width in ms, at least 1, of the windows of time that blocks do not cross; windows begin at multiples of it since 1970.
    pub window_ms: i64,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self { block_samples: 262_144, window_ms: DAY_MS }
    }
}

/// What became of the samples of a merge's inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergeReport {
    /// Samples in the output.
    pub kept: u64,
    /// Samples left out because their retention has passed.
    pub expired: u64,
    /// Samples left out because they are erased.
    pub erased: u64,
}

/// Merges runs. A run is a list of blocks whose ranges ascend and do not overlap, as the blocks of one
/// [`encode_batch`](super::encode_batch) or those that one merge emitted for one tenant and window, in that order.
///
/// Emits blocks of one tenant and one window each; those of one tenant and window ascend, those of different windows of a
/// tenant may come interleaved. Every sample is kept, also equal ones, unless `rules` leave it out.
///
/// Holds in memory one block of each run ([`BlockSummary::merge_bytes`]) and output of up to some 100 MB, whatever the
/// number of windows.
///
/// # Errors
/// [`StorageError::Damaged`] naming block and page; what reading failed with; what `emit` returned.
pub fn merge(
    runs: &[Vec<MergeInput>],
    pages: &dyn PageReader,
    rules: &dyn MergeRules,
    options: &MergeOptions,
    emit: &mut dyn FnMut(EncodedBlock) -> Result<(), StorageError>,
) -> Result<MergeReport, StorageError> {
    merge_with(runs, MergeReads { pages, rules }, options, Layout::STANDARD, emit)
}

/// What a merge reads and judges by.
#[derive(Clone, Copy)]
pub(super) struct MergeReads<'a> {
    pub(super) pages: &'a dyn PageReader,
    pub(super) rules: &'a dyn MergeRules,
}

/// As [`merge`], in pieces of other sizes.
pub(super) fn merge_with(
    runs: &[Vec<MergeInput>],
    reads: MergeReads<'_>,
    options: &MergeOptions,
    layout: Layout,
    emit: &mut dyn FnMut(EncodedBlock) -> Result<(), StorageError>,
) -> Result<MergeReport, StorageError> {
    let inputs = runs.iter().flatten();
    let mut sections: Vec<&Section> = inputs.flat_map(|input| &input.summary.sections).collect();
    sections.sort_unstable_by(|a, b| a.key().cmp(&b.key()));
    sections.dedup_by(|a, b| a.key() == b.key());
    let source = MergeSource { reads, sections: &sections };
    let mut report = MergeReport::default();
    let mut cursors = Vec::with_capacity(runs.len());
    for run in runs {
        cursors.extend(RunCursor::open(source, run, &mut report)?);
    }
    let mut tournament = Tournament::new(&cursors);
    let mut output = MergeOutput::new(&sections, *options, layout, emit);
    while let Some((winner, key)) = tournament.winner() {
        let Some(cursor) = cursors.get_mut(winner) else { break };
        let samples = cursor.stretch(key.series, || tournament.runner_up());
        output.append(cursor, key.series, samples, &mut report)?;
        tournament.replace(cursor.advance(samples, &mut report)?);
    }
    output.finish()?;
    Ok(report)
}
