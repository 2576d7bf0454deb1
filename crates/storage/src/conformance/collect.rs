//! A consumer that holds every chunk to its contract, and gives back samples.

use std::sync::{Arc, Mutex};

use luminate_model::{Dimensions, Sample, SeriesId};

use super::ample;
use crate::chunk::{ChunkConsumer, ScanChunk};
use crate::error::StorageError;
use crate::request::{ScanColumns, ScanRequest};
use crate::source::SampleSource;

/// Keeps the samples of the chunks it takes.
pub struct Collecting {
    request: ScanRequest,
    workers: usize,
    samples: Mutex<Vec<Sample>>,
}

/// Everything that a request finds, ordered by timestamp, canonical dimensions and value.
///
/// # Panics
/// Where the scan fails, or a chunk breaks its contract.
pub async fn read(store: &dyn SampleSource, request: &ScanRequest) -> Vec<Sample> {
    let mut request = request.clone();
    request.columns = all_columns();
    let consumer = Arc::new(Collecting::new(&request, ample().workers()));
    store.scan(&request, &ample(), Arc::clone(&consumer) as Arc<dyn ChunkConsumer>).await.expect("a scan");
    in_order(consumer.take())
}

/// Samples ordered by timestamp, canonical dimensions and value.
#[must_use]
pub fn in_order(mut samples: Vec<Sample>) -> Vec<Sample> {
    samples.sort_by(|a, b| {
        let dimensions = |sample: &Sample| sample.dimensions.canonical_bytes();
        let by_place = a.timestamp.cmp(&b.timestamp).then_with(|| dimensions(a).cmp(&dimensions(b)));
        by_place.then(a.value.total_cmp(&b.value))
    });
    samples
}

/// Everything that a scan can yield.
#[must_use]
pub fn all_columns() -> ScanColumns {
    ScanColumns { dimensions: Vec::new(), all_dimensions: true, series_ids: true, timestamps: true, values: true }
}

impl Collecting {
    /// Takes the chunks of a request from so many workers.
    #[must_use]
    pub fn new(request: &ScanRequest, workers: usize) -> Self {
        Self { request: request.clone(), workers, samples: Mutex::default() }
    }

    /// The samples taken so far: columns that were not asked for have zeros and no dimensions.
    #[must_use]
    pub fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut self.samples.lock().unwrap())
    }

    fn check(&self, chunk: &ScanChunk) {
        let columns = &self.request.columns;
        assert_eq!(*chunk.metric, *self.request.metric);
        assert!(!chunk.runs.is_empty() && chunk.runs.iter().all(|run| *run > 0), "a chunk or series without samples");
        let length = |wanted: bool, whole: usize| if wanted { whole } else { 0 };
        assert_eq!(chunk.timestamps.len(), length(columns.timestamps, chunk.samples()), "timestamps");
        assert_eq!(chunk.values.len(), length(columns.values, chunk.samples()), "values");
        assert_eq!(chunk.series_ids.len(), length(columns.series_ids, chunk.runs.len()), "series ids");
        let keys: Vec<&str> = chunk.dimensions.iter().map(|column| &*column.key).collect();
        if columns.all_dimensions {
            assert!(keys.is_sorted_by(|a, b| a < b), "keys are not ascending: {keys:?}");
        } else {
            assert_eq!(keys, columns.dimensions);
        }
        for column in &chunk.dimensions {
            assert_eq!(column.indexes.len(), chunk.runs.len(), "indexes of {}", column.key);
            let values: std::collections::BTreeSet<&str> = column.dictionary.iter().collect();
            assert!(
                values.len() == column.dictionary.len() && !values.contains(""),
                "the dictionary of {}",
                column.key
            );
            assert!(column.indexes.iter().all(|index| *index as usize <= column.dictionary.len()));
        }
    }
}

impl ChunkConsumer for Collecting {
    fn consume(&self, worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        assert!(worker < self.workers, "worker {worker} of {}", self.workers);
        self.check(&chunk);
        let mut samples = self.samples.lock().unwrap();
        let mut start = 0;
        for (series, run) in chunk.runs.iter().enumerate() {
            let end = start + *run as usize;
            let dimensions: Dimensions =
                chunk.dimensions.iter().filter_map(|c| Some((c.key.to_string(), c.value(series)?))).collect();
            if let (Some(id), true) = (chunk.series_ids.get(series), self.request.columns.all_dimensions) {
                assert_eq!(*id, SeriesId::of(&chunk.metric, dimensions.iter()), "the id of {dimensions:?}");
            }
            let times = chunk.timestamps.get(start..end).unwrap_or_default();
            assert!(times.is_sorted(), "a run does not ascend by time");
            for at in start..end {
                samples.push(Sample {
                    metric: chunk.metric.to_string(),
                    timestamp: chunk.timestamps.get(at).copied().unwrap_or_default(),
                    value: chunk.values.get(at).copied().unwrap_or_default(),
                    dimensions: dimensions.clone(),
                });
            }
            start = end;
        }
        Ok(())
    }
}
