//! A block while it is collected: sections, series and samples in their final order, dimension values in the order in
//! which they came.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use luminate_model::{StringTable, TenantId};

use super::summary::{BlockKind, MAX_BLOCK_SAMPLES};

/// Most references of a block: series times the keys of their sections. Keeps blocks of very many keys small.
const MOST_REFERENCES: u64 = 8 << 20;
/// Most bytes of distinct values of a block.
pub(super) const MOST_TEXT_BYTES: usize = 16 << 20;

/// A block that samples are appended to, section by section, series by series.
pub(super) struct BlockDraft {
    pub(super) kind: BlockKind,
    pub(super) sections: Vec<SectionDraft>,
    /// For each series its samples.
    pub(super) runs: Vec<u32>,
    /// For each series its id; only for arrival blocks.
    pub(super) ids: Vec<u128>,
    /// The dimensions of all series one after another: keys and values as numbers of this draft.
    pub(super) dimensions: Vec<(u32, u32)>,
    /// For each series the end of its dimensions.
    pub(super) dimension_ends: Vec<u32>,
    pub(super) timestamps: Vec<i64>,
    pub(super) values: Vec<f64>,
    pub(super) keys: Vec<KeyDraft>,
    key_numbers: HashMap<Arc<str>, u32, RandomState>,
    references: u64,
    text_bytes: usize,
}

/// A section that samples are appended to.
pub(super) struct SectionDraft {
    pub(super) tenant: TenantId,
    pub(super) metric: Arc<str>,
    pub(super) retention_days: u16,
    pub(super) first_series: u32,
    pub(super) first_sample: u32,
    /// The keys that occur.
    pub(super) keys: Vec<u32>,
}

/// A key and values of it.
pub(super) struct KeyDraft {
    pub(super) name: Arc<str>,
    /// Values in the order in which they came, some perhaps more than once. Stays empty where numbers of values are those
    /// of a batch.
    pub(super) table: StringTable,
    /// The number of sections up to the last one that has this key; 0 where none has.
    pub(super) last_section: usize,
}

impl BlockDraft {
    pub(super) fn new(kind: BlockKind) -> Self {
        Self {
            kind,
            sections: Vec::new(),
            runs: Vec::new(),
            ids: Vec::new(),
            dimensions: Vec::new(),
            dimension_ends: Vec::new(),
            timestamps: Vec::new(),
            values: Vec::new(),
            keys: Vec::new(),
            key_numbers: HashMap::with_hasher(RandomState::default()),
            references: 0,
            text_bytes: 0,
        }
    }

    /// Number of samples.
    pub(super) fn samples(&self) -> u32 {
        self.timestamps.len() as u32
    }

    /// Whether the block should end before the next series.
    pub(super) fn is_full(&self, block_samples: u32) -> bool {
        self.samples() >= block_samples || self.references >= MOST_REFERENCES || self.text_bytes >= MOST_TEXT_BYTES
    }

    /// How many more samples one series may have before the block must end inside of it.
    pub(super) fn room(&self, block_samples: u32) -> usize {
        let most = block_samples.saturating_mul(2).min(MAX_BLOCK_SAMPLES);
        most.saturating_sub(self.samples()) as usize
    }

    /// Memory held, in bytes, about.
    pub(super) fn memory_bytes(&self) -> usize {
        let samples = self.timestamps.len() * 16;
        let series = self.runs.len() * 8 + self.ids.len() * 16 + self.dimensions.len() * 8;
        samples + series + self.text_bytes + self.keys.iter().map(|key| key.table.len() * 10).sum::<usize>()
    }

    /// Begins the next section.
    pub(super) fn begin_section(&mut self, tenant: TenantId, metric: Arc<str>, retention_days: u16) {
        let (first_series, first_sample) = (self.runs.len() as u32, self.samples());
        self.sections.push(SectionDraft {
            tenant,
            metric,
            retention_days,
            first_series,
            first_sample,
            keys: Vec::new(),
        });
    }

    /// Begins the next series of the section, with its dimensions: keys and values as numbers of this draft.
    pub(super) fn begin_series(&mut self, id: u128, dimensions: &[(u32, u32)]) {
        self.runs.push(0);
        if self.kind == BlockKind::Arrival {
            self.ids.push(id);
        }
        self.dimensions.extend_from_slice(dimensions);
        self.dimension_ends.push(self.dimensions.len() as u32);
        let sections = self.sections.len();
        let Some(section) = self.sections.last_mut() else { return };
        for (key, _) in dimensions {
            let last_section = &mut self.keys[*key as usize].last_section;
            if *last_section != sections {
                *last_section = sections;
                section.keys.push(*key);
                self.references += self.runs.len() as u64 - 1 - u64::from(section.first_series);
            }
        }
        self.references += section.keys.len() as u64;
    }

    /// The number of a key in this draft.
    pub(super) fn key_number(&mut self, name: &Arc<str>) -> u32 {
        if let Some(number) = self.key_numbers.get(name) {
            return *number;
        }
        let number = self.keys.len() as u32;
        self.keys.push(KeyDraft { name: name.clone(), table: StringTable::new(), last_section: 0 });
        self.key_numbers.insert(name.clone(), number);
        number
    }

    /// Gives a value of a key a number in this draft.
    pub(super) fn push_value(&mut self, key: u32, value: &str) -> u32 {
        self.text_bytes += value.len();
        self.keys.get_mut(key as usize).map_or(0, |key| key.table.push(value))
    }

    /// Accounts for a value that stays outside of this draft.
    pub(super) fn count_text(&mut self, value: &str) {
        self.text_bytes += value.len();
    }

    /// Takes the values of each key out of the draft.
    pub(super) fn take_tables(&mut self) -> Vec<StringTable> {
        self.keys.iter_mut().map(|key| std::mem::take(&mut key.table)).collect()
    }

    /// Gives every value of a dimension another number: `number_of` its key and the one before.
    pub(super) fn renumber(&mut self, number_of: impl Fn(u32, u32) -> u32) {
        for (key, value) in &mut self.dimensions {
            *value = number_of(*key, *value);
        }
    }

    /// Appends samples to the series.
    pub(super) fn push_samples(&mut self, timestamps: &[i64], values: &[f64]) {
        self.timestamps.extend_from_slice(timestamps);
        self.values.extend_from_slice(values);
        if let Some(run) = self.runs.last_mut() {
            *run += timestamps.len() as u32;
        }
    }

    /// Appends a sample to the series.
    pub(super) fn push_sample(&mut self, timestamp: i64, value: f64) {
        self.timestamps.push(timestamp);
        self.values.push(value);
        if let Some(run) = self.runs.last_mut() {
            *run += 1;
        }
    }

    /// Forgets everything and keeps the memory of columns.
    pub(super) fn clear(&mut self) {
        self.sections.clear();
        self.runs.clear();
        self.ids.clear();
        self.dimensions.clear();
        self.dimension_ends.clear();
        self.timestamps.clear();
        self.values.clear();
        self.keys.clear();
        self.key_numbers.clear();
        self.references = 0;
        self.text_bytes = 0;
    }
}
