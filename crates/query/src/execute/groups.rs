//! Which group each series of a chunk belongs to.
//!
//! A string is hashed once for each value of a chunk's dictionary, not once a series: a table leads from the dictionary's
//! indexes to numbers of our own. With one dimension these are the numbers of the groups; with several, the tuples of them
//! are numbered again.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use luminate_model::StringTable;
use luminate_storage::{DictionaryColumn, ScanChunk, StorageError};

use super::interner::Interner;
use super::memory::Reservation;

/// No number was given yet.
const UNKNOWN: u32 = u32::MAX;

/// The groups that one worker has met.
pub(super) struct Groups {
    dimensions: Vec<Dimension>,
    /// With several dimensions: the groups' tuples one after another.
    tuples: Vec<u32>,
    index: HashTable<u32>,
    hasher: RandomState,
    /// For each series of the chunk at hand its tuple; reused.
    scratch: Vec<u32>,
}

/// The values of one dimension. Number 0 is the missing one, others are numbers of `values` plus 1.
#[derive(Default)]
struct Dimension {
    values: Interner,
    /// The dictionary that was met last, and where its indexes lead. Held, so that no other takes its place in memory
    /// while it is compared with.
    last: Option<(Arc<StringTable>, Vec<u32>)>,
}

impl Groups {
    /// Groups by so many dimensions, which are the first of each chunk.
    pub(super) fn by(dimensions: usize) -> Self {
        Self {
            dimensions: (0..dimensions).map(|_| Dimension::default()).collect(),
            tuples: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            scratch: Vec::new(),
        }
    }

