//! Numbers of distinct things.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashSet;
use luminate_storage::{AggregateFunction, StorageError};

use super::{Accumulator, Needs, Run};
use crate::execute::memory::Reservation;

/// For `distinct`: the ids that were met, 128 bits each. Ids are hashes already (a series' id, or the hash of a
/// dimension's value, which identifies it as a series' id does the series).
#[derive(Default)]
pub(in crate::execute) struct Distinct {
    ids: HashSet<u128, AlreadyHashed>,
    /// A group whose samples all lack the dimension counts 0, and is not empty.
    has_samples: bool,
}

impl Distinct {
    fn insert(&mut self, id: u128, memory: &mut Reservation) -> Result<(), StorageError> {
        if self.ids.len() == self.ids.capacity() && !self.ids.contains(&id) {
            let held = table_bytes(self.ids.capacity());
            memory.grow(table_bytes(self.ids.capacity() + 1))?;
            self.ids.reserve(1);
            memory.shrink(held);
        }
        self.ids.insert(id);
        Ok(())
    }
}

/// Bytes of a hash table that holds `ids`: a power of two of places, filled to seven eighths, an id and a byte each.
fn table_bytes(ids: usize) -> usize {
    if ids == 0 { 0 } else { (ids * 8).div_ceil(7).next_power_of_two().max(4) * (size_of::<u128>() + 1) }
}

impl Accumulator for Distinct {
    const NEEDS: Needs = Needs::IDENTITY;

    fn add(&mut self, run: Run<'_>, memory: &mut Reservation) -> Result<(), StorageError> {
        self.has_samples = true;
        run.identity.map_or(Ok(()), |id| self.insert(id, memory))
    }

    fn merge(&mut self, mut other: Self, memory: &mut Reservation) -> Result<(), StorageError> {
        if other.ids.len() > self.ids.len() {
            std::mem::swap(&mut self.ids, &mut other.ids);
        }
        self.has_samples |= other.has_samples;
        for id in &other.ids {
            self.insert(*id, memory)?;
        }
        memory.shrink(table_bytes(other.ids.capacity()));
        Ok(())
    }

    fn is_empty(&self) -> bool {
        !self.has_samples
    }

    fn value(parts: &[&Self], _: &AggregateFunction, memory: &mut Reservation) -> Result<f64, StorageError> {
        if let [only] = parts {
            return Ok(only.ids.len() as f64);
        }
        let mut all = Self::default();
        for id in parts.iter().flat_map(|part| &part.ids) {
            all.insert(*id, memory)?;
        }
        memory.shrink(table_bytes(all.ids.capacity()));
        Ok(all.ids.len() as f64)
    }
}

/// Takes half of a hash for the hash.
#[derive(Default, Clone, Copy)]
struct AlreadyHashed;

impl BuildHasher for AlreadyHashed {
    type Hasher = Half;

    fn build_hasher(&self) -> Half {
        Half(0)
    }
}

struct Half(u64);

impl Hasher for Half {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = id as u64;
    }
}
