//! Chunks in awkward shapes: many small ones, series split over chunks and occurring twice in one, neighbouring chunks
//! that share dictionaries, dictionaries in no order and with values that nothing has, workers in turn.
//!
//! Everything a consumer may rely on ([`ScanChunk`]) holds, and nothing else. The same rows give the same chunks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use luminate_model::{Dimensions, SeriesId, StringTable};

use super::Row;
use crate::chunk::{ChunkConsumer, DictionaryColumn, ScanChunk};
use crate::conformance::Dice;
use crate::context::QueryContext;
use crate::error::StorageError;
use crate::request::ScanRequest;

/// How many chunks share their dictionaries.
const BLOCK_CHUNKS: usize = 3;

/// A few samples of one series, ascending by time.
struct Piece {
    series: SeriesId,
    dimensions: Dimensions,
    samples: Vec<(i64, f64)>,
}

pub(super) async fn scan(
    rows: Vec<Row>,
    request: &ScanRequest,
    context: &QueryContext,
    consumer: &dyn ChunkConsumer,
) -> Result<(), StorageError> {
    let cancel_when_dropped = context.cancel_on_drop();
    let mut worker = 0;
    for block in blocks(rows) {
        context.counters().blocks_read.fetch_add(1, Ordering::Relaxed);
        for chunk in block_chunks(&block, request) {
            context.check()?;
            context.count_samples(chunk.samples() as u64)?;
            context.counters().series_read.fetch_add(chunk.runs.len() as u64, Ordering::Relaxed);
            context.counters().bytes_read.fetch_add(chunk.samples() as u64 * 16, Ordering::Relaxed);
            consumer.consume(worker % context.workers(), chunk)?;
            worker += 1;
        }
        // A place where a dropped query ends.
        tokio::task::yield_now().await;
    }
    cancel_when_dropped.disarm();
    Ok(())
}

/// The rows cut into pieces, the pieces shuffled and dealt to blocks of chunks.
fn blocks(rows: Vec<Row>) -> Vec<Vec<Vec<Piece>>> {
    let mut dice = Dice::new(rows.len() as u64);
    let mut pieces = pieces(rows, &mut dice);
    for at in (1..pieces.len()).rev() {
        pieces.swap(at, dice.below(at + 1));
    }
    let mut blocks = Vec::new();
    while !pieces.is_empty() {
        let mut block = Vec::new();
        while !pieces.is_empty() && block.len() < BLOCK_CHUNKS {
            let rest = pieces.len() - pieces.len().min(1 + dice.below(5));
            block.push(pieces.split_off(rest));
        }
        blocks.push(block);
    }
    blocks
}

fn pieces(rows: Vec<Row>, dice: &mut Dice) -> Vec<Piece> {
    let mut series = BTreeMap::<SeriesId, (Dimensions, Vec<(i64, f64)>)>::new();
    for row in rows {
        let id = row.sample.series_id();
        let (_, samples) = series.entry(id).or_insert_with(|| (row.sample.dimensions, Vec::new()));
        samples.push((row.sample.timestamp, row.sample.value));
    }
    let mut pieces = Vec::new();
    for (id, (dimensions, mut samples)) in series {
        // Cut before the sort, so that the pieces of a series overlap in time.
        while !samples.is_empty() {
            let rest = samples.len() - samples.len().min(1 + dice.below(4));
            let mut samples = samples.split_off(rest);
            samples.sort_by_key(|(timestamp, _)| *timestamp);
            pieces.push(Piece { series: id, dimensions: dimensions.clone(), samples });
        }
    }
    pieces
}

fn block_chunks(block: &[Vec<Piece>], request: &ScanRequest) -> Vec<ScanChunk> {
    let mut dictionaries = BTreeMap::<&str, Dictionary>::new();
    for piece in block.iter().flatten() {
        for (key, value) in piece.dimensions.iter() {
            dictionaries.entry(key).or_default().add(value);
        }
    }
    for key in &request.columns.dimensions {
        dictionaries.entry(key).or_default();
    }
    for dictionary in dictionaries.values_mut() {
        dictionary.add("a value that no series has");
    }
    let dictionaries: BTreeMap<&str, (Dictionary, Arc<StringTable>)> = dictionaries
        .into_iter()
        .map(|(key, dictionary)| {
            let table = Arc::new(dictionary.values.iter().collect());
            (key, (dictionary, table))
        })
        .collect();
    block.iter().map(|pieces| chunk(pieces, request, &dictionaries)).collect()
}

fn chunk(
    pieces: &[Piece],
    request: &ScanRequest,
    dictionaries: &BTreeMap<&str, (Dictionary, Arc<StringTable>)>,
) -> ScanChunk {
    let columns = &request.columns;
    let occurring: BTreeSet<&str> =
        pieces.iter().flat_map(|piece| piece.dimensions.iter().map(|(key, _)| key)).collect();
    let keys: Vec<&str> = if columns.all_dimensions {
        occurring.into_iter().collect()
    } else {
        columns.dimensions.iter().map(String::as_str).collect()
    };
    let column_of = |key: &str| {
        let (dictionary, table) = dictionaries.get(key)?;
        let indexes = pieces.iter().map(|piece| dictionary.index(piece.dimensions.value(key))).collect();
        Some(DictionaryColumn { key: key.into(), dictionary: Arc::clone(table), indexes })
    };
    let samples = || pieces.iter().flat_map(|piece| piece.samples.iter());
    let asked = |wanted: bool| if wanted { usize::MAX } else { 0 };
    ScanChunk {
        metric: request.metric.as_str().into(),
        runs: pieces.iter().map(|piece| piece.samples.len() as u32).collect(),
        dimensions: keys.into_iter().filter_map(column_of).collect(),
        series_ids: pieces.iter().map(|piece| piece.series).take(asked(columns.series_ids)).collect(),
        timestamps: samples().map(|(timestamp, _)| *timestamp).take(asked(columns.timestamps)).collect(),
        values: samples().map(|(_, value)| *value).take(asked(columns.values)).collect(),
    }
}

/// Distinct values in the order in which they came.
#[derive(Default)]
struct Dictionary {
    values: Vec<String>,
}

impl Dictionary {
    fn add(&mut self, value: &str) {
        if !self.values.iter().any(|known| known == value) {
            self.values.push(value.to_owned());
        }
    }

    /// 0 for the empty string, else the value's index plus 1.
    fn index(&self, value: &str) -> u32 {
        self.values.iter().position(|known| known == value).map_or(0, |at| at as u32 + 1)
    }
}
