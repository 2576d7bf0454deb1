//! What a merge writes: samples in order, parted by window of time into blocks.

use std::collections::BTreeMap;
use std::ops::Range;

use luminate_model::TimeRange;
use luminate_storage::StorageError;

use super::cursor::{RunCursor, SeriesKey};
use super::draft::BlockDraft;
use super::encode::EncodedBlock;
use super::index::Layout;
use super::merge::{MergeOptions, MergeReport};
use super::order::SortedStrings;
use super::summary::{BlockKind, MAX_BLOCK_SAMPLES, Section};
use super::write::BlockWriter;

/// Memory is summed up after so many stretches of samples.
const STRETCHES_BETWEEN_SUMS: u32 = 1_024;

/// The output of a merge.
pub(super) struct MergeOutput<'m> {
    /// The distinct sections of all inputs, ascending.
    sections: &'m [&'m Section],
    options: MergeOptions,
    emit: &'m mut dyn FnMut(EncodedBlock) -> Result<(), StorageError>,
    writer: BlockWriter,
    collected_bytes: usize,
    /// The block that the last sample went to.
    current: Option<Window>,
    /// The other blocks that are being collected, by the starts of their windows: all of one tenant.
    others: BTreeMap<i64, Window>,
    /// The section of the last sample.
    section: Option<u32>,
    /// The last generation that was given to a draft.
    generation: u32,
    stretches_until_sum: u32,
    /// A draft whose memory can be used again.
    spare: Option<BlockDraft>,
}

/// A block that is being collected.
struct Window {
    /// The window's first timestamp and the first one after it.
    time: TimeRange,
    draft: BlockDraft,
    /// Tells this draft from every other that this one's memory was used for.
    generation: u32,
    /// The series of the last sample.
    last: Option<SeriesKey>,
}

