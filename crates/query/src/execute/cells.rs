//! Accumulators by group, or by group and bucket of time.

use hashbrown::HashMap;
use luminate_model::TimeRange;
use luminate_storage::{Step, StorageError};

use super::accumulate::{Accumulator, Run};
use super::memory::Reservation;

/// No cell is there yet.
const NONE: u32 = u32::MAX;

/// Up to so many places of groups times buckets are found by position, later ones by hash.
const POSITIONS: usize = 1 << 20;

/// Bytes of an entry in the hash table, with its control byte and room to grow.
const ENTRY_BYTES: usize = 32;

/// The accumulators of one worker.
pub(super) struct Cells<A> {
    cells: Vec<A>,
    /// With steps: for each cell its group and the number of its bucket. Else a cell is its group's.
    places: Vec<(u32, u32)>,
    buckets: Option<Buckets>,
}

/// Where the cells of groups and buckets are.
struct Buckets {
    step: Step,
    /// The start of the bucket with number 0.
    origin: i64,
    /// How many there can be.
    count: usize,
    positions: Vec<u32>,
    hashed: HashMap<(u32, u32), u32, foldhash::fast::RandomState>,
}

impl<A: Accumulator> Cells<A> {
    /// No cells; `step` cuts `time` into buckets.
    pub(super) fn new(step: Option<Step>, time: TimeRange) -> Self {
        let buckets = step.map(|step| Buckets {
            step,
            origin: step.bucket(time.start),
            count: step.buckets(time) as usize,
            positions: Vec::new(),
            hashed: HashMap::default(),
        });
        Self { cells: Vec::new(), places: Vec::new(), buckets }
    }

    /// Adds a run of one group.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    pub(super) fn add(&mut self, group: u32, run: Run<'_>, memory: &mut Reservation) -> Result<(), StorageError> {
        if self.buckets.is_none() {
            return self.group_cell(group, memory)?.add(run, memory);
        }
        let mut start = 0;
        while let Some((place, end)) = self.bucket_at(run.timestamps, start) {
            let part = Run {
                samples: end - start,
                timestamps: run.timestamps.get(start..end).unwrap_or_default(),
                values: run.values.get(start..end).unwrap_or_default(),
                identity: run.identity,
            };
            self.bucket_cell((group, place), memory)?.add(part, memory)?;
            start = end;
        }
        Ok(())
    }

    /// The number of the bucket of the timestamp at `start`, and where the timestamps leave it.
    fn bucket_at(&self, timestamps: &[i64], start: usize) -> Option<(u32, usize)> {
        let buckets = self.buckets.as_ref()?;
        let rest = timestamps.get(start..)?;
        let width = buckets.step.width.cast_unsigned();
        // No sample lies before the range asked for, so none before its first bucket.
        let place = rest.first()?.wrapping_sub(buckets.origin).cast_unsigned() / width;
        let first = buckets.origin.wrapping_add((place * width).cast_signed());
        let inside = rest.iter().take_while(|at| at.wrapping_sub(first).cast_unsigned() < width).count();
        Some((place as u32, start + inside))
    }

    fn group_cell(&mut self, group: u32, memory: &mut Reservation) -> Result<&mut A, StorageError> {
        let missing = (group as usize + 1).saturating_sub(self.cells.len());
        if missing > 0 {
            memory.reserve(&mut self.cells, missing)?;
            self.cells.resize_with(group as usize + 1, A::default);
        }
        self.cells.get_mut(group as usize).ok_or_else(no_cell)
    }

    fn bucket_cell(&mut self, place: (u32, u32), memory: &mut Reservation) -> Result<&mut A, StorageError> {
        let next = self.cells.len() as u32;
        let buckets = self.buckets.as_mut().ok_or_else(no_cell)?;
        let cell = buckets.cell(place, next, memory)?;
        if cell == next {
            memory.reserve(&mut self.cells, 1)?;
            memory.reserve(&mut self.places, 1)?;
            self.cells.push(A::default());
            self.places.push(place);
        }
        self.cells.get_mut(cell as usize).ok_or_else(no_cell)
    }

    /// Takes another worker's cells; `adopt` leads from its groups to the ones here.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`], and what `adopt` fails with.
    pub(super) fn merge(
        &mut self,
        other: Self,
        memory: &mut Reservation,
        mut adopt: impl FnMut(u32, &mut Reservation) -> Result<u32, StorageError>,
    ) -> Result<(), StorageError> {
        let mut places = other.places.into_iter();
        for (at, cell) in other.cells.into_iter().enumerate() {
            let place = places.next();
            if cell.is_empty() {
                continue;
            }
            let (group, bucket) = place.unwrap_or((at as u32, 0));
            let group = adopt(group, memory)?;
            let ours = match place {
                Some(_) => self.bucket_cell((group, bucket), memory)?,
                None => self.group_cell(group, memory)?,
            };
            ours.merge(cell, memory)?;
        }
        Ok(())
    }

    /// The cells that hold samples, by group and then by time.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    pub(super) fn by_group(&self, memory: &mut Reservation) -> Result<ByGroup<'_, A>, StorageError> {
        let mut order = Vec::new();
        memory.reserve(&mut order, self.cells.len())?;
        order.extend(
            (0..self.cells.len() as u32).filter(|at| self.cells.get(*at as usize).is_some_and(|c| !c.is_empty())),
        );
        if self.buckets.is_some() {
            order.sort_unstable_by_key(|at| self.places.get(*at as usize));
        }
        Ok(ByGroup { cells: self, order })
    }

    fn group_of(&self, cell: u32) -> u32 {
        if self.buckets.is_some() { self.places.get(cell as usize).map_or(0, |(group, _)| *group) } else { cell }
    }
}

