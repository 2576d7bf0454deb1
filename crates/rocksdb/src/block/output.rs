//! What a merge writes: samples in order, parted by window of time into blocks.

use std::collections::BTreeMap;

use luminate_storage::StorageError;

use super::cursor::{RunCursor, SampleKey, SeriesKey};
use super::draft::BlockDraft;
use super::encode::EncodedBlock;
use super::index::Layout;
use super::merge::{MergeOptions, MergeReport};
use super::order::SortedStrings;
use super::summary::{BlockKind, Section};
use super::write::BlockWriter;

/// Most memory of all blocks that are being collected, in bytes, about. Samples of very many windows at once make small
/// blocks rather than a large heap; later merges mend that.
const MOST_DRAFT_BYTES: usize = 96 << 20;
/// Memory is summed up after so many series.
const SERIES_BETWEEN_SUMS: u32 = 4_096;

/// The output of a merge.
pub(super) struct MergeOutput<'m> {
    /// The distinct sections of all inputs, ascending.
    sections: &'m [&'m Section],
    options: MergeOptions,
    emit: &'m mut dyn FnMut(EncodedBlock) -> Result<(), StorageError>,
    writer: BlockWriter,
    /// The blocks that are being collected, by window: all of one tenant.
    windows: BTreeMap<i64, Window>,
    /// The section of the last sample.
    section: Option<u32>,
    /// The last generation that was given to a draft.
    generation: u32,
    series_until_sum: u32,
    /// Drafts whose memory can be used again.
    spare: Vec<BlockDraft>,
}

/// A block that is being collected.
struct Window {
    draft: BlockDraft,
    /// Tells this draft from every other that this one's memory was used for.
    generation: u32,
    last: Option<SeriesKey>,
}

impl<'m> MergeOutput<'m> {
    pub(super) fn new(
        sections: &'m [&'m Section],
        options: MergeOptions,
        layout: Layout,
        emit: &'m mut dyn FnMut(EncodedBlock) -> Result<(), StorageError>,
    ) -> Self {
        let options = MergeOptions { block_samples: options.block_samples.max(1), window_ms: options.window_ms.max(1) };
        Self {
            sections,
            options,
            emit,
            writer: BlockWriter::new(layout),
            windows: BTreeMap::new(),
            section: None,
            generation: 0,
            series_until_sum: SERIES_BETWEEN_SUMS,
            spare: Vec::new(),
        }
    }

    /// Appends the samples at hand of a cursor, up to `limit` and the end of their series, and says how many those were.
    pub(super) fn append(
        &mut self,
        cursor: &mut RunCursor<'_>,
        limit: &SampleKey,
        report: &mut MergeReport,
    ) -> Result<usize, StorageError> {
        let stretch = cursor.stretch(limit);
        let (series, samples) = (stretch.series, stretch.timestamps.len());
        let expired = stretch.timestamps.partition_point(|timestamp| *timestamp < stretch.keep_from);
        report.expired += expired as u64;
        report.kept += (samples - expired) as u64;
        self.enter_section(series.section)?;
        let mut start = expired;
        while start < samples {
            let window =
                cursor.stretch(limit).timestamps.get(start).map_or(0, |t| t.div_euclid(self.options.window_ms));
            start += self.append_to_window(cursor, limit, start, window)?;
        }
        Ok(samples)
    }

    /// Appends to one window what belongs there of a stretch, from `start` on, and says how many samples those were.
    fn append_to_window(
        &mut self,
        cursor: &mut RunCursor<'_>,
        limit: &SampleKey,
        start: usize,
        window: i64,
    ) -> Result<usize, StorageError> {
        let series = cursor.key().series;
        self.make_room(window, series)?;
        let (generation, spare) = (&mut self.generation, &mut self.spare);
        let collected = self.windows.entry(window).or_insert_with(|| {
            *generation += 1;
            let draft = spare.pop().unwrap_or_else(|| BlockDraft::new(BlockKind::Merged));
            Window { draft, generation: *generation, last: None }
        });
        let draft = &mut collected.draft;
        if collected.last != Some(series) {
            if collected.last.map(|last| last.section) != Some(series.section)
                && let Some(section) = self.sections.get(series.section as usize)
            {
                draft.begin_section(section.tenant.clone(), section.metric.clone(), section.retention_days);
            }
            cursor.begin_series(draft, collected.generation);
            collected.last = Some(series);
        }
        let stretch = cursor.stretch(limit);
        let timestamps = stretch.timestamps.get(start..).unwrap_or_default();
        let values = stretch.values.get(start..).unwrap_or_default();
        let room = draft.room(self.options.block_samples).max(1);
        let window_end = (window + 1).saturating_mul(self.options.window_ms);
        let taken = timestamps.partition_point(|timestamp| *timestamp < window_end).clamp(1, room);
        let (timestamps, values) = (&timestamps[..taken], &values[..taken]);
        draft.push_samples(timestamps, values);
        Ok(taken)
    }

    /// Ends the block of a window where a sample of `series` does not fit any more, and others where all are too large.
    fn make_room(&mut self, window: i64, series: SeriesKey) -> Result<(), StorageError> {
        let block_samples = self.options.block_samples;
        let full = self.windows.get(&window).is_some_and(|collected| {
            if collected.last == Some(series) {
                collected.draft.room(block_samples) == 0
            } else {
                collected.draft.is_full(block_samples)
            }
        });
        if full {
            self.end_block(window)?;
        }
        self.series_until_sum -= 1;
        if self.series_until_sum == 0 {
            self.series_until_sum = SERIES_BETWEEN_SUMS;
            let sizes = self.windows.iter().map(|(window, collected)| (collected.draft.memory_bytes(), *window));
            if sizes.clone().map(|(bytes, _)| bytes).sum::<usize>() > MOST_DRAFT_BYTES
                && let Some((_, largest)) = sizes.max()
            {
                self.end_block(largest)?;
            }
        }
        Ok(())
    }

    /// Ends all blocks where a section of another tenant begins.
    fn enter_section(&mut self, section: u32) -> Result<(), StorageError> {
        let tenant_of = |section: u32| self.sections.get(section as usize).map(|section| &section.tenant);
        let before = self.section.replace(section);
        if before.is_some_and(|before| before != section && tenant_of(before) != tenant_of(section)) {
            self.end_blocks()?;
        }
        Ok(())
    }

    fn end_block(&mut self, window: i64) -> Result<(), StorageError> {
        if let Some(mut collected) = self.windows.remove(&window) {
            let draft = &mut collected.draft;
            let tables = draft.take_tables();
            let sorted: Vec<SortedStrings<'_>> =
                tables.iter().map(|table| SortedStrings::sort(&table.iter().collect::<Vec<_>>())).collect();
            draft.renumber(|key, value| sorted[key as usize].places[value as usize]);
            let values: Vec<Vec<&str>> = sorted.into_iter().map(|sorted| sorted.distinct).collect();
            (self.emit)(self.writer.write(draft, &values))?;
            draft.clear();
            self.spare.push(collected.draft);
            // One draft's memory is used again; that of many windows is given back.
            self.spare.truncate(1);
        }
        Ok(())
    }

    fn end_blocks(&mut self) -> Result<(), StorageError> {
        while let Some(window) = self.windows.keys().next().copied() {
            self.end_block(window)?;
        }
        Ok(())
    }

    /// Ends all blocks.
    pub(super) fn finish(mut self) -> Result<(), StorageError> {
        self.end_blocks()
    }
}
