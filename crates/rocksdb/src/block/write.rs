//! A collected block as summary and pages.

use std::ops::Range;
use std::sync::Arc;

use super::dictionary::{PageCompressor, encode_dictionary};
use super::draft::{BlockDraft, SectionDraft};
use super::encode::EncodedBlock;
use super::filter::{encode_filter, filter_hash};
use super::index::{BlockIndex, INDEX_PAGE, KeyIndex, Layout, Strip};
use super::pack::{Effort, Pco, pack_f64s, pack_i64s, pack_u32s};
use super::page::seal;
use super::summary::{BlockKind, BlockSummary, KeySummary, Section};

/// References of keys with more values are not given to `pco`.
const MOST_PACKED_VALUES: usize = 4_096;

/// Encodes blocks one after another.
pub(super) struct BlockWriter {
    compressor: PageCompressor,
    layout: Layout,
}

/// The pages of a block, in the order of their numbers.
struct Pages {
    pages: Vec<Vec<u8>>,
}

impl Pages {
    fn next(&self) -> u32 {
        self.pages.len() as u32
    }

    fn push(&mut self, payload: Vec<u8>) {
        let number = self.next();
        self.pages.push(seal(payload, number));
    }
}

impl BlockWriter {
    pub(super) fn new(layout: Layout) -> Self {
        Self { compressor: PageCompressor::new(), layout }
    }

    /// Encodes a draft, which must hold samples; `values` are the distinct ones of each of its keys, ascending.
    pub(super) fn write(&mut self, draft: &BlockDraft, values: &[Vec<&str>]) -> EncodedBlock {
        let effort = match draft.kind {
            BlockKind::Arrival => Effort::Quick,
            BlockKind::Merged => Effort::Thorough,
        };
        let mut pages = Pages { pages: vec![Vec::new()] };
        let runs_page = pages.next();
        self.push_series_column(&mut pages, &draft.runs, effort.pco(Pco::Numbers));
        let ids_page = (draft.kind == BlockKind::Arrival).then(|| pages.next());
        for ids in draft.ids.chunks(self.layout.ids_per_page as usize) {
            pages.push(ids.iter().flat_map(|id| id.to_le_bytes()).collect());
        }
        let mut keys = Vec::new();
        let mut key_summaries = Vec::new();
        for column in key_columns(draft, values) {
            let (index, summary) = self.push_key(&mut pages, column, effort);
            keys.push(index);
            key_summaries.push(summary);
        }
        let strips_page = pages.next();
        let strips = cut_strips(draft, self.layout);
        let mut first_sample = 0;
        for strip in &strips {
            let samples = first_sample..first_sample + strip.samples as usize;
            let mut payload = Vec::new();
            // With few samples a series most timestamps follow one of another series, which says nothing.
            let pco = if strip.series * 2 <= strip.samples { Pco::Differences } else { Pco::Numbers };
            pack_i64s(&mut payload, draft.timestamps.get(samples.clone()).unwrap_or_default(), effort.pco(pco));
            pages.push(payload);
            let mut payload = Vec::new();
            pack_f64s(&mut payload, draft.values.get(samples.clone()).unwrap_or_default(), effort);
            pages.push(payload);
            first_sample = samples.end;
        }
        let sections = sections_of(draft);
        let mut section_series: Vec<u32> = draft.sections.iter().map(|section| section.first_series).collect();
        section_series.push(draft.runs.len() as u32);
        let Layout { series_per_page, ids_per_page, .. } = self.layout;
        let index = BlockIndex {
            series_per_page,
            ids_per_page,
            section_series,
            runs_page,
            ids_page,
            keys,
            strips,
            strips_page,
        };
        let mut pages = pages.pages;
        if let Some(page) = pages.first_mut() {
            *page = seal(index.encode(), INDEX_PAGE);
        }
        let summary = BlockSummary {
            kind: draft.kind,
            samples: draft.samples(),
            series: draft.runs.len() as u32,
            pages: pages.len() as u32,
            page_bytes: pages.iter().map(|page| page.len() as u64).sum(),
            first_timestamp: sections.iter().map(|section| section.first_timestamp).min().unwrap_or_default(),
            last_timestamp: sections.iter().map(|section| section.last_timestamp).max().unwrap_or_default(),
            sections,
            keys: key_summaries,
        };
        EncodedBlock { summary, pages }
    }

    fn push_series_column(&self, pages: &mut Pages, numbers: &[u32], pco: Pco) {
        for chunk in numbers.chunks(self.layout.series_per_page as usize) {
            let mut payload = Vec::new();
            pack_u32s(&mut payload, chunk, pco);
            pages.push(payload);
        }
    }

    fn push_key(&mut self, pages: &mut Pages, column: KeyColumn<'_>, effort: Effort) -> (KeyIndex, KeySummary) {
        let values = column.values;
        let references_page = pages.next();
        // References of very many values, in the order of hashes: nothing is to be saved.
        let pco = if values.len() > MOST_PACKED_VALUES { Pco::Nothing } else { effort.pco(Pco::Numbers) };
        self.push_series_column(pages, &column.references, pco);
        let dictionary_page = pages.next();
        let (dictionary, dictionary_pages) =
            encode_dictionary(values, self.layout.dictionary_page_bytes, &mut self.compressor);
        dictionary_pages.into_iter().for_each(|page| pages.push(page));
        let filter_page = pages.next();
        // One page of dictionary answers by itself; arrival blocks go before a filter pays.
        if effort == Effort::Thorough && dictionary.pages() > 1 {
            let hashes: Vec<u64> = values.iter().map(|value| filter_hash(value)).collect();
            encode_filter(&hashes).into_iter().for_each(|page| pages.push(page));
        }
        let summary = KeySummary {
            name: column.name.clone(),
            values: values.len() as u32,
            text_bytes: values.iter().map(|value| value.len() as u64).sum(),
            filter_page,
            filter_pages: pages.next() - filter_page,
        };
        let index = KeyIndex {
            sections: column.sections,
            references: column.references.len() as u32,
            references_page,
            dictionary,
            dictionary_page,
        };
        (index, summary)
    }
}

