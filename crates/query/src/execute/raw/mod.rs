//! A page of raw samples from scans: each worker keeps the first of what it meets, then the parts are joined.
//!
//! A page is mostly a small part of what its request matches. So a first scan reads timestamps alone, to find where the
//! page ends, and a second one reads the page.

mod narrow;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use luminate_model::series::write_canonical_dimensions;
use luminate_model::{Dimensions, Sample, TimeRange};
use luminate_storage::{ChunkConsumer, Earliest, QueryContext, SampleSource, ScanChunk, ScanColumns, StorageError};

use super::accumulate::ordered::{double, number};
use super::memory::Reservation;
use super::{check_columns, on_blocking_thread};
use crate::answer::Rows;
use crate::cursor::{Cursor, Position};
use crate::plan::RawPlan;

/// Bytes that a kept sample costs beside the canonical bytes of its series.
const SAMPLE_BYTES: usize = 64;

/// Carries a query for raw samples out.
pub(super) async fn execute(
    plan: RawPlan,
    source: &dyn SampleSource,
    context: &QueryContext,
) -> Result<(Rows, bool), StorageError> {
    let mut page = None;
    if let Some(last) = narrow::last_timestamp(&plan, source, context).await? {
        let narrowed = TimeRange { start: plan.scan.time.start, end: last + 1 };
        let first = read(&plan, narrowed, source, context).await?;
        // Between the two scans some of it may have been erased or have expired: then the page ends later.
        page = first.is_full().then_some(first);
    }
    let page = match page {
        Some(page) => page,
        None => read(&plan, plan.scan.time, source, context).await?,
    };
    on_blocking_thread(move || {
        let (samples, cursor) = page.show(&plan)?;
        let truncated = cursor.is_some();
        Ok((Rows::Samples { samples, cursor }, truncated))
    })
    .await
}

async fn read(
    plan: &RawPlan,
    time: TimeRange,
    source: &dyn SampleSource,
    context: &QueryContext,
) -> Result<First, StorageError> {
    let page = Arc::new(Page::new(plan, context));
    let mut scan = plan.scan.clone();
    scan.time = time;
    scan.earliest = Some(earliest(plan));
    source.scan(&scan, context, Arc::clone(&page) as Arc<dyn ChunkConsumer>).await?;
    on_blocking_thread(move || page.join()).await
}

/// The samples that a page may be made of: one more than it shows tells whether there is more.
fn earliest(plan: &RawPlan) -> Earliest {
    Earliest { samples: plan.limit + 1, after: plan.after.as_ref().map(|position| position.timestamp) }
}

/// A sample's place in the order of raw samples.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Place {
    timestamp: i64,
    /// Canonical bytes of the dimensions.
    dimensions: Arc<[u8]>,
    /// The value as a number that is ordered as the values are.
    value: u64,
}

/// Takes the chunks of a scan.
struct Page {
    columns: ScanColumns,
    /// Where the page before ended.
    after: Option<Place>,
    workers: Vec<Mutex<First>>,
}

/// The first samples that one worker has met, after the place where the page begins.
struct First {
    /// How many are wanted.
    wanted: usize,
    /// How many samples there are at each place.
    places: BTreeMap<Place, u64>,
    kept: u64,
    /// Samples at the very place where the page before ended.
    at_beginning: u64,
    memory: Reservation,
}

impl Page {
    fn new(plan: &RawPlan, context: &QueryContext) -> Self {
        let after = plan.after.as_ref().map(|position| Place {
            timestamp: position.timestamp,
            dimensions: position.dimensions.as_slice().into(),
            value: number(position.value),
        });
        let first = || First {
            wanted: earliest(plan).samples,
            places: BTreeMap::new(),
            kept: 0,
            at_beginning: 0,
            memory: Reservation::new(context),
        };
        let workers = (0..context.workers()).map(|_| Mutex::new(first())).collect();
        Self { columns: plan.scan.columns.clone(), after, workers }
    }

    /// All workers' samples as one.
    fn join(&self) -> Result<First, StorageError> {
        let mut whole: Option<First> = None;
        for worker in &self.workers {
            let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
            let places = std::mem::take(&mut worker.places);
            let Some(whole) = &mut whole else {
                let memory = Reservation::of(&worker.memory);
                let memory = std::mem::replace(&mut worker.memory, memory);
                let First { wanted, kept, at_beginning, .. } = *worker;
                whole = Some(First { wanted, places, kept, at_beginning, memory });
                continue;
            };
            whole.at_beginning += worker.at_beginning;
            for (place, count) in places {
                whole.insert(place, count)?;
            }
        }
        whole.ok_or_else(|| StorageError::Damaged("a query had no workers".to_owned()))
    }
}

impl ChunkConsumer for Page {
    fn consume(&self, worker: usize, chunk: ScanChunk) -> Result<(), StorageError> {
        check_columns(&chunk, &self.columns)?;
        let first =
            self.workers.get(worker).ok_or_else(|| StorageError::Damaged(format!("there is no worker {worker}")))?;
        first.lock().unwrap_or_else(PoisonError::into_inner).consume(&chunk, self.after.as_ref())
    }
}

