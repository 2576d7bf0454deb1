//! The dimensions of series of a block, and their ids: stored, or computed again from the dimensions.

use std::ops::Range;
use std::sync::Arc;

use luminate_storage::StorageError;

use super::canonical::{CanonicalBytes, PrefixedStrings};
use super::open::{OpenBlock, SeriesColumn};

/// Reads dimensions and ids of series, some of one section at a time.
pub(super) struct SeriesReader<M = ()> {
    /// For each key of the block what was read of it.
    keys: Vec<Option<KeyReader<M>>>,
    /// The keys that the section at hand has, ascending by name.
    present: Vec<usize>,
    canonical: CanonicalBytes,
}

/// A key and all its values, each with a mark of the reader's user.
pub(super) struct KeyReader<M> {
    pub(super) name: Arc<str>,
    pub(super) mark: M,
    pub(super) values: PrefixedStrings<M>,
    /// For each series at hand 0 where the dimension is missing, else the value's place plus 1.
    pub(super) references: Vec<u32>,
    prefixed_name: PrefixedStrings,
    column: SeriesColumn,
}

impl<M: Clone + Default> SeriesReader<M> {
    pub(super) fn new(block: &OpenBlock<'_>) -> Self {
        let keys = block.summary.keys.iter().map(|_| None).collect();
        Self { keys, present: Vec::new(), canonical: CanonicalBytes::default() }
    }

    /// Reads the dimensions of some series of a section, given relative to its first.
    pub(super) fn read_dimensions(
        &mut self,
        block: &OpenBlock<'_>,
        section: usize,
        series: &Range<u32>,
    ) -> Result<(), StorageError> {
        self.present.clear();
        for (at, key) in self.keys.iter_mut().enumerate() {
            if block.index.first_reference(at, section).is_none() {
                continue;
            }
            let key = match key {
                Some(key) => key,
                None => key.insert(KeyReader::open(block, at)?),
            };
            block.read_references(&mut key.column, at, section, series.clone(), &mut key.references)?;
            self.present.push(at);
        }
        Ok(())
    }

    /// How many keys the section has whose dimensions were read last.
    pub(super) fn keys(&self) -> usize {
        self.present.len()
    }

    /// One of these keys, which ascend by name.
    pub(super) fn key_mut(&mut self, at: usize) -> Option<&mut KeyReader<M>> {
        self.keys.get_mut(*self.present.get(at)?)?.as_mut()
    }

    /// Reads the ids of some series of a section, given relative to its first. Where they are not stored, these must be the
    /// series whose dimensions were read last.
    pub(super) fn read_ids(
        &mut self,
        block: &OpenBlock<'_>,
        section: usize,
        series: &Range<u32>,
        out: &mut Vec<u128>,
    ) -> Result<(), StorageError> {
        if let Some(page) = block.index.ids_page {
            let first = block.index.series_of(section).start;
            return block.read_ids(page, first + series.start..first + series.end, out);
        }
        let metric = block.summary.sections.get(section).map_or("", |section| &section.metric);
        let mut canonical = std::mem::take(&mut self.canonical);
        canonical.truncate(0);
        canonical.push(&PrefixedStrings::<()>::one(metric), 0);
        let metric_bytes = canonical.len();
        let keys: Vec<&KeyReader<M>> =
            self.present.iter().filter_map(|at| self.keys.get(*at).and_then(Option::as_ref)).collect();
        out.clear();
        for place in 0..series.len() {
            canonical.truncate(metric_bytes);
            for key in &keys {
                if let Some(value) = key.references.get(place).and_then(|reference| reference.checked_sub(1)) {
                    canonical.push(&key.prefixed_name, 0);
                    canonical.push(&key.values, value);
                }
            }
            out.push(canonical.series_id());
        }
        self.canonical = canonical;
        Ok(())
    }
}

impl<M: Clone + Default> KeyReader<M> {
    fn open(block: &OpenBlock<'_>, key: usize) -> Result<Self, StorageError> {
        let name = block.summary.keys.get(key).map(|key| key.name.clone()).unwrap_or_default();
        Ok(Self {
            prefixed_name: PrefixedStrings::one(&name),
            name,
            mark: M::default(),
            values: PrefixedStrings::of(&block.dictionary(key)?),
            references: Vec::new(),
            column: block.references(key),
        })
    }
}