impl Buckets {
    /// The cell at a place; `next` becomes it where there is none yet.
    fn cell(&mut self, place: (u32, u32), next: u32, memory: &mut Reservation) -> Result<u32, StorageError> {
        let (group, bucket) = place;
        let end = (group as usize + 1).saturating_mul(self.count);
        if end > POSITIONS {
            memory_for_entry(&mut self.hashed, memory)?;
            return Ok(*self.hashed.entry(place).or_insert(next));
        }
        if end > self.positions.len() {
            let missing = end - self.positions.len();
            memory.reserve(&mut self.positions, missing)?;
            self.positions.resize(end, NONE);
        }
        let position = self.positions.get_mut(end - self.count + bucket as usize).ok_or_else(no_cell)?;
        if *position == NONE {
            *position = next;
        }
        Ok(*position)
    }
}

fn memory_for_entry<K, V, S>(map: &mut HashMap<K, V, S>, memory: &mut Reservation) -> Result<(), StorageError>
where
    K: Eq + std::hash::Hash,
    S: std::hash::BuildHasher,
{
    if map.len() == map.capacity() {
        let more = map.capacity().max(64);
        memory.grow(more * ENTRY_BYTES)?;
        map.reserve(more);
    }
    Ok(())
}

fn no_cell() -> StorageError {
    StorageError::Damaged("a sample lies outside the time that was asked for".to_owned())
}

/// Cells in the order of groups and buckets.
pub(super) struct ByGroup<'a, A> {
    cells: &'a Cells<A>,
    order: Vec<u32>,
}

/// The cells of one group, as a range of [`ByGroup`]'s order.
#[derive(Clone, Copy)]
pub(super) struct GroupCells {
    pub(super) group: u32,
    start: usize,
    end: usize,
}

impl<A: Accumulator> ByGroup<'_, A> {
    /// The groups that have samples.
    pub(super) fn groups(&self) -> impl Iterator<Item = GroupCells> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            let group = self.cells.group_of(*self.order.get(start)?);
            let rest = self.order.get(start..).unwrap_or_default();
            let cells = rest.iter().take_while(|cell| self.cells.group_of(**cell) == group).count();
            let found = GroupCells { group, start, end: start + cells };
            start = found.end;
            Some(found)
        })
    }

    /// The accumulators of a group, by time.
    pub(super) fn accumulators(&self, group: GroupCells) -> impl Iterator<Item = &A> + '_ {
        let cells = self.order.get(group.start..group.end).unwrap_or_default();
        cells.iter().filter_map(|cell| self.cells.cells.get(*cell as usize))
    }

    /// With steps: the starts of a group's buckets and their accumulators, by time. Else nothing.
    pub(super) fn buckets(&self, group: GroupCells) -> impl Iterator<Item = (i64, &A)> + '_ {
        let cells = self.order.get(group.start..group.end).unwrap_or_default();
        let places =
            cells.iter().map(|cell| (self.cells.places.get(*cell as usize), self.cells.cells.get(*cell as usize)));
        places.filter_map(|(place, accumulator)| {
            let buckets = self.cells.buckets.as_ref()?;
            let (_, bucket) = place?;
            Some((buckets.origin + i64::from(*bucket) * buckets.step.width, accumulator?))
        })
    }
}
