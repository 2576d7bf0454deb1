//! The columns that a scan yields.

use std::sync::Arc;

use luminate_model::{SeriesId, StringTable};

use crate::error::StorageError;

/// One dimension of a chunk's series, as indexes into a dictionary.
#[derive(Debug, Clone)]
pub struct DictionaryColumn {
    /// The dimension's key.
    pub key: Arc<str>,
    /// Distinct values; none is empty. It may hold values that no series of this chunk has.
    pub dictionary: Arc<StringTable>,
    /// For each series of the chunk 0 where the dimension is missing, else the value's index plus 1.
    pub indexes: Vec<u32>,
}

impl DictionaryColumn {
    /// The value of the series at `series`; `None` where it is missing.
    #[must_use]
    pub fn value(&self, series: usize) -> Option<&str> {
        let index = *self.indexes.get(series)?;
        self.dictionary.get(index.checked_sub(1)?)
    }
}

/// A part of a scan's result: samples that passed all conditions, series by series. A series may come in several chunks
/// (from several blocks, in any order of time), and twice in one chunk; within a run samples ascend by time.
#[derive(Debug, Clone, Default)]
pub struct ScanChunk {
    /// The metric's name.
    pub metric: Arc<str>,
    /// For each series of the chunk how many samples it has here; at least one. The columns of samples below are as long
    /// as the sum of all runs.
    pub runs: Vec<u32>,
    /// The dimensions that were asked for, in the order in which they were asked for; with
    /// [`ScanColumns::all_dimensions`](crate::ScanColumns::all_dimensions) all that occur, sorted by key.
    pub dimensions: Vec<DictionaryColumn>,
    /// For each series its id, where asked for; else empty.
    pub series_ids: Vec<SeriesId>,
    /// For each sample its timestamp in ms since 1970, where asked for; else empty.
    pub timestamps: Vec<i64>,
    /// For each sample its value, where asked for; else empty.
    pub values: Vec<f64>,
}

impl ScanChunk {
    /// How many samples the chunk has.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.runs.iter().map(|run| *run as usize).sum()
    }
}

/// What takes the chunks of a scan. Called from up to [`QueryContext::workers`](crate::QueryContext::workers) threads at
/// once, each with its own `worker` number from 0, so that every worker can build a part of its own without waiting.
pub trait ChunkConsumer: Send + Sync {
    /// Takes a chunk.
    ///
    /// # Errors
    /// Any [`StorageError`] ends the scan with it.
    fn consume(&self, worker: usize, chunk: ScanChunk) -> Result<(), StorageError>;
}
