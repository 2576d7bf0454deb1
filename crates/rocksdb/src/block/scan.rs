//! Yielding the samples of an opened block, strip by strip.

use std::ops::Range;
use std::sync::Arc;

use luminate_model::{SeriesId, StringTable, TimeRange};
use luminate_storage::{DictionaryColumn, ScanChunk, ScanColumns, StorageError};

use super::condition::Condition;
use super::identity::SeriesReader;
use super::index::Strip;
use super::memory::ReservedMemory;
use super::open::{OpenBlock, SeriesColumn};
use super::read::count;

/// What takes the chunks.
type Emit<'e> = dyn FnMut(ScanChunk) -> Result<(), StorageError> + 'e;

/// A scan of one block.
pub(super) struct BlockScan<'s, 'a> {
    block: &'s OpenBlock<'a>,
    columns: &'s ScanColumns,
    conditions: &'s [Condition],
    runs: SeriesColumn,
    /// For each key of the block what was read of it.
    keys: Vec<Option<ScanKey>>,
    ids: Option<SeriesReader>,
    no_values: Arc<StringTable>,
    memory: ReservedMemory<'s>,
}

/// A dimension that chunks show.
struct ScanKey {
    name: Arc<str>,
    dictionary: Arc<StringTable>,
    column: SeriesColumn,
}

/// The part of a strip that lies in the section that is scanned.
struct Part<'p> {
    strip: usize,
    /// The strip's series in the section, relative to the section's first.
    series: Range<u32>,
    /// Samples of each of these series on the strip.
    runs: &'p [u32],
    /// The first sample of the first of these series, relative to the strip's first.
    first_sample: usize,
    /// Which of these series pass the conditions; `None` for all.
    selected: Option<&'p [bool]>,
}

impl Part<'_> {
    /// The series that pass, as places among `series`, each with its samples on the strip.
    fn selected(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let mut start = self.first_sample;
        self.runs.iter().enumerate().filter_map(move |(place, run)| {
            let samples = start..start + *run as usize;
            start = samples.end;
            self.selected
                .is_none_or(|selected| selected.get(place).copied().unwrap_or(false))
                .then_some((place, samples))
        })
    }
}

impl<'s, 'a> BlockScan<'s, 'a> {
    pub(super) fn new(
        block: &'s OpenBlock<'a>,
        columns: &'s ScanColumns,
        conditions: &'s [Condition],
        memory: ReservedMemory<'s>,
    ) -> Self {
        Self {
            block,
            columns,
            conditions,
            runs: block.runs(),
            keys: block.summary.keys.iter().map(|_| None).collect(),
            ids: None,
            no_values: Arc::new(StringTable::new()),
            memory,
        }
    }

    /// Yields the samples of a section that lie in `time`.
    pub(super) fn section(&mut self, section: usize, time: TimeRange, emit: &mut Emit<'_>) -> Result<(), StorageError> {
        let series = self.block.index.series_of(section);
        let Some(selected) = self.select(section, series.len())? else { return Ok(()) };
        let counters = self.memory.context().counters();
        let passing = selected.as_ref().map_or(series.len(), |selected| selected.iter().filter(|s| **s).count());
        if passing == 0 {
            return Ok(());
        }
        count(&counters.series_read, passing as u64);
        let mut strip_runs = Vec::new();
        for at in self.block.index.strips_of(&series) {
            let Some(strip) = self.block.index.strips.get(at) else { continue };
            if !time.overlaps(strip.first_timestamp, strip.last_timestamp) {
                continue;
            }
            let strip_series = strip.series_range();
            let part_series = strip_series.start.max(series.start)..strip_series.end.min(series.end);
            let in_section = part_series.start - series.start..part_series.end - series.start;
            let part_selected = match &selected {
                None => None,
                Some(selected) => {
                    let part = selected.get(in_section.start as usize..in_section.end as usize).unwrap_or_default();
                    if !part.contains(&true) {
                        continue;
                    }
                    Some(part).filter(|part| part.contains(&false))
                }
            };
            self.memory.context().check()?;
            self.block.read_strip_runs(&mut self.runs, strip, &mut strip_runs)?;
            let places =
                (part_series.start - strip_series.start) as usize..(part_series.end - strip_series.start) as usize;
            let before = strip_runs.get(..places.start).unwrap_or_default();
            let part = Part {
                strip: at,
                series: in_section,
                runs: strip_runs.get(places).unwrap_or_default(),
                first_sample: before.iter().map(|run| *run as usize).sum(),
                selected: part_selected,
            };
            if let Some(chunk) = self.chunk(section, strip, &part, time)? {
                emit(chunk)?;
            }
        }
        Ok(())
    }

