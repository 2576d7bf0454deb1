//! The index page: page 0 of every block. It says where everything else stands.
//!
//! The other pages, in this order: samples per series; ids of series (arrival blocks); for each key its references, its
//! dictionary and its filter; for each strip its timestamps and its values.

use std::ops::Range;

use super::bytes::{ByteReader, Fault, put_signed, put_varint};
use super::dictionary::DictionaryIndex;
use super::summary::{BlockKind, BlockSummary};

/// The number of the index page.
pub(super) const INDEX_PAGE: u32 = 0;

/// How large blocks and their pieces are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Most samples of a strip.
    pub(super) strip_samples: u32,
    /// A strip is closed at the end of a section once it has this many samples, so that a query for one metric reads
    /// little of others.
    pub(super) strip_samples_of_section: u32,
    /// Series of a page of a column that has one number a series.
    pub(super) series_per_page: u32,
    /// Series of a page of ids.
    pub(super) ids_per_page: u32,
    /// A page of a dictionary is closed once its values have this many bytes together.
    pub(super) dictionary_page_bytes: usize,
    /// Most memory of all blocks that a merge collects at a time, in bytes, about. Samples of very many windows at once make
    /// small blocks rather than a large heap; later merges mend that.
    pub(super) collected_bytes: usize,
}

impl Layout {
    /// What is right for pages of some 16 to 64 KiB.
    pub(super) const STANDARD: Self = Self {
        strip_samples: 16_384,
        strip_samples_of_section: 4_096,
        series_per_page: 16_384,
        ids_per_page: 4_096,
        dictionary_page_bytes: 24 * 1024,
        collected_bytes: 96 << 20,
    };

    /// For arrival blocks: a merge holds a strip of each in memory, and all of them should fit the processor's cache.
    pub(super) const ARRIVAL: Self = Self { strip_samples: 4_096, strip_samples_of_section: 2_048, ..Self::STANDARD };
}

/// A strip: neighbouring series whose samples stand on one page of timestamps and one of values. A series with more
/// samples than a strip holds goes on in the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strip {
    /// The first series; the last one of the strip before where that goes on here.
    pub(super) first_series: u32,
    /// Number of series.
    pub(super) series: u32,
    /// Samples of the first series that stand on earlier strips.
    pub(super) skip: u32,
    /// Number of samples, at most as many as [`Layout::strip_samples`] allows.
    pub(super) samples: u32,
    /// The smallest timestamp.
    pub(super) first_timestamp: i64,
    /// The largest timestamp.
    pub(super) last_timestamp: i64,
}

impl Strip {
    /// Its series, as ordinals of the block.
    pub(super) fn series_range(&self) -> Range<u32> {
        self.first_series..self.first_series + self.series
    }
}

/// Where the values of one key stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyIndex {
    /// The sections in which the key occurs, as ranges that ascend, each with the series of the ranges before it. The
    /// key's references are those of the series of these sections, one after another; other sections cost nothing.
    pub(super) sections: Vec<(Range<u32>, u32)>,
    /// Number of references.
    pub(super) references: u32,
    /// The first page of references.
    pub(super) references_page: u32,
    /// What the pages of the dictionary hold.
    pub(super) dictionary: DictionaryIndex,
    /// The first page of the dictionary.
    pub(super) dictionary_page: u32,
}

/// What page 0 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockIndex {
    /// Series of a page of a column that has one number a series.
    pub(super) series_per_page: u32,
    /// Series of a page of ids.
    pub(super) ids_per_page: u32,
    /// For each section the number of series before it, and at the end the number of all.
    pub(super) section_series: Vec<u32>,
    /// The first page of samples per series.
    pub(super) runs_page: u32,
    /// The first page of ids; only arrival blocks have them.
    pub(super) ids_page: Option<u32>,
    /// As many as the summary has keys.
    pub(super) keys: Vec<KeyIndex>,
    /// The strips, in the order of their series.
    pub(super) strips: Vec<Strip>,
    /// The first page of strips: two for each.
    pub(super) strips_page: u32,
}

impl BlockIndex {
    /// The page of timestamps of a strip; its values stand on the next one.
    pub(super) fn timestamps_page(&self, strip: usize) -> u32 {
        self.strips_page.saturating_add(2 * strip as u32)
    }

    /// The series of a section, as ordinals of the block.
    pub(super) fn series_of(&self, section: usize) -> Range<u32> {
        let start = self.section_series.get(section).copied().unwrap_or_default();
        start..self.section_series.get(section + 1).copied().unwrap_or(start)
    }

    /// Where the references of a section begin among those of a key; `None` where the key does not occur in the section.
    pub(super) fn first_reference(&self, key: usize, section: usize) -> Option<u32> {
        let ranges = &self.keys.get(key)?.sections;
        let at = ranges.partition_point(|(range, _)| range.end as usize <= section);
        let (range, before) = ranges.get(at).filter(|(range, _)| range.start as usize <= section)?;
        Some(before + self.series_of(section).start - self.series_of(range.start as usize).start)
    }

