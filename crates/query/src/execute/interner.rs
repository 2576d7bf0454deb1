//! Numbers for strings.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use luminate_model::StringTable;
use luminate_storage::StorageError;

use super::memory::Reservation;

/// Bytes that a string costs beside its text: its end, its place in the index, and room to grow in both.
const OVERHEAD_BYTES: usize = 32;

/// Gives each distinct string a number, from 0.
#[derive(Default)]
pub(super) struct Interner {
    strings: StringTable,
    index: HashTable<u32>,
    hasher: RandomState,
}

impl Interner {
    /// The number of a string.
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`]
    pub(super) fn number(&mut self, string: &str, memory: &mut Reservation) -> Result<u32, StorageError> {
        let hash = self.hasher.hash_one(string);
        if let Some(&known) = self.index.find(hash, |at| self.strings.get(*at) == Some(string)) {
            return Ok(known);
        }
        if self.strings.text_bytes() + string.len() > u32::MAX as usize {
            // A table of strings ends there, whatever the query may hold.
            return Err(StorageError::MemoryLimit { limit_bytes: u64::from(u32::MAX) });
        }
        memory.grow(2 * string.len() + OVERHEAD_BYTES)?;
        let number = self.strings.push(string);
        let (strings, hasher) = (&self.strings, &self.hasher);
        self.index.insert_unique(hash, number, |at| hasher.hash_one(strings.get(*at).unwrap_or_default()));
        Ok(number)
    }

    /// The string with a number; empty where there is none.
    pub(super) fn string(&self, number: u32) -> &str {
        self.strings.get(number).unwrap_or_default()
    }
}