    /// Which series of a section pass all conditions: `None` where none can, `Some(None)` where all do.
    fn select(&mut self, section: usize, series: usize) -> Result<Option<Option<Vec<bool>>>, StorageError> {
        let mut selected: Option<Vec<bool>> = None;
        if !self.conditions.is_empty() {
            // A reference and a mark a series.
            self.memory.reserve(series * (size_of::<u32>() + 1))?;
        }
        let mut references = Vec::new();
        for condition in self.conditions {
            let key = condition.key.filter(|key| self.block.index.first_reference(*key, section).is_some());
            let Some(key) = key else {
                if condition.passes_missing() {
                    continue;
                }
                return Ok(None);
            };
            let mut column = self.block.references(key);
            self.block.read_references(&mut column, key, section, 0..series as u32, &mut references)?;
            condition.narrow(&references, selected.get_or_insert_with(|| vec![true; series]));
        }
        Ok(Some(selected))
    }

    /// The chunk of a part of a strip; `None` where no sample lies in `time`.
    fn chunk(
        &mut self,
        section: usize,
        strip: &Strip,
        part: &Part<'_>,
        time: TimeRange,
    ) -> Result<Option<ScanChunk>, StorageError> {
        let samples: u64 = part.selected().map(|(_, samples)| samples.len() as u64).sum();
        self.memory.context().count_samples(samples)?;
        let all_times = time.covers(strip.first_timestamp, strip.last_timestamp);
        let mut timestamps = Vec::new();
        if self.columns.timestamps || !all_times {
            self.block.read_timestamps(part.strip, strip.samples, &mut timestamps)?;
        }
        let mut values = Vec::new();
        let mut chunk = ScanChunk::default();
        let mut places = Places::All(part.runs.len());
        let whole_strip = samples == u64::from(strip.samples);
        if all_times && whole_strip {
            chunk.runs = part.runs.to_vec();
            if self.columns.values {
                self.block.read_values(part.strip, strip.samples, &mut values)?;
            }
            (chunk.timestamps, chunk.values) = (timestamps, values);
        } else {
            let cut = cut_to_time(part, &timestamps, (!all_times).then_some(time));
            if cut.ranges.is_empty() {
                return Ok(None);
            }
            if self.columns.values {
                self.block.read_values(part.strip, strip.samples, &mut values)?;
                chunk.values = gather(&values, &cut.ranges);
            }
            if self.columns.timestamps {
                chunk.timestamps = gather(&timestamps, &cut.ranges);
            }
            chunk.runs = cut.runs;
            places = Places::Some(cut.places);
        }
        if let Some(section) = self.block.summary.sections.get(section) {
            chunk.metric = section.metric.clone();
        }
        chunk.dimensions = self.dimensions(section, &part.series, &places)?;
        if self.columns.series_ids {
            chunk.series_ids = self.series_ids(section, &part.series, &places)?;
        }
        Ok(Some(chunk))
    }

    /// The dimensions that were asked for, of the series of a section at `places` of `series`.
    fn dimensions(
        &mut self,
        section: usize,
        series: &Range<u32>,
        places: &Places,
    ) -> Result<Vec<DictionaryColumn>, StorageError> {
        let mut dimensions = Vec::new();
        if self.columns.all_dimensions {
            for key in 0..self.keys.len() {
                if self.block.index.first_reference(key, section).is_some() {
                    dimensions.push(self.dimension(key, section, series, places)?);
                }
            }
            return Ok(dimensions);
        }
        for name in &self.columns.dimensions {
            let known = self.block.summary.key(name).map(|(key, _)| key);
            let present = known.filter(|key| self.block.index.first_reference(*key, section).is_some());
            dimensions.push(match present {
                Some(key) => self.dimension(key, section, series, places)?,
                None => DictionaryColumn {
                    key: Arc::from(name.as_str()),
                    dictionary: self.no_values.clone(),
                    indexes: vec![0; places.len()],
                },
            });
        }
        Ok(dimensions)
    }