/// A key of the block with its references.
struct KeyColumn<'a> {
    name: &'a Arc<str>,
    values: &'a [&'a str],
    /// The sections that have the key, as [`KeyIndex::sections`].
    sections: Vec<(Range<u32>, u32)>,
    /// For each series of these sections 0, or the place of its value plus 1.
    references: Vec<u32>,
}

/// The keys that occur in a draft, in the order of their names.
fn key_columns<'a>(draft: &'a BlockDraft, values: &'a [Vec<&'a str>]) -> Vec<KeyColumn<'a>> {
    let mut columns: Vec<KeyColumn<'_>> = Vec::with_capacity(draft.keys.len());
    for (key, values) in draft.keys.iter().zip(values) {
        columns.push(KeyColumn { name: &key.name, values, sections: Vec::new(), references: Vec::new() });
    }
    // For each key where its references of the section at hand begin.
    let mut bases = vec![0_usize; columns.len()];
    for (at, section) in draft.sections.iter().enumerate() {
        let end = draft.sections.get(at + 1).map_or(draft.runs.len(), |next| next.first_series as usize);
        let series = section.first_series as usize..end;
        for key in &section.keys {
            let column = &mut columns[*key as usize];
            bases[*key as usize] = column.references.len();
            match column.sections.last_mut() {
                Some((range, _)) if range.end == at as u32 => range.end += 1,
                _ => column.sections.push((at as u32..at as u32 + 1, column.references.len() as u32)),
            }
            column.references.resize(column.references.len() + series.len(), 0);
        }
        let mut dimension = series.start.checked_sub(1).map_or(0, |before| draft.dimension_ends[before] as usize);
        for (place, end) in draft.dimension_ends[series].iter().enumerate() {
            for (key, value) in &draft.dimensions[dimension..*end as usize] {
                let column = &mut columns[*key as usize];
                column.references[bases[*key as usize] + place] = value + 1;
            }
            dimension = *end as usize;
        }
    }
    columns.retain(|column| !column.sections.is_empty());
    columns.sort_by(|a, b| a.name.cmp(b.name));
    columns
}

fn sections_of(draft: &BlockDraft) -> Vec<Section> {
    let ends = |at: usize| {
        let next = draft.sections.get(at + 1);
        next.map_or((draft.runs.len() as u32, draft.samples()), |next| (next.first_series, next.first_sample))
    };
    let section_of = |(at, section): (usize, &SectionDraft)| {
        let (end_series, end_sample) = ends(at);
        let (first_timestamp, last_timestamp) =
            time_span(&draft.timestamps[section.first_sample as usize..end_sample as usize]);
        Section {
            tenant: section.tenant.clone(),
            metric: section.metric.clone(),
            retention_days: section.retention_days,
            samples: end_sample - section.first_sample,
            series: end_series - section.first_series,
            first_timestamp,
            last_timestamp,
        }
    };
    draft.sections.iter().enumerate().map(section_of).collect()
}

/// The smallest and the largest timestamp.
fn time_span(timestamps: &[i64]) -> (i64, i64) {
    let smallest = timestamps.iter().copied().min().unwrap_or_default();
    (smallest, timestamps.iter().copied().max().unwrap_or_default())
}

/// Cuts the samples of a draft into strips: between series where it can, and near the ends of sections.
fn cut_strips(draft: &BlockDraft, layout: Layout) -> Vec<Strip> {
    let mut cutter = StripCutter { draft, strips: Vec::new(), strip: None, next_sample: 0 };
    let mut sections = draft.sections.iter().skip(1).peekable();
    for (series, run) in draft.runs.iter().enumerate() {
        if sections.next_if(|section| section.first_series as usize == series).is_some()
            && cutter.samples() >= layout.strip_samples_of_section
        {
            cutter.close();
        }
        let (mut taken, mut left) = (0, *run);
        while left > 0 {
            let room = layout.strip_samples - cutter.samples();
            if left > room && left <= layout.strip_samples && cutter.samples() > 0 {
                cutter.close();
                continue;
            }
            let part = left.min(room);
            cutter.push(series as u32, taken, part);
            taken += part;
            left -= part;
            if cutter.samples() == layout.strip_samples {
                cutter.close();
            }
        }
    }
    cutter.close();
    cutter.strips
}

struct StripCutter<'a> {
    draft: &'a BlockDraft,
    strips: Vec<Strip>,
    strip: Option<Strip>,
    next_sample: usize,
}

impl StripCutter<'_> {
    fn samples(&self) -> u32 {
        self.strip.map_or(0, |strip| strip.samples)
    }

    /// Appends samples of a series of which `skip` stand on earlier strips.
    fn push(&mut self, series: u32, skip: u32, samples: u32) {
        let new = Strip { first_series: series, series: 0, skip, samples: 0, first_timestamp: 0, last_timestamp: 0 };
        let strip = self.strip.get_or_insert(new);
        strip.series += 1;
        strip.samples += samples;
    }

    fn close(&mut self) {
        let Some(mut strip) = self.strip.take() else { return };
        let end = self.next_sample + strip.samples as usize;
        (strip.first_timestamp, strip.last_timestamp) = time_span(&self.draft.timestamps[self.next_sample..end]);
        self.next_sample = end;
        self.strips.push(strip);
    }
}
