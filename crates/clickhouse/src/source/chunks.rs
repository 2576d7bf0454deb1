//! Rows of a scan as chunks of columns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use luminate_model::{SeriesId, StringTable};
use luminate_storage::{DictionaryColumn, ScanChunk, ScanColumns, ScanRequest};

use super::row_binary::{RowBinary, Unreadable};

/// Gathers rows until a chunk is made of them. Rows whose dimensions are alike, as far as the scan asks for dimensions, form
/// one run.
pub(super) struct Gathered {
    metric: Arc<str>,
    columns: ScanColumns,
    /// The dimensions of each run, and where its samples stand.
    runs: HashMap<Pairs, usize>,
    samples: Vec<Vec<(i64, f64)>>,
    rows: usize,
}

/// Keys and values, ascending by key; none is empty.
type Pairs = Vec<(Box<str>, Box<str>)>;

impl Gathered {
    pub(super) fn new(request: &ScanRequest) -> Self {
        let metric = request.metric.as_str().into();
        let columns = request.columns.clone();
        Self { metric, columns, runs: HashMap::new(), samples: Vec::new(), rows: 0 }
    }

    /// How many rows are gathered.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Takes a row: timestamp, value, keys and values of dimensions.
    pub(super) fn take(&mut self, row: &mut RowBinary<'_>) -> Result<(), Unreadable> {
        let (timestamp, value) = (row.integer()?, row.number()?);
        let mut pairs = Pairs::new();
        for _ in 0..row.length()? {
            let (key, value) = (row.text()?, row.text()?);
            if !value.is_empty() {
                pairs.push((key.into(), value.into()));
            }
        }
        pairs.sort_unstable();
        let next = self.samples.len();
        let run = *self.runs.entry(pairs).or_insert(next);
        if run == next {
            self.samples.push(Vec::new());
        }
        if let Some(samples) = self.samples.get_mut(run) {
            samples.push((timestamp, value));
        }
        self.rows += 1;
        Ok(())
    }

    /// A chunk of the rows gathered so far, which are forgotten; `None` where there are none.
    pub(super) fn chunk(&mut self) -> Option<ScanChunk> {
        if std::mem::take(&mut self.rows) == 0 {
            return None;
        }
        let mut samples = std::mem::take(&mut self.samples);
        let mut runs: Vec<(Pairs, usize)> = self.runs.drain().collect();
        runs.sort_unstable_by_key(|(_, run)| *run);
        let series: Vec<Pairs> = runs.into_iter().map(|(pairs, _)| pairs).collect();
        for run in &mut samples {
            run.sort_by_key(|(timestamp, _)| *timestamp);
        }
        let asked = |wanted: bool| if wanted { usize::MAX } else { 0 };
        let flat = || samples.iter().flatten();
        let id_of = |pairs: &Pairs| SeriesId::of(&self.metric, pairs.iter().map(|(key, value)| (&**key, &**value)));
        Some(ScanChunk {
            metric: Arc::clone(&self.metric),
            runs: samples.iter().map(|run| run.len() as u32).collect(),
            dimensions: dimensions(&series, &self.columns),
            series_ids: series.iter().take(asked(self.columns.series_ids)).map(id_of).collect(),
            timestamps: flat().take(asked(self.columns.timestamps)).map(|(timestamp, _)| *timestamp).collect(),
            values: flat().take(asked(self.columns.values)).map(|(_, value)| *value).collect(),
        })
    }
}

fn dimensions(series: &[Pairs], columns: &ScanColumns) -> Vec<DictionaryColumn> {
    let keys: Vec<&str> = if columns.all_dimensions {
        let occurring: BTreeSet<&str> = series.iter().flatten().map(|(key, _)| &**key).collect();
        occurring.into_iter().collect()
    } else {
        columns.dimensions.iter().map(String::as_str).collect()
    };
    // One walk over the series for all columns together.
    let mut drafts: BTreeMap<&str, Draft<'_>> = keys.iter().map(|key| (*key, Draft::new(series.len()))).collect();
    for (at, pairs) in series.iter().enumerate() {
        for (key, value) in pairs {
            if let Some(draft) = drafts.get_mut(&**key) {
                draft.set(at, value);
            }
        }
    }
    let column = |key: &str| drafts.get(key).map(|draft| draft.column(key));
    keys.into_iter().filter_map(column).collect()
}

/// A column in the making.
struct Draft<'p> {
    values: Vec<&'p str>,
    places: HashMap<&'p str, u32>,
    indexes: Vec<u32>,
}

impl<'p> Draft<'p> {
    fn new(series: usize) -> Self {
        Self { values: Vec::new(), places: HashMap::new(), indexes: vec![0; series] }
    }

    fn set(&mut self, series: usize, value: &'p str) {
        let next = self.values.len() as u32 + 1;
        let index = *self.places.entry(value).or_insert(next);
        if index == next {
            self.values.push(value);
        }
        if let Some(place) = self.indexes.get_mut(series) {
            *place = index;
        }
    }

    fn column(&self, key: &str) -> DictionaryColumn {
        let dictionary: StringTable = self.values.iter().collect();
        DictionaryColumn { key: key.into(), dictionary: Arc::new(dictionary), indexes: self.indexes.clone() }
    }
}