    /// Finds the group of each series of a chunk; groups that were not met before get the next numbers. With one dimension
    /// or none a number may belong to no series.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    pub(super) fn assign(
        &mut self,
        chunk: &ScanChunk,
        groups: &mut Vec<u32>,
        memory: &mut Reservation,
    ) -> Result<(), StorageError> {
        groups.clear();
        memory.reserve(groups, chunk.runs.len())?;
        match self.dimensions.as_mut_slice() {
            [] => groups.resize(chunk.runs.len(), 0),
            [only] => only.numbers(column(chunk, 0)?, groups, 0, 1, memory)?,
            several => {
                let width = several.len();
                self.scratch.clear();
                memory.reserve(&mut self.scratch, chunk.runs.len() * width)?;
                self.scratch.resize(chunk.runs.len() * width, 0);
                for (at, dimension) in several.iter_mut().enumerate() {
                    dimension.numbers(column(chunk, at)?, &mut self.scratch, at, width, memory)?;
                }
                self.assign_tuples(groups, memory)?;
            }
        }
        Ok(())
    }

    fn assign_tuples(&mut self, groups: &mut Vec<u32>, memory: &mut Reservation) -> Result<(), StorageError> {
        let scratch = std::mem::take(&mut self.scratch);
        let mut previous: Option<(&[u32], u32)> = None;
        for tuple in scratch.chunks_exact(self.dimensions.len()) {
            let group = match previous {
                Some((known, group)) if known == tuple => group,
                _ => self.tuple(tuple, memory)?,
            };
            previous = Some((tuple, group));
            groups.push(group);
        }
        self.scratch = scratch;
        Ok(())
    }

    /// The group with a tuple.
    fn tuple(&mut self, tuple: &[u32], memory: &mut Reservation) -> Result<u32, StorageError> {
        let width = self.dimensions.len();
        let hash = self.hasher.hash_one(tuple);
        let tuples = &self.tuples;
        if let Some(&known) = self.index.find(hash, |group| part(tuples, *group, width) == tuple) {
            return Ok(known);
        }
        memory.reserve(&mut self.tuples, width)?;
        // The index: a number and a control byte each, and room to grow.
        memory.grow(16)?;
        let group = (self.tuples.len() / width) as u32;
        self.tuples.extend_from_slice(tuple);
        let (tuples, hasher) = (&self.tuples, &self.hasher);
        self.index.insert_unique(hash, group, |group| hasher.hash_one(part(tuples, *group, width)));
        Ok(group)
    }

    /// The number here of a group of another worker's.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    pub(super) fn adopt(&mut self, other: &Self, group: u32, memory: &mut Reservation) -> Result<u32, StorageError> {
        let mut tuple = std::mem::take(&mut self.scratch);
        tuple.clear();
        for (at, dimension) in self.dimensions.iter_mut().enumerate() {
            let number = match other.value(group, at) {
                Some(value) => dimension.values.number(value, memory)? + 1,
                None => 0,
            };
            tuple.push(number);
        }
        let adopted = match tuple.as_slice() {
            [] => 0,
            [only] => *only,
            several => self.tuple(several, memory)?,
        };
        self.scratch = tuple;
        Ok(adopted)
    }

    /// The value of a group's dimension; `None` where it is missing.
    fn value(&self, group: u32, dimension: usize) -> Option<&str> {
        let number = match self.dimensions.len() {
            1 => group,
            width => *part(&self.tuples, group, width).get(dimension)?,
        };
        Some(self.dimensions.get(dimension)?.values.string(number.checked_sub(1)?))
    }

    /// The values of a group's dimensions.
    pub(super) fn key(&self, group: u32) -> Vec<Option<String>> {
        (0..self.dimensions.len()).map(|dimension| self.value(group, dimension).map(str::to_owned)).collect()
    }

    /// Which of two groups comes first by its values; a missing one comes last in both directions.
    pub(super) fn compare(&self, a: u32, b: u32, descending: bool) -> Ordering {
        for dimension in 0..self.dimensions.len() {
            let ordering = match (self.value(a, dimension), self.value(b, dimension)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) if descending => b.cmp(a),
                (Some(a), Some(b)) => a.cmp(b),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

fn part(tuples: &[u32], group: u32, width: usize) -> &[u32] {
    let start = group as usize * width;
    tuples.get(start..start + width).unwrap_or_default()
}

pub(super) fn column(chunk: &ScanChunk, at: usize) -> Result<&DictionaryColumn, StorageError> {
    let missing = || StorageError::Damaged("a chunk lacks a dimension that was asked for".to_owned());
    chunk.dimensions.get(at).ok_or_else(missing)
}

impl Dimension {
    /// Writes the number of each series' value to `out`, `at` places from the beginning of each tuple of `width`.
    fn numbers(
        &mut self,
        column: &DictionaryColumn,
        out: &mut Vec<u32>,
        at: usize,
        width: usize,
        memory: &mut Reservation,
    ) -> Result<(), StorageError> {
        let is_known = matches!(&self.last, Some((dictionary, _)) if Arc::ptr_eq(dictionary, &column.dictionary));
        if !is_known {
            let mut numbers = self.last.take().map(|(_, numbers)| numbers).unwrap_or_default();
            numbers.clear();
            memory.reserve(&mut numbers, column.dictionary.len() + 1)?;
            numbers.resize(column.dictionary.len() + 1, UNKNOWN);
            if let Some(missing) = numbers.first_mut() {
                *missing = 0;
            }
            self.last = Some((Arc::clone(&column.dictionary), numbers));
        }
        let Some((dictionary, numbers)) = &mut self.last else { return Ok(()) };
        if width == 1 {
            out.resize(column.indexes.len(), 0);
        }
        for (index, place) in column.indexes.iter().zip(out.iter_mut().skip(at).step_by(width)) {
            let number = numbers.get_mut(*index as usize).ok_or_else(beyond_dictionary)?;
            if *number == UNKNOWN {
                let value = dictionary.get(*index - 1).ok_or_else(beyond_dictionary)?;
                *number = self.values.number(value, memory)? + 1;
            }
            *place = *number;
        }
        Ok(())
    }
}

fn beyond_dictionary() -> StorageError {
    StorageError::Damaged("a chunk's index lies beyond its dictionary".to_owned())
}
