//! A stored block, opened: columns of numbers by series, dictionaries and strips, each read where it is asked for.

use std::ops::Range;
use std::sync::Arc;

use luminate_model::StringTable;
use luminate_storage::StorageError;

use super::bytes::Fault;
use super::dictionary::DictionaryText;
use super::index::{BlockIndex, INDEX_PAGE, Strip};
use super::pack::{unpack_f64s, unpack_i64s, unpack_u32s};
use super::page::BlockPages;
use super::summary::BlockSummary;

/// A block whose index page was read.
pub(super) struct OpenBlock<'a> {
    pub(super) pages: BlockPages<'a>,
    pub(super) summary: Arc<BlockSummary>,
    pub(super) index: BlockIndex,
}

impl<'a> OpenBlock<'a> {
    pub(super) fn open(pages: BlockPages<'a>, summary: Arc<BlockSummary>) -> Result<Self, StorageError> {
        let index = pages.read(INDEX_PAGE, |payload| BlockIndex::decode(payload, &summary))?;
        Ok(Self { pages, summary, index })
    }

    /// The samples per series.
    pub(super) fn runs(&self) -> SeriesColumn {
        self.series_column(self.index.runs_page, self.summary.series, 1..u64::from(self.summary.samples) + 1)
    }

    /// The references of a key.
    pub(super) fn references(&self, key: usize) -> SeriesColumn {
        let Some(key) = self.index.keys.get(key) else { return self.series_column(INDEX_PAGE, 0, 0..0) };
        self.series_column(key.references_page, key.references, 0..u64::from(key.dictionary.values) + 1)
    }

    fn series_column(&self, first_page: u32, numbers: u32, allowed: Range<u64>) -> SeriesColumn {
        let per_page = self.index.series_per_page;
        SeriesColumn { first_page, numbers, per_page, allowed, cached: None, cache: Vec::new() }
    }

    /// Reads the references of some series of a section, relative to its first; all 0 where the section does not have the
    /// key.
    pub(super) fn read_references(
        &self,
        column: &mut SeriesColumn,
        key: usize,
        section: usize,
        series: Range<u32>,
        out: &mut Vec<u32>,
    ) -> Result<(), StorageError> {
        match self.index.first_reference(key, section) {
            Some(first) => column.read(&self.pages, first + series.start..first + series.end, out),
            None => {
                out.clear();
                out.resize(series.len(), 0);
                Ok(())
            }
        }
    }

    /// Reads the whole dictionary of a key.
    pub(super) fn dictionary(&self, key: usize) -> Result<StringTable, StorageError> {
        let Some(key) = self.index.keys.get(key) else { return Ok(StringTable::new()) };
        let mut text = DictionaryText::default();
        for at in 0..key.dictionary.pages() {
            let page = key.dictionary_page.saturating_add(at as u32);
            self.pages.read(page, |payload| text.read_page(payload, key.dictionary.page_values(at)))?;
        }
        text.finish().map_err(|fault| self.pages.damaged(key.dictionary_page, fault))
    }

    /// The references of those of `values`, which ascend, that the dictionary of a key holds. Reads only the pages that can
    /// hold them.
    pub(super) fn find_values(&self, key: usize, values: &[&str]) -> Result<Vec<u32>, StorageError> {
        let Some(key) = self.index.keys.get(key) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let mut open: Option<(usize, DictionaryText)> = None;
        for value in values {
            let Some(at) = key.dictionary.page_of(value.as_bytes()) else { continue };
            if open.as_ref().is_none_or(|(opened, _)| *opened != at) {
                let mut text = DictionaryText::default();
                let page = key.dictionary_page.saturating_add(at as u32);
                self.pages.read(page, |payload| text.read_page(payload, key.dictionary.page_values(at)))?;
                open = Some((at, text));
            }
            let start = key.dictionary.starts.get(at).copied().unwrap_or_default();
            let place = open.as_ref().and_then(|(_, text)| text.find(value.as_bytes()));
            found.extend(place.map(|place| start + place + 1));
        }
        Ok(found)
    }

