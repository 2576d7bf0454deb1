//! Ids of series, computed again from their dimensions where a block does not store them.

use std::ops::Range;

use luminate_storage::StorageError;

use super::canonical::{CanonicalBytes, PrefixedStrings};
use super::open::{OpenBlock, SeriesColumn};

/// Computes ids of series of one block.
pub(super) struct SeriesIds {
    /// For each key of the block what was read of it.
    keys: Vec<Option<KeyBytes>>,
    canonical: CanonicalBytes,
}

/// A key as canonical bytes need it.
struct KeyBytes {
    key: PrefixedStrings,
    values: PrefixedStrings,
    column: SeriesColumn,
    references: Vec<u32>,
}

impl SeriesIds {
    pub(super) fn new(block: &OpenBlock<'_>) -> Self {
        Self { keys: block.summary.keys.iter().map(|_| None).collect(), canonical: CanonicalBytes::default() }
    }

    /// The ids of some series of a section, relative to its first.
    pub(super) fn read(
        &mut self,
        block: &OpenBlock<'_>,
        section: usize,
        series: Range<u32>,
        out: &mut Vec<u128>,
    ) -> Result<(), StorageError> {
        if let Some(page) = block.index.ids_page {
            let first = block.index.series_of(section).start;
            return block.read_ids(page, first + series.start..first + series.end, out);
        }
        let mut present: Vec<&KeyBytes> = Vec::new();
        for (at, key) in self.keys.iter_mut().enumerate() {
            if block.index.first_reference(at, section).is_none() {
                continue;
            }
            let key = match key {
                Some(key) => key,
                None => key.insert(KeyBytes::read(block, at)?),
            };
            block.read_references(&mut key.column, at, section, series.clone(), &mut key.references)?;
            present.push(key);
        }
        let metric = block.summary.sections.get(section).map_or("", |section| &section.metric);
        let canonical = &mut self.canonical;
        canonical.truncate(0);
        canonical.push(&PrefixedStrings::of(&[metric].into_iter().collect()), 0);
        let metric_bytes = canonical.len();
        out.clear();
        for place in 0..series.len() {
            canonical.truncate(metric_bytes);
            // Keys stand in the block in the order of their names, as in canonical bytes.
            for key in &present {
                if let Some(value) = key.references.get(place).and_then(|reference| reference.checked_sub(1)) {
                    canonical.push(&key.key, 0);
                    canonical.push(&key.values, value);
                }
            }
            out.push(canonical.series_id());
        }
        Ok(())
    }
}

impl KeyBytes {
    fn read(block: &OpenBlock<'_>, key: usize) -> Result<Self, StorageError> {
        let name = block.summary.keys.get(key).map_or("", |key| &key.name);
        let values = PrefixedStrings::of(&block.dictionary(key)?);
        Ok(Self {
            key: PrefixedStrings::of(&[name].into_iter().collect()),
            values,
            column: block.references(key),
            references: Vec::new(),
        })
    }
}
