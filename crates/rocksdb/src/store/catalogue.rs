//! What a tenant has: metrics, keys and values of dimensions, with the number of their samples. Exact: what summaries cannot
//! tell, because the time asked for or retention cuts through a block, is counted by a scan.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use luminate_storage::{
    CatalogueEntry, CataloguePage, CatalogueRequest, ChunkConsumer, DimensionFilter, DimensionTest, QueryContext,
    ScanChunk, ScanRequest, StorageError,
};

use super::Shared;
use super::directory::{Block, Directory};
use super::scan;
use crate::block::Section;

/// Which names are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    Metrics,
    Keys,
    /// The values of this key.
    Values(String),
}

/// The page of names that a request asks for.
pub(crate) async fn page(
    shared: &Arc<Shared>,
    names: Names,
    request: &CatalogueRequest,
    context: &QueryContext,
) -> Result<CataloguePage, StorageError> {
    let tally = Arc::new(Tally::new(request, context));
    let scans = plan(&shared.directory(), &names, request, &tally)?;
    for (metric, blocks) in scans {
        let consumer = Counter { names: names.clone(), metric: metric.clone(), tally: Arc::clone(&tally) };
        let scan = scan_request(&names, &metric, request);
        scan::scan_blocks(shared, blocks, &scan, context, Arc::new(consumer)).await?;
    }
    Ok(tally.page())
}

/// The blocks to be scanned for each metric. What summaries can tell is tallied at once.
fn plan(
    directory: &Directory,
    names: &Names,
    request: &CatalogueRequest,
    tally: &Tally,
) -> Result<BTreeMap<Arc<str>, Vec<Arc<Block>>>, StorageError> {
    let mut scans = BTreeMap::<Arc<str>, Vec<Arc<Block>>>::new();
    for block in directory.blocks_of(request.tenant(), request.time) {
        let sections = block.summary.sections_of_tenant(request.tenant());
        for of_metric in sections.chunk_by(|a, b| a.metric == b.metric) {
            let Some(metric) = of_metric.first().map(|section| &section.metric) else { continue };
            let wanted = match names {
                Names::Metrics => tally.wants(metric),
                Names::Keys | Names::Values(_) => request.metric.as_ref().is_none_or(|wanted| **wanted == **metric),
            };
            if !wanted || of_metric.iter().all(|section| shows(section, request) == Shows::Nothing) {
                continue;
            }
            let in_part = of_metric.iter().any(|section| shows(section, request) == Shows::Part);
            if *names == Names::Metrics && !in_part {
                let whole = of_metric.iter().filter(|section| shows(section, request) == Shows::All);
                tally.add(metric, whole.map(|section| u64::from(section.samples)).sum())?;
            } else {
                scans.entry(Arc::clone(metric)).or_default().push(Arc::clone(block));
            }
        }
    }
    Ok(scans)
}

/// How much of a section a request may see.
#[derive(PartialEq, Eq)]
enum Shows {
    Nothing,
    Part,
    All,
}

fn shows(section: &Section, request: &CatalogueRequest) -> Shows {
    let floor = request.retention.floor(&section.metric, section.retention_days, request.as_of);
    let start = request.time.start.max(floor);
    let (first, last) = (section.first_timestamp, section.last_timestamp);
    if last < start || first >= request.time.end {
        Shows::Nothing
    } else if first >= start && last < request.time.end {
        Shows::All
    } else {
        Shows::Part
    }
}

fn scan_request(names: &Names, metric: &str, request: &CatalogueRequest) -> ScanRequest {
    let mut scan = ScanRequest::new(request.tenant().clone(), metric, request.as_of);
    scan.time = request.time;
    scan.retention = request.retention.clone();
    match names {
        Names::Metrics => {}
        Names::Keys => scan.columns.all_dimensions = true,
        Names::Values(key) => {
            scan.columns.dimensions = vec![key.clone()];
            let test = match request.prefix.as_str() {
                "" => DimensionTest::Exists(true),
                prefix => DimensionTest::Prefix(prefix.to_owned()),
            };
            scan.filters = vec![DimensionFilter { key: key.clone(), test }];
        }
    }
    scan
}

/// Counts the samples of names in chunks.
struct Counter {
    names: Names,
    metric: Arc<str>,
    tally: Arc<Tally>,
}

impl ChunkConsumer for Counter {
    fn consume(&self, _worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        match &self.names {
            Names::Metrics => self.tally.add(&self.metric, chunk.samples() as u64),
            Names::Keys => chunk.dimensions.iter().try_for_each(|column| {
                let with_value = chunk.runs.iter().zip(&column.indexes).filter(|(_, index)| **index != 0);
                let samples = with_value.map(|(run, _)| u64::from(*run)).sum();
                if samples > 0 { self.tally.add(&column.key, samples) } else { Ok(()) }
            }),
            Names::Values(_) => chunk.dimensions.iter().try_for_each(|column| {
                let mut counts = vec![0_u64; column.dictionary.len() + 1];
                for (run, index) in chunk.runs.iter().zip(&column.indexes) {
                    if let Some(count) = counts.get_mut(*index as usize) {
                        *count += u64::from(*run);
                    }
                }
                let counted = column.dictionary.iter().zip(counts.into_iter().skip(1)).filter(|(_, count)| *count > 0);
                counted.into_iter().try_for_each(|(value, count)| self.tally.add(value, count))
            }),
        }
    }
}

/// Names and how many samples they have: the first of them, as many as are asked for and one more.
struct Tally {
    prefix: String,
    after: Option<String>,
    limit: usize,
    context: QueryContext,
    counts: Mutex<BTreeMap<String, u64>>,
}

/// What a name takes in memory beside its bytes, about.
const NAME_BYTES: u64 = 64;

impl Tally {
    fn new(request: &CatalogueRequest, context: &QueryContext) -> Self {
        Self {
            prefix: request.prefix.clone(),
            after: request.after.clone(),
            limit: request.limit,
            context: context.clone(),
            counts: Mutex::default(),
        }
    }

    /// Whether the page may hold this name.
    fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.prefix) && self.after.as_ref().is_none_or(|after| name > after.as_str())
    }

    /// Counts samples of a name. A name that is beyond the page is forgotten: it can never come back, since the names before
    /// it only become more.
    fn add(&self, name: &str, samples: u64) -> Result<(), StorageError> {
        if !self.wants(name) {
            return Ok(());
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(name) {
            *count += samples;
            return Ok(());
        }
        let is_full = counts.len() > self.limit;
        if is_full && counts.last_key_value().is_some_and(|(last, _)| last.as_str() < name) {
            return Ok(());
        }
        self.context.reserve_memory(name.len() as u64 + NAME_BYTES)?;
        counts.insert(name.to_owned(), samples);
        if is_full && let Some((forgotten, _)) = counts.pop_last() {
            self.context.release_memory(forgotten.len() as u64 + NAME_BYTES);
        }
        Ok(())
    }

    fn page(&self) -> CataloguePage {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = counts.iter().take(self.limit);
        let entries = entries.map(|(name, samples)| CatalogueEntry { name: name.clone(), samples: *samples });
        CataloguePage { entries: entries.collect(), truncated: counts.len() > self.limit }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let counts = self.counts.get_mut().unwrap_or_else(PoisonError::into_inner);
        let bytes = counts.keys().map(|name| name.len() as u64 + NAME_BYTES).sum();
        self.context.release_memory(bytes);
    }
}