impl First {
    fn consume(&mut self, chunk: &ScanChunk, after: Option<&Place>) -> Result<(), StorageError> {
        let mut start = 0;
        for (series, run) in chunk.runs.iter().enumerate() {
            let end = start + *run as usize;
            let timestamps = chunk.timestamps.get(start..end).unwrap_or_default();
            let values = chunk.values.get(start..end).unwrap_or_default();
            start = end;
            // The canonical bytes are made only for series that have a sample to keep.
            let mut dimensions = None;
            for (&timestamp, &value) in timestamps.iter().zip(values) {
                if self.bound().is_some_and(|bound| timestamp > bound) {
                    break;
                }
                let dimensions = Arc::clone(dimensions.get_or_insert_with(|| canonical_dimensions(chunk, series)));
                let place = Place { timestamp, dimensions, value: number(value) };
                match after.map_or(std::cmp::Ordering::Greater, |after| place.cmp(after)) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => self.at_beginning += 1,
                    std::cmp::Ordering::Greater => self.insert(place, 1)?,
                }
            }
        }
        Ok(())
    }

    /// Whether there are as many samples as are wanted.
    fn is_full(&self) -> bool {
        self.kept >= self.wanted as u64
    }

    /// The timestamp beyond which no sample is wanted any more.
    fn bound(&self) -> Option<i64> {
        self.is_full().then(|| self.places.last_key_value()).flatten().map(|(place, _)| place.timestamp)
    }

    fn insert(&mut self, place: Place, count: u64) -> Result<(), StorageError> {
        self.kept += count;
        if let Some(known) = self.places.get_mut(&place) {
            *known += count;
        } else {
            self.memory.grow(SAMPLE_BYTES + place.dimensions.len())?;
            self.places.insert(place, count);
        }
        while let Some(last) = self.places.last_entry()
            && self.kept - *last.get() >= self.wanted as u64
        {
            let (place, count) = last.remove_entry();
            self.kept -= count;
            self.memory.shrink(SAMPLE_BYTES + place.dimensions.len());
        }
        Ok(())
    }

    /// The samples of the page, and the cursor of the next one where there is one.
    fn show(mut self, plan: &RawPlan) -> Result<(Vec<Sample>, Option<String>), StorageError> {
        let (mut samples, mut shown_at_last) = (Vec::new(), 0);
        let mut last = None;
        let mut more = false;
        for (place, count, shown_before) in self.rest(plan) {
            let room = (plan.limit - samples.len()) as u64;
            let shown = room.min(count);
            more |= shown < count;
            if shown > 0 {
                // Keys and values once more, in a tree of their own for each sample.
                self.memory.grow(shown as usize * (SAMPLE_BYTES + 4 * place.dimensions.len()))?;
                let sample = self.sample(&place, plan)?;
                samples.extend(std::iter::repeat_n(sample, shown as usize));
                shown_at_last = shown_before + shown;
                last = Some(place);
            }
        }
        let cursor = last.filter(|_| more).map(|last| {
            let dimensions = last.dimensions.to_vec();
            let (timestamp, value) = (last.timestamp, double(last.value));
            let position = Position { timestamp, dimensions, value, shown: shown_at_last };
            Cursor { fingerprint: plan.fingerprint, end: plan.scan.time.end, position }.encode()
        });
        Ok((samples, cursor))
    }

    /// Places with samples that were not shown yet: how many, and how many equal ones were shown before.
    fn rest(&mut self, plan: &RawPlan) -> Vec<(Place, u64, u64)> {
        let mut rest = Vec::new();
        if let Some(after) = &plan.after {
            let place = Place {
                timestamp: after.timestamp,
                dimensions: after.dimensions.as_slice().into(),
                value: number(after.value),
            };
            rest.push((place, self.at_beginning.saturating_sub(after.shown), after.shown));
        }
        rest.extend(std::mem::take(&mut self.places).into_iter().map(|(place, count)| (place, count, 0)));
        rest
    }

    fn sample(&self, place: &Place, plan: &RawPlan) -> Result<Sample, StorageError> {
        let damaged = || StorageError::Damaged("canonical bytes of a series cannot be read back".to_owned());
        Ok(Sample {
            metric: plan.scan.metric.clone(),
            timestamp: place.timestamp,
            value: double(place.value),
            dimensions: read_dimensions(&place.dimensions).ok_or_else(damaged)?,
        })
    }
}

fn canonical_dimensions(chunk: &ScanChunk, series: usize) -> Arc<[u8]> {
    let mut bytes = Vec::new();
    let columns = chunk.dimensions.iter();
    let dimensions = columns.filter_map(|column| Some((column.key.as_ref(), column.value(series)?)));
    write_canonical_dimensions(&mut bytes, dimensions);
    bytes.into()
}

/// Reads back what [`write_canonical_dimensions`] wrote.
fn read_dimensions(mut bytes: &[u8]) -> Option<Dimensions> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let (key, rest) = read_string(bytes)?;
        let (value, rest) = read_string(rest)?;
        pairs.push((key, value));
        bytes = rest;
    }
    Some(pairs.into_iter().collect())
}

fn read_string(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let mut len = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        len |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let (string, rest) = bytes.get(at + 1..)?.split_at_checked(len)?;
            return Some((std::str::from_utf8(string).ok()?, rest));
        }
    }
    None
}

#[cfg(test)]
mod tests;
