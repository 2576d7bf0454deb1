//! Reading a run for a merge: the samples of its blocks in order, a strip at a time.

use std::ops::Range;

use luminate_storage::StorageError;

use super::draft::BlockDraft;
use super::identity::SeriesReader;
use super::merge::{MergeInput, MergeReads, MergeReport, SectionRule};
use super::open::{OpenBlock, SeriesColumn};
use super::page::BlockPages;
use super::sort::value_order;
use super::summary::Section;

/// What samples are ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SampleKey {
    pub(super) series: SeriesKey,
    pub(super) timestamp: i64,
    pub(super) value: i64,
}

impl SampleKey {
    /// The section and the first bits of the id as one number that orders as they do.
    pub(super) fn first_bits(&self) -> u128 {
        u128::from(self.series.section) << 96 | self.series.id >> 32
    }
}

/// What series are ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    /// The section, as its place among all sections of the merge.
    pub(super) section: u32,
    pub(super) id: u128,
}

/// What a merge reads with.
#[derive(Clone, Copy)]
pub(super) struct MergeSource<'a> {
    pub(super) reads: MergeReads<'a>,
    /// The distinct sections of all inputs, ascending.
    pub(super) sections: &'a [&'a Section],
}

/// A run, of which the samples before some place were read.
pub(super) struct RunCursor<'a> {
    source: MergeSource<'a>,
    inputs: std::slice::Iter<'a, MergeInput>,
    block: Option<BlockCursor<'a>>,
    /// Dimensions of one series; kept for its memory.
    dimensions: Vec<(u32, u32)>,
}

/// A block of a run.
struct BlockCursor<'a> {
    block: OpenBlock<'a>,
    runs: SeriesColumn,
    /// Keys and values are marked with what they are in the output.
    reader: SeriesReader<Numbered>,
    /// What is still to be read, the next part last.
    parts: Vec<Part>,
    part: LoadedPart,
}

/// The series of one section that have samples on one strip.
#[derive(Debug, Clone, Copy)]
struct Part {
    section: usize,
    /// The section's place among all sections of the merge.
    rank: u32,
    strip: usize,
    /// Samples before this have expired.
    keep_from: i64,
}

/// A number of a draft, good as long as that draft has this generation.
#[derive(Debug, Clone, Copy, Default)]
struct Numbered {
    generation: u32,
    number: u32,
}

/// A part whose columns were read, and how far it was handed out.
#[derive(Default)]
struct LoadedPart {
    rank: u32,
    keep_from: i64,
    /// The strip whose samples `runs`, `timestamps` and `values` hold.
    strip: Option<usize>,
    runs: Vec<u32>,
    timestamps: Vec<i64>,
    values: Vec<f64>,
    ids: Vec<u128>,
    /// The strip's series that belong to the part.
    series: Range<usize>,
    /// The series at hand, as a place among `ids`.
    place: usize,
    /// The sample at hand and the end of its series.
    samples: Range<usize>,
}

impl LoadedPart {
    fn key(&self) -> SampleKey {
        let at = self.samples.start;
        SampleKey {
            series: SeriesKey { section: self.rank, id: self.ids.get(self.place).copied().unwrap_or_default() },
            timestamp: self.timestamps.get(at).copied().unwrap_or_default(),
            value: value_order(self.values.get(at).copied().unwrap_or_default()),
        }
    }

    fn begin_series(&mut self) {
        let run = self.runs.get(self.series.start + self.place).copied().unwrap_or_default() as usize;
        self.samples = self.samples.end..self.samples.end + run;
    }
}

impl<'a> RunCursor<'a> {
    /// Begins with the first sample of a run that is to be kept; `None` where there is none. Samples of sections that are left
    /// out whole are counted at once.
    pub(super) fn open(
        source: MergeSource<'a>,
        run: &'a [MergeInput],
        report: &mut MergeReport,
    ) -> Result<Option<Self>, StorageError> {
        let mut cursor = Self { source, inputs: run.iter(), block: None, dimensions: Vec::new() };
        Ok(cursor.next_part(report)?.then_some(cursor))
    }

    /// The key of the sample at hand.
    pub(super) fn key(&self) -> SampleKey {
        self.part().map_or(SampleKey::default(), LoadedPart::key)
    }

    /// The number of samples from the one at hand on that are of its series, `series`, and not above the smallest key of the
    /// other runs; at least 1.
    pub(super) fn stretch(&self, series: SeriesKey, runner_up: impl FnOnce() -> Option<SampleKey>) -> usize {
        let Some(part) = self.part() else { return 1 };
        if part.samples.len() == 1 {
            return 1;
        }
        let Some(limit) = runner_up().filter(|limit| limit.series == series) else { return part.samples.len() };
        let (timestamps, values) = self.samples(part.samples.len());
        let below =
            |(timestamp, value): (&i64, &f64)| (*timestamp, value_order(*value)) <= (limit.timestamp, limit.value);
        timestamps.iter().zip(values).skip(1).take_while(|sample| below(*sample)).count() + 1
    }

    /// Timestamps and values of the next samples.
    pub(super) fn samples(&self, samples: usize) -> (&[i64], &[f64]) {
        let Some(part) = self.part() else { return (&[], &[]) };
        let range = part.samples.start..part.samples.start + samples;
        (part.timestamps.get(range.clone()).unwrap_or_default(), part.values.get(range).unwrap_or_default())
    }