    /// Reads the stored ids of series; only arrival blocks have them.
    pub(super) fn read_ids(
        &self,
        first_page: u32,
        series: Range<u32>,
        out: &mut Vec<u128>,
    ) -> Result<(), StorageError> {
        out.clear();
        let mut start = series.start;
        while start < series.end {
            let page = start / self.index.ids_per_page;
            let page_start = page * self.index.ids_per_page;
            let page_end = page_start.saturating_add(self.index.ids_per_page).min(self.summary.series);
            let end = series.end.min(page_end);
            self.pages.read(first_page.saturating_add(page), |payload| {
                let (ids, rest) = payload.as_chunks::<16>();
                if ids.len() != (page_end - page_start) as usize || !rest.is_empty() {
                    return Err("it holds another number of ids");
                }
                let wanted = ids.get((start - page_start) as usize..(end - page_start) as usize).unwrap_or_default();
                out.extend(wanted.iter().map(|id| u128::from_le_bytes(*id)));
                Ok(())
            })?;
            start = end.max(start + 1);
        }
        Ok(())
    }

    /// Reads the timestamps of a strip.
    pub(super) fn read_timestamps(&self, strip: usize, samples: u32, out: &mut Vec<i64>) -> Result<(), StorageError> {
        let page = self.index.timestamps_page(strip);
        self.pages.read(page, |payload| unpack_i64s(payload, samples as usize, out))
    }

    /// Reads the values of a strip.
    pub(super) fn read_values(&self, strip: usize, samples: u32, out: &mut Vec<f64>) -> Result<(), StorageError> {
        let page = self.index.timestamps_page(strip).saturating_add(1);
        self.pages.read(page, |payload| unpack_f64s(payload, samples as usize, out))
    }

    /// Reads how many samples each series of a strip has on it.
    pub(super) fn read_strip_runs(
        &self,
        column: &mut SeriesColumn,
        strip: &Strip,
        out: &mut Vec<u32>,
    ) -> Result<(), StorageError> {
        column.read(&self.pages, strip.series_range(), out)?;
        clip_runs(out, strip).map_err(|fault| self.pages.damaged(column.first_page, fault))
    }
}

/// Takes from the first and the last series of a strip what stands on other strips.
fn clip_runs(runs: &mut [u32], strip: &Strip) -> Result<(), Fault> {
    const FAULT: Fault = "it does not fit the samples of a strip";
    let first = runs.first_mut().ok_or(FAULT)?;
    *first = first.checked_sub(strip.skip).filter(|run| *run > 0).ok_or(FAULT)?;
    let all: u64 = runs.iter().map(|run| u64::from(*run)).sum();
    let beyond = all.checked_sub(u64::from(strip.samples)).ok_or(FAULT)?;
    let last = runs.last_mut().ok_or(FAULT)?;
    *last =
        u32::try_from(beyond).ok().and_then(|beyond| last.checked_sub(beyond)).filter(|run| *run > 0).ok_or(FAULT)?;
    Ok(())
}

/// A column that has one number a series, page by page. Keeps the last page that was read.
pub(super) struct SeriesColumn {
    first_page: u32,
    numbers: u32,
    per_page: u32,
    /// What the numbers may be.
    allowed: Range<u64>,
    cached: Option<u32>,
    cache: Vec<u32>,
}

impl SeriesColumn {
    /// Reads a range of numbers, which replaces what `out` holds.
    pub(super) fn read(
        &mut self,
        pages: &BlockPages<'_>,
        range: Range<u32>,
        out: &mut Vec<u32>,
    ) -> Result<(), StorageError> {
        out.clear();
        if range.end > self.numbers {
            return Err(pages.damaged(self.first_page, "it has fewer series than are looked for"));
        }
        let mut start = range.start;
        while start < range.end {
            let page = start / self.per_page;
            self.load(pages, page)?;
            let page_start = page * self.per_page;
            let end = range.end.min(page_start.saturating_add(self.per_page));
            out.extend_from_slice(
                self.cache.get((start - page_start) as usize..(end - page_start) as usize).unwrap_or_default(),
            );
            start = end;
        }
        Ok(())
    }

    fn load(&mut self, pages: &BlockPages<'_>, page: u32) -> Result<(), StorageError> {
        if self.cached == Some(page) {
            return Ok(());
        }
        self.cached = None;
        let numbers = (self.numbers - page * self.per_page).min(self.per_page) as usize;
        let (cache, allowed) = (&mut self.cache, &self.allowed);
        pages.read(self.first_page.saturating_add(page), |payload| {
            unpack_u32s(payload, numbers, cache)?;
            let fits = cache.iter().all(|number| allowed.contains(&u64::from(*number)));
            if fits { Ok(()) } else { Err("a number is out of range") }
        })?;
        self.cached = Some(page);
        Ok(())
    }
}