    /// The strips that hold samples of these series.
    pub(super) fn strips_of(&self, series: &Range<u32>) -> Range<usize> {
        let start = self.strips.partition_point(|strip| strip.series_range().end <= series.start);
        let end = self.strips.partition_point(|strip| strip.first_series < series.end);
        start..end.max(start)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, u64::from(self.series_per_page));
        put_varint(&mut out, u64::from(self.ids_per_page));
        put_varint(&mut out, u64::from(self.runs_page));
        if let Some(page) = self.ids_page {
            put_varint(&mut out, u64::from(page));
        }
        for key in &self.keys {
            put_varint(&mut out, key.sections.len() as u64);
            let mut before = 0;
            for (range, _) in &key.sections {
                put_varint(&mut out, u64::from(range.start - before));
                put_varint(&mut out, u64::from(range.end - range.start));
                before = range.end;
            }
            put_varint(&mut out, u64::from(key.references_page));
            put_varint(&mut out, u64::from(key.dictionary_page));
            key.dictionary.encode(&mut out);
        }
        put_varint(&mut out, u64::from(self.strips_page));
        put_varint(&mut out, self.strips.len() as u64);
        let mut end = 0;
        for strip in &self.strips {
            put_varint(&mut out, u64::from(end - strip.first_series));
            put_varint(&mut out, u64::from(strip.skip));
            put_varint(&mut out, u64::from(strip.series));
            put_varint(&mut out, u64::from(strip.samples));
            put_signed(&mut out, strip.first_timestamp);
            put_varint(&mut out, strip.last_timestamp.abs_diff(strip.first_timestamp));
            end = strip.series_range().end;
        }
        out
    }

    /// Reads what [`BlockIndex::encode`] wrote for the block with this summary.
    pub(super) fn decode(payload: &[u8], summary: &BlockSummary) -> Result<Self, Fault> {
        let mut reader = ByteReader::new(payload);
        let series_per_page = reader.varint_up_to(u64::from(Layout::STANDARD.series_per_page))? as u32;
        let ids_per_page = reader.varint_up_to(u64::from(Layout::STANDARD.ids_per_page))? as u32;
        if series_per_page == 0 || ids_per_page == 0 {
            return Err("its pages are empty");
        }
        let mut section_series = Vec::with_capacity(summary.sections.len() + 1);
        let mut series = 0_u32;
        section_series.push(0);
        for section in &summary.sections {
            series = series.saturating_add(section.series);
            section_series.push(series);
        }
        let runs_page = reader.u32()?;
        let ids_page = if summary.kind == BlockKind::Arrival { Some(reader.u32()?) } else { None };
        let mut keys = Vec::with_capacity(summary.keys.len());
        for key in &summary.keys {
            keys.push(KeyIndex::decode(&mut reader, key.values, &section_series)?);
        }
        let strips_page = reader.u32()?;
        let strips = decode_strips(&mut reader, summary)?;
        reader.finish()?;
        Ok(Self { series_per_page, ids_per_page, section_series, runs_page, ids_page, keys, strips, strips_page })
    }
}

impl KeyIndex {
    fn decode(reader: &mut ByteReader<'_>, values: u32, section_series: &[u32]) -> Result<Self, Fault> {
        let mut sections = Vec::new();
        let (mut end, mut references) = (0_u32, 0_u32);
        for _ in 0..reader.count()? {
            let start = end.checked_add(reader.u32()?).ok_or("a section is unknown")?;
            end = start.checked_add(reader.u32()?).ok_or("a section is unknown")?;
            let series_before =
                |section: u32| section_series.get(section as usize).copied().ok_or("a section is unknown");
            let series = series_before(end)? - series_before(start)?;
            sections.push((start..end, references));
            references += series;
        }
        let references_page = reader.u32()?;
        let dictionary_page = reader.u32()?;
        let dictionary = DictionaryIndex::decode(reader, values)?;
        Ok(Self { sections, references, references_page, dictionary, dictionary_page })
    }
}

fn decode_strips(reader: &mut ByteReader<'_>, summary: &BlockSummary) -> Result<Vec<Strip>, Fault> {
    const GAP: Fault = "its strips do not hold all series once";
    let count = reader.count()?;
    let mut strips = Vec::new();
    let (mut end, mut all_samples) = (0_u32, 0_u64);
    for _ in 0..count {
        let shared = reader.varint_up_to(1)? as u32;
        let first_series = end.checked_sub(shared).ok_or(GAP)?;
        let skip = reader.varint_up_to(u64::from(summary.samples))? as u32;
        let series = reader.varint_up_to(u64::from(summary.series))? as u32;
        let samples = reader.varint_up_to(u64::from(Layout::STANDARD.strip_samples))? as u32;
        let first_timestamp = reader.signed()?;
        let last_timestamp =
            first_timestamp.checked_add_unsigned(reader.varint()?).ok_or("a timestamp is out of range")?;
        if series == 0 || samples < series || (skip > 0) != (shared > 0) {
            return Err(GAP);
        }
        end = first_series.checked_add(series).ok_or(GAP)?;
        all_samples += u64::from(samples);
        strips.push(Strip { first_series, series, skip, samples, first_timestamp, last_timestamp });
    }
    if end == summary.series && all_samples == u64::from(summary.samples) { Ok(strips) } else { Err(GAP) }
}
