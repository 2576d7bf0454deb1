//! Aggregates from a scan: each worker accumulates for itself, then the parts are joined.

use std::sync::{Arc, Mutex, PoisonError};

use luminate_model::StringTable;
use luminate_storage::{
    AggregateAnswer, AggregateFunction, AggregateRequest, ChunkConsumer, QueryContext, SampleSource, ScanChunk,
    ScanColumns, ScanRequest, StorageError,
};
use xxhash_rust::xxh3::xxh3_128;

use super::accumulate::{Accumulator, Count, Deviation, Distinct, First, Last, Max, Min, Percentile, Run, Sum};
use super::cells::Cells;
use super::finish::finish;
use super::groups::{Groups, column};
use super::memory::Reservation;
use super::{check_columns, on_blocking_thread};
use crate::answer::Rows;
use crate::plan::AggregatePlan;

/// Carries an aggregate out, inside the store where the store can.
pub(super) async fn execute(
    plan: AggregatePlan,
    source: &dyn SampleSource,
    context: &QueryContext,
) -> Result<(Rows, bool), StorageError> {
    let AggregatePlan { request, values } = plan;
    let (keys, stepped) = (request.group_by.clone(), request.step.is_some());
    let answer = match source.aggregate(&request, context).await? {
        Some(answer) => answer,
        None => scan(request, values, source, context).await?,
    };
    // A store that computed by itself knows nothing of this limit.
    if answer.groups.iter().map(|group| group.steps.len()).sum::<usize>() > values {
        return Err(StorageError::RowsLimit { limit: values as u64 });
    }
    Ok((Rows::Groups { keys, stepped, groups: answer.groups }, answer.truncated))
}

async fn scan(
    request: AggregateRequest,
    values: usize,
    source: &dyn SampleSource,
    context: &QueryContext,
) -> Result<AggregateAnswer, StorageError> {
    match request.function {
        AggregateFunction::Avg | AggregateFunction::Sum => run::<Sum>(request, values, source, context).await,
        AggregateFunction::Min => run::<Min>(request, values, source, context).await,
        AggregateFunction::Max => run::<Max>(request, values, source, context).await,
        AggregateFunction::Count => run::<Count>(request, values, source, context).await,
        AggregateFunction::Stddev => run::<Deviation>(request, values, source, context).await,
        AggregateFunction::Distinct { .. } => run::<Distinct>(request, values, source, context).await,
        AggregateFunction::First => run::<First>(request, values, source, context).await,
        AggregateFunction::Last => run::<Last>(request, values, source, context).await,
        AggregateFunction::Percentile(_) => run::<Percentile>(request, values, source, context).await,
    }
}

async fn run<A: Accumulator>(
    request: AggregateRequest,
    values: usize,
    source: &dyn SampleSource,
    context: &QueryContext,
) -> Result<AggregateAnswer, StorageError> {
    let scan = scan_request::<A>(&request);
    let consumer = Arc::new(Aggregation::<A>::new(request, scan.columns.clone(), context));
    source.scan(&scan, context, Arc::clone(&consumer) as Arc<dyn ChunkConsumer>).await?;
    let context = context.clone();
    on_blocking_thread(move || {
        let whole = consumer.join(&context)?;
        finish(whole, &consumer.request, values, &context)
    })
    .await
}

/// What the scan must yield: the dimensions of the groups, then the one whose values are counted.
fn scan_request<A: Accumulator>(request: &AggregateRequest) -> ScanRequest {
    let mut scan = request.scan.clone();
    let mut dimensions = request.group_by.clone();
    let counted = counted_dimension(request);
    dimensions.extend(counted.map(str::to_owned));
    scan.columns = ScanColumns {
        dimensions,
        all_dimensions: false,
        series_ids: A::NEEDS.identity && counted.is_none(),
        timestamps: A::NEEDS.timestamps || request.step.is_some(),
        values: A::NEEDS.values,
    };
    scan
}

fn counted_dimension(request: &AggregateRequest) -> Option<&str> {
    match &request.function {
        AggregateFunction::Distinct { of } => of.as_deref(),
        _ => None,
    }
}

/// Takes the chunks of a scan.
struct Aggregation<A> {
    request: AggregateRequest,
    columns: ScanColumns,
    workers: Vec<Mutex<Option<Part<A>>>>,
}

/// What one worker has accumulated.
pub(super) struct Part<A> {
    pub(super) groups: Groups,
    pub(super) cells: Cells<A>,
    pub(super) memory: Reservation,
    /// For each series of the chunk at hand its group; reused.
    series_groups: Vec<u32>,
    identities: Identities,
}