impl<'m> MergeOutput<'m> {
    pub(super) fn new(
        sections: &'m [&'m Section],
        options: MergeOptions,
        layout: Layout,
        emit: &'m mut dyn FnMut(EncodedBlock) -> Result<(), StorageError>,
    ) -> Self {
        let options = MergeOptions {
            block_samples: options.block_samples.clamp(1, MAX_BLOCK_SAMPLES),
            window_ms: options.window_ms.max(1),
        };
        Self {
            sections,
            options,
            emit,
            writer: BlockWriter::new(layout),
            collected_bytes: layout.collected_bytes,
            current: None,
            others: BTreeMap::new(),
            section: None,
            generation: 0,
            stretches_until_sum: STRETCHES_BETWEEN_SUMS,
            spare: None,
        }
    }

    /// Appends the next samples of a cursor, all of `series`.
    pub(super) fn append(
        &mut self,
        cursor: &mut RunCursor<'_>,
        series: SeriesKey,
        samples: usize,
        report: &mut MergeReport,
    ) -> Result<(), StorageError> {
        let (timestamps, keep_from) = (cursor.samples(samples).0, cursor.keep_from());
        let expired = timestamps.iter().take_while(|timestamp| **timestamp < keep_from).count();
        report.expired += expired as u64;
        report.kept += (samples - expired) as u64;
        if self.section != Some(series.section) {
            self.enter_section(series.section)?;
        }
        let mut start = expired;
        while start < samples {
            start += self.append_to_window(cursor, series, start..samples)?;
        }
        Ok(())
    }

    /// Appends of a cursor's next samples those in `range` that belong to one window with the first of them, and says how
    /// many those were.
    fn append_to_window(
        &mut self,
        cursor: &mut RunCursor<'_>,
        series: SeriesKey,
        range: Range<usize>,
    ) -> Result<usize, StorageError> {
        let first = cursor.samples(range.end).0.get(range.start).copied().unwrap_or_default();
        self.make_room(first, series)?;
        let Some(window) = &mut self.current else { return Ok(range.len()) };
        let draft = &mut window.draft;
        if window.last != Some(series) {
            if window.last.map(|last| last.section) != Some(series.section)
                && let Some(section) = self.sections.get(series.section as usize)
            {
                draft.begin_section(section.tenant.clone(), section.metric.clone(), section.retention_days);
            }
            cursor.begin_series(draft, window.generation);
            window.last = Some(series);
        }
        let (timestamps, values) = cursor.samples(range.end);
        let timestamps = timestamps.get(range.clone()).unwrap_or_default();
        let values = values.get(range).unwrap_or_default();
        let room = draft.room(self.options.block_samples).max(1);
        let in_window = timestamps.iter().take_while(|timestamp| **timestamp < window.time.end).count();
        let taken = in_window.clamp(1, room);
        let (timestamps, values) = (&timestamps[..taken], &values[..taken]);
        draft.push_samples(timestamps, values);
        Ok(taken)
    }

    /// Makes the block at hand one that takes a sample of `series` at `timestamp`: ends it where it is full, and the largest
    /// one where all together are too large.
    fn make_room(&mut self, timestamp: i64, series: SeriesKey) -> Result<(), StorageError> {
        self.stretches_until_sum -= 1;
        if self.stretches_until_sum == 0 {
            self.stretches_until_sum = STRETCHES_BETWEEN_SUMS;
            self.bound_memory()?;
        }
        let block_samples = self.options.block_samples;
        let window = self.enter_window(timestamp);
        let full = if window.last == Some(series) {
            window.draft.room(block_samples) == 0
        } else {
            window.draft.is_full(block_samples)
        };
        if full {
            self.end_current()?;
            self.enter_window(timestamp);
        }
        Ok(())
    }

    /// Makes the block at hand the one that a timestamp belongs to.
    fn enter_window(&mut self, timestamp: i64) -> &mut Window {
        if let Some(left) = self.current.take_if(|window| !window.time.contains(timestamp)) {
            self.others.insert(left.time.start, left);
        }
        let window_ms = self.options.window_ms;
        let start = timestamp.div_euclid(window_ms).saturating_mul(window_ms);
        let (others, spare, generation) = (&mut self.others, &mut self.spare, &mut self.generation);
        self.current.get_or_insert_with(|| {
            others.remove(&start).unwrap_or_else(|| {
                *generation += 1;
                let draft = spare.take().unwrap_or_else(|| BlockDraft::new(BlockKind::Merged));
                let time = TimeRange { start, end: start.saturating_add(window_ms) };
                Window { time, draft, generation: *generation, last: None }
            })
        })
    }

    /// Ends the largest block where all together are too large.
    fn bound_memory(&mut self) -> Result<(), StorageError> {
        if let Some(left) = self.current.take() {
            self.others.insert(left.time.start, left);
        }
        let sizes = || self.others.iter().map(|(start, window)| (window.draft.memory_bytes(), *start));
        if sizes().map(|(bytes, _)| bytes).sum::<usize>() <= self.collected_bytes {
            return Ok(());
        }
        self.current = sizes().max().and_then(|(_, start)| self.others.remove(&start));
        self.end_current()
    }

    /// Goes on to the samples of another section; ends all blocks where it is another tenant's.
    fn enter_section(&mut self, section: u32) -> Result<(), StorageError> {
        let tenant_of = |section: u32| self.sections.get(section as usize).map(|section| &section.tenant);
        let before = self.section.replace(section);
        if before.is_some_and(|before| tenant_of(before) != tenant_of(section)) {
            self.end_all()?;
        }
        Ok(())
    }

    /// Ends the block at hand.
    fn end_current(&mut self) -> Result<(), StorageError> {
        let Some(Window { mut draft, .. }) = self.current.take() else { return Ok(()) };
        let tables = draft.take_tables();
        let sorted: Vec<SortedStrings<'_>> =
            tables.iter().map(|table| SortedStrings::sort(&table.iter().collect::<Vec<_>>())).collect();
        draft.renumber(|key, value| sorted[key as usize].places[value as usize]);
        let values: Vec<Vec<&str>> = sorted.into_iter().map(|sorted| sorted.distinct).collect();
        (self.emit)(self.writer.write(&draft, &values))?;
        draft.clear();
        self.spare = Some(draft);
        Ok(())
    }

    fn end_all(&mut self) -> Result<(), StorageError> {
        self.end_current()?;
        while let Some((_, window)) = self.others.pop_first() {
            self.current = Some(window);
            self.end_current()?;
        }
        Ok(())
    }

    /// Ends all blocks.
    pub(super) fn finish(mut self) -> Result<(), StorageError> {
        self.end_all()
    }
}
