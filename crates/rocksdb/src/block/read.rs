//! Reading a stored block for a query.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use luminate_model::TimeRange;
use luminate_storage::{QueryContext, ScanChunk, ScanRequest, StorageError};

use super::condition::{Condition, rules_out};
use super::memory::{ReservedMemory, STRIP_BYTES};
use super::open::OpenBlock;
use super::page::{BlockPages, PageReader};
use super::scan::BlockScan;
use super::summary::{BlockId, BlockSummary};

/// A stored block.
pub struct BlockReader<'a> {
    summary: Arc<BlockSummary>,
    pages: BlockPages<'a>,
}

impl<'a> BlockReader<'a> {
    /// Names a block; nothing is read yet.
    #[must_use]
    pub fn new(id: BlockId, summary: Arc<BlockSummary>, pages: &'a dyn PageReader) -> Self {
        Self { summary, pages: BlockPages { id, reader: pages } }
    }

    /// Yields the samples that a request asks for, one chunk for each strip of some ten thousand samples. Chunks of one
    /// block share their dictionaries. Counts in the context samples and series (those that passed the filters) and the
    /// block as read or skipped; pages and bytes are counted by the [`PageReader`].
    ///
    /// # Errors
    /// [`StorageError::Damaged`] naming block and page; limits of the context; what `emit` returned.
    pub fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        emit: &mut dyn FnMut(ScanChunk) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        context.check()?;
        let sections = wanted_sections(&self.summary, request);
        let counters = context.counters();
        if sections.is_empty() || rules_out(&self.pages, &self.summary, &request.filters)? {
            count(&counters.blocks_skipped, 1);
            return Ok(());
        }
        count(&counters.blocks_read, 1);
        let mut memory = ReservedMemory::new(context);
        memory.reserve(STRIP_BYTES)?;
        let block = OpenBlock::open(self.pages, self.summary.clone())?;
        let mut conditions = Vec::with_capacity(request.filters.len());
        for filter in &request.filters {
            let condition = Condition::resolve(&block, filter, &mut memory)?;
            if condition.passes_none() {
                return Ok(());
            }
            conditions.push(condition);
        }
        let mut scan = BlockScan::new(&block, &request.columns, &conditions, memory);
        for (section, time) in sections {
            scan.section(section, time, emit)?;
        }
        Ok(())
    }
}

pub(super) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// The sections of the block that can hold what a request asks for, each with the time that may be shown of it.
fn wanted_sections(summary: &BlockSummary, request: &ScanRequest) -> Vec<(usize, TimeRange)> {
    let mut wanted = Vec::new();
    for at in summary.section_range(request.tenant(), &request.metric) {
        let Some(section) = summary.sections.get(at) else { continue };
        let time = TimeRange { start: request.floor(section.retention_days), end: request.time.end };
        if !time.is_empty() && time.overlaps(section.first_timestamp, section.last_timestamp) {
            wanted.push((at, time));
        }
    }
    wanted
}