impl<A: Accumulator> Aggregation<A> {
    fn new(request: AggregateRequest, columns: ScanColumns, context: &QueryContext) -> Self {
        let part = || Part {
            groups: Groups::by(request.group_by.len()),
            cells: Cells::new(request.step, request.scan.time),
            memory: Reservation::new(context),
            series_groups: Vec::new(),
            identities: Identities::default(),
        };
        let workers = (0..context.workers()).map(|_| Mutex::new(Some(part()))).collect();
        Self { request, columns, workers }
    }

    /// All workers' parts as one.
    fn join(&self, context: &QueryContext) -> Result<Part<A>, StorageError> {
        let parts = self.workers.iter().filter_map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).take());
        let joined = parts.map(Ok).reduce(|whole, part| {
            let mut whole = whole?;
            whole.merge(part?, context)?;
            Ok(whole)
        });
        joined.unwrap_or_else(|| Err(StorageError::Damaged("a query had no workers".to_owned())))
    }
}

impl<A: Accumulator> ChunkConsumer for Aggregation<A> {
    fn consume(&self, worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        check_columns(&chunk, &self.columns)?;
        let part =
            self.workers.get(worker).ok_or_else(|| StorageError::Damaged(format!("there is no worker {worker}")))?;
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        part.as_mut().ok_or(StorageError::Cancelled)?.consume(&chunk, &self.request)
    }
}

impl<A: Accumulator> Part<A> {
    fn consume(&mut self, chunk: &ScanChunk, request: &AggregateRequest) -> Result<(), StorageError> {
        let mut groups = std::mem::take(&mut self.series_groups);
        self.groups.assign(chunk, &mut groups, &mut self.memory)?;
        if A::NEEDS.identity {
            let counted = counted_dimension(request).map(|_| request.group_by.len());
            self.identities.find(chunk, counted, &mut self.memory)?;
        }
        let mut series = 0;
        let mut start = 0;
        while let Some(&group) = groups.get(series) {
            // Neighbouring series of one group are one run, except for functions that look at series.
            let first = series;
            let mut end = start + run_length(chunk, series);
            series += 1;
            while !A::NEEDS.single_series && groups.get(series) == Some(&group) {
                end += run_length(chunk, series);
                series += 1;
            }
            let run = Run {
                samples: end - start,
                timestamps: chunk.timestamps.get(start..end).unwrap_or_default(),
                values: chunk.values.get(start..end).unwrap_or_default(),
                identity: self.identities.of_series(first),
            };
            self.cells.add(group, run, &mut self.memory)?;
            start = end;
        }
        self.series_groups = groups;
        Ok(())
    }

    fn merge(&mut self, other: Self, context: &QueryContext) -> Result<(), StorageError> {
        let Self { groups, cells, memory, .. } = self;
        memory.absorb(other.memory);
        let mut merged = 0_u32;
        cells.merge(other.cells, memory, |group, memory| {
            merged += 1;
            if merged.is_multiple_of(1 << 14) {
                context.check()?;
            }
            groups.adopt(&other.groups, group, memory)
        })
    }
}

fn run_length(chunk: &ScanChunk, series: usize) -> usize {
    chunk.runs.get(series).map_or(0, |run| *run as usize)
}

/// What [`Distinct`] counts, for each series of a chunk.
#[derive(Default)]
struct Identities {
    of_series: Vec<Option<u128>>,
    /// The dictionary that was met last, and the hashes of its values where they were asked for.
    last: Option<(Arc<StringTable>, Vec<Option<u128>>)>,
}

impl Identities {
    /// Finds the identities: of series, or of the values of the dimension at `counted`.
    fn find(
        &mut self,
        chunk: &ScanChunk,
        counted: Option<usize>,
        memory: &mut Reservation,
    ) -> Result<(), StorageError> {
        self.of_series.clear();
        memory.reserve(&mut self.of_series, chunk.runs.len())?;
        let Some(counted) = counted else {
            self.of_series.extend(chunk.series_ids.iter().map(|id| Some(id.0)));
            return Ok(());
        };
        let column = column(chunk, counted)?;
        let is_known = matches!(&self.last, Some((dictionary, _)) if Arc::ptr_eq(dictionary, &column.dictionary));
        if !is_known {
            let mut hashes = self.last.take().map(|(_, hashes)| hashes).unwrap_or_default();
            hashes.clear();
            memory.reserve(&mut hashes, column.dictionary.len())?;
            hashes.resize(column.dictionary.len(), None);
            self.last = Some((Arc::clone(&column.dictionary), hashes));
        }
        let Some((dictionary, hashes)) = &mut self.last else { return Ok(()) };
        for index in &column.indexes {
            let identity = index.checked_sub(1).and_then(|at| {
                let known = hashes.get_mut(at as usize)?;
                Some(*known.get_or_insert_with(|| xxh3_128(dictionary.get(at).unwrap_or_default().as_bytes())))
            });
            self.of_series.push(identity);
        }
        Ok(())
    }

    fn of_series(&self, series: usize) -> Option<u128> {
        self.of_series.get(series).copied().flatten()
    }
}