    /// Samples of the section at hand before this have expired.
    pub(super) fn keep_from(&self) -> i64 {
        self.part().map_or(i64::MIN, |part| part.keep_from)
    }

    fn part(&self) -> Option<&LoadedPart> {
        self.block.as_ref().map(|cursor| &cursor.part)
    }

    /// Leaves a stretch of samples behind; answers with the next sample's key, or `None` at the end of the run.
    pub(super) fn advance(
        &mut self,
        samples: usize,
        report: &mut MergeReport,
    ) -> Result<Option<SampleKey>, StorageError> {
        let Some(cursor) = &mut self.block else { return Ok(None) };
        let part = &mut cursor.part;
        part.samples.start += samples;
        if part.samples.is_empty() {
            part.place += 1;
            if part.place == part.ids.len() {
                return Ok(self.next_part(report)?.then(|| self.key()));
            }
            part.begin_series();
        }
        Ok(Some(part.key()))
    }

    /// Begins the series at hand in a draft, with its dimensions. `generation` is the draft's.
    pub(super) fn begin_series(&mut self, draft: &mut BlockDraft, generation: u32) {
        let Some(cursor) = &mut self.block else { return };
        self.dimensions.clear();
        for at in 0..cursor.reader.keys() {
            let Some(key) = cursor.reader.key_mut(at) else { continue };
            let reference = key.references.get(cursor.part.place).copied().unwrap_or_default();
            let Some(value) = reference.checked_sub(1) else { continue };
            if key.mark.generation != generation {
                key.mark = Numbered { generation, number: draft.key_number(&key.name) };
            }
            let mut numbered = *key.values.mark(value);
            if numbered.generation != generation {
                numbered = Numbered { generation, number: draft.push_value(key.mark.number, key.values.text(value)) };
                *key.values.mark(value) = numbered;
            }
            self.dimensions.push((key.mark.number, numbered.number));
        }
        draft.begin_series(cursor.part.key().series.id, &self.dimensions);
    }

    /// Reads the next part, of this block or the next one that has any.
    fn next_part(&mut self, report: &mut MergeReport) -> Result<bool, StorageError> {
        loop {
            if let Some(cursor) = &mut self.block {
                if let Some(part) = cursor.parts.pop() {
                    cursor.load(part)?;
                    return Ok(true);
                }
                self.block = None;
            }
            let Some(input) = self.inputs.next() else { return Ok(false) };
            self.block = BlockCursor::open(self.source, input, report)?;
        }
    }
}

impl<'a> BlockCursor<'a> {
    /// Opens a block; `None` where nothing of it is to be kept.
    fn open(
        source: MergeSource<'a>,
        input: &'a MergeInput,
        report: &mut MergeReport,
    ) -> Result<Option<Self>, StorageError> {
        let mut kept = Vec::new();
        for (at, section) in input.summary.sections.iter().enumerate() {
            let rule = source.reads.rules.section(input.id, &section.tenant, &section.metric, section.retention_days);
            match rule {
                SectionRule::Erase => report.erased += u64::from(section.samples),
                SectionRule::KeepFrom(floor) if section.last_timestamp < floor => {
                    report.expired += u64::from(section.samples);
                }
                SectionRule::KeepFrom(floor) => kept.push((at, floor)),
            }
        }
        if kept.is_empty() {
            return Ok(None);
        }
        let block = OpenBlock::open(BlockPages { id: input.id, reader: source.reads.pages }, input.summary.clone())?;
        let mut parts = Vec::new();
        for (at, keep_from) in kept {
            let Some(section) = input.summary.sections.get(at) else { continue };
            let rank = source.sections.partition_point(|other| other.key() < section.key()) as u32;
            let strips = block.index.strips_of(&block.index.series_of(at));
            parts.extend(strips.map(|strip| Part { section: at, rank, strip, keep_from }));
        }
        parts.reverse();
        Ok(Some(Self {
            runs: block.runs(),
            reader: SeriesReader::new(&block),
            parts,
            part: LoadedPart::default(),
            block,
        }))
    }

    fn load(&mut self, next: Part) -> Result<(), StorageError> {
        let block = &self.block;
        let part = &mut self.part;
        let Some(strip) = block.index.strips.get(next.strip) else { return Ok(()) };
        if part.strip != Some(next.strip) {
            part.strip = None;
            block.read_strip_runs(&mut self.runs, strip, &mut part.runs)?;
            block.read_timestamps(next.strip, strip.samples, &mut part.timestamps)?;
            block.read_values(next.strip, strip.samples, &mut part.values)?;
            part.strip = Some(next.strip);
        }
        let section_series = block.index.series_of(next.section);
        let strip_series = strip.series_range();
        let series = strip_series.start.max(section_series.start)..strip_series.end.min(section_series.end);
        let in_section = series.start - section_series.start..series.end - section_series.start;
        self.reader.read_dimensions(block, next.section, &in_section)?;
        self.reader.read_ids(block, next.section, &in_section, &mut part.ids)?;
        part.rank = next.rank;
        part.keep_from = next.keep_from;
        part.series = (series.start - strip_series.start) as usize..(series.end - strip_series.start) as usize;
        let before = part.runs.get(..part.series.start).unwrap_or_default();
        let first_sample = before.iter().map(|run| *run as usize).sum();
        part.place = 0;
        part.samples = first_sample..first_sample;
        part.begin_series();
        Ok(())
    }
}
