//! The primitives of ClickHouse's Native format (client protocol version 0): one block of columns.

/// Bytes of a block, handed on in pieces.
#[derive(Default)]
pub(super) struct NativeBytes(Vec<u8>);

/// How values of a `LowCardinality` column name an entry of its dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexWidth {
    One,
    Two,
    Four,
}

/// The only version of how a `LowCardinality` column keeps its dictionaries.
const SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS: u64 = 1;
/// The block brings its dictionary itself, and nothing of an earlier one is used.
const HAS_ADDITIONAL_KEYS: u64 = 1 << 9;
const NEEDS_UPDATE: u64 = 1 << 10;

impl IndexWidth {
    /// The narrowest that names so many entries.
    pub(super) fn for_entries(entries: usize) -> Self {
        match entries {
            0..=0x100 => Self::One,
            0x101..=0x1_0000 => Self::Two,
            _ => Self::Four,
        }
    }
}

impl NativeBytes {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self, capacity: usize) -> Vec<u8> {
        std::mem::replace(&mut self.0, Vec::with_capacity(capacity))
    }

    /// The head of a block.
    pub(super) fn begin_block(&mut self, columns: usize, rows: usize) {
        self.varint(columns as u64);
        self.varint(rows as u64);
    }

    /// The head of a column.
    pub(super) fn begin_column(&mut self, name: &str, kind: &str) {
        self.string(name);
        self.string(kind);
    }

    /// What comes before all data of a column that is or holds a `LowCardinality`.
    pub(super) fn low_cardinality_version(&mut self) {
        self.u64(SHARED_DICTIONARIES_WITH_ADDITIONAL_KEYS);
    }

    /// The dictionary of a `LowCardinality(String)`, then come `values` indexes of the width that this returns. Not for a
    /// column without values, which has nothing here.
    pub(super) fn low_cardinality_dictionary(&mut self, dictionary: &[&str], values: usize) -> IndexWidth {
        let width = IndexWidth::for_entries(dictionary.len());
        let kind = match width {
            IndexWidth::One => 0,
            IndexWidth::Two => 1,
            IndexWidth::Four => 2,
        };
        self.u64(kind | HAS_ADDITIONAL_KEYS | NEEDS_UPDATE);
        self.u64(dictionary.len() as u64);
        dictionary.iter().for_each(|entry| self.string(entry));
        self.u64(values as u64);
        width
    }

    #[inline]
    pub(super) fn index(&mut self, width: IndexWidth, index: u32) {
        match width {
            IndexWidth::One => self.0.push(index as u8),
            IndexWidth::Two => self.0.extend_from_slice(&(index as u16).to_le_bytes()),
            IndexWidth::Four => self.0.extend_from_slice(&index.to_le_bytes()),
        }
    }

    #[inline]
    pub(super) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn f64(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub(super) fn string(&mut self, value: &str) {
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value.as_bytes());
    }

    #[inline]
    fn varint(&mut self, mut rest: u64) {
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }
}