    fn dimension(
        &mut self,
        key: usize,
        section: usize,
        series: &Range<u32>,
        places: &Places,
    ) -> Result<DictionaryColumn, StorageError> {
        let block = self.block;
        if self.keys.get(key).is_some_and(Option::is_none) {
            let summary = block.summary.keys.get(key);
            self.memory.reserve_key(summary)?;
            let name = summary.map(|key| key.name.clone()).unwrap_or_default();
            let dictionary = Arc::new(block.dictionary(key)?);
            self.keys[key] = Some(ScanKey { name, dictionary, column: block.references(key) });
        }
        let Some(Some(scan_key)) = self.keys.get_mut(key) else {
            return Err(block.pages.damaged(super::index::INDEX_PAGE, "a key is unknown"));
        };
        let mut indexes = Vec::new();
        block.read_references(&mut scan_key.column, key, section, series.clone(), &mut indexes)?;
        let (key, dictionary) = (scan_key.name.clone(), scan_key.dictionary.clone());
        Ok(DictionaryColumn { key, dictionary, indexes: places.pick(indexes) })
    }

    fn series_ids(
        &mut self,
        section: usize,
        series: &Range<u32>,
        places: &Places,
    ) -> Result<Vec<SeriesId>, StorageError> {
        let block = self.block;
        let mut all = Vec::new();
        if self.ids.is_none() && block.index.ids_page.is_none() {
            for key in &block.summary.keys {
                self.memory.reserve_key(Some(key))?;
            }
        }
        let ids = self.ids.get_or_insert_with(|| SeriesReader::new(block));
        if block.index.ids_page.is_none() {
            ids.read_dimensions(block, section, series)?;
        }
        ids.read_ids(block, section, series, &mut all)?;
        Ok(places.pick(all).into_iter().map(SeriesId).collect())
    }
}

/// Which series of a part a chunk has, as places among them.
enum Places {
    All(usize),
    Some(Vec<u32>),
}

impl Places {
    fn len(&self) -> usize {
        match self {
            Self::All(len) => *len,
            Self::Some(places) => places.len(),
        }
    }

    fn pick<T: Copy>(&self, of_part: Vec<T>) -> Vec<T> {
        match self {
            Self::All(_) => of_part,
            Self::Some(places) => places.iter().filter_map(|place| of_part.get(*place as usize).copied()).collect(),
        }
    }
}

/// What is left of a part.
#[derive(Default)]
struct Cut {
    places: Vec<u32>,
    runs: Vec<u32>,
    /// For each series its samples on the strip.
    ranges: Vec<Range<usize>>,
}

/// Takes from a part the series that do not pass and, where `time` is given, the samples outside of it.
fn cut_to_time(part: &Part<'_>, timestamps: &[i64], time: Option<TimeRange>) -> Cut {
    let mut cut = Cut::default();
    for (place, mut samples) in part.selected() {
        if let Some(time) = time {
            // Samples of a series ascend by time.
            let run = timestamps.get(samples.clone()).unwrap_or_default();
            let start = run.partition_point(|timestamp| *timestamp < time.start);
            let end = run.partition_point(|timestamp| *timestamp < time.end).max(start);
            samples = samples.start + start..samples.start + end;
        }
        if !samples.is_empty() {
            cut.places.push(place as u32);
            cut.runs.push(samples.len() as u32);
            cut.ranges.push(samples);
        }
    }
    cut
}

fn gather<T: Copy>(numbers: &[T], ranges: &[Range<usize>]) -> Vec<T> {
    let mut gathered = Vec::with_capacity(ranges.iter().map(ExactSizeIterator::len).sum());
    for range in ranges {
        gathered.extend_from_slice(numbers.get(range.clone()).unwrap_or_default());
    }
    gathered
}
