//! The in-memory store: the oracle that the stores with a disk are compared with, and the store of tests.
//!
//! It keeps rows, in the order in which they came, and answers everything by looking at each of them. Nothing here is
//! clever, so that it can be believed. Only its [`scan`](SampleSource::scan) takes pains: it yields chunks in awkward
//! shapes, so that what executes over it is tested hard.

mod aggregate;
mod catalogue;
mod provenance;
mod scan;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use luminate_model::{Incarnation, Offset, Receipt, Sample, Source, TenantId};
use tokio::sync::watch;

use crate::batch::{Batch, IdempotencyEntry};
use crate::chunk::ChunkConsumer;
use crate::context::QueryContext;
use crate::error::StorageError;
use crate::request::{AggregateRequest, CatalogueRequest, Earliest, ScanRequest};
use crate::sink::{Erased, NotedErasure, Resume, SampleSink, Stored};
use crate::source::{AggregateAnswer, CatalogueEntry, CataloguePage, ReachError, SampleSource};

/// A store that forgets everything when it is dropped. Its memory is not bounded: it is for tests.
pub struct MemoryStore {
    state: RwLock<State>,
    /// Counts the changes of `state`, to wake who waits for a receipt.
    changes: watch::Sender<u64>,
}

/// What is stored.
#[derive(Default)]
struct State {
    rows: Vec<Row>,
    /// For each source everything before this offset is stored.
    next: BTreeMap<Source, Offset>,
    idempotency: BTreeMap<Source, Vec<IdempotencyEntry>>,
    /// For each erased tenant and source the offset before which nothing of the tenant is ever stored again.
    ledger: BTreeMap<(TenantId, Source), Offset>,
    /// Erasures that were noted and not finished, the last one of each tenant.
    unfinished: BTreeMap<TenantId, NotedErasure>,
    /// The incarnation that this store reads, where it was told.
    incarnation: Option<Incarnation>,
    /// Why writes are refused, where they are.
    refusal: Option<String>,
    closed: bool,
}

/// A stored sample and where it came from.
#[derive(Clone)]
struct Row {
    tenant: TenantId,
    source: Source,
    offset: Offset,
    retention_days: u16,
    sample: Sample,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store, which takes the sources of any incarnation.
    #[must_use]
    pub fn new() -> Self {
        Self { state: RwLock::default(), changes: watch::Sender::new(0) }
    }

    /// An empty store that reads the queue of one incarnation: receipts of others are refused from the beginning.
    #[must_use]
    pub fn of_incarnation(incarnation: Incarnation) -> Self {
        let store = Self::new();
        store.state_mut().incarnation = Some(incarnation);
        store
    }

    /// Makes every write fail as unavailable with this reason, or succeed again (`None`).
    pub fn refuse_writes(&self, reason: Option<&str>) {
        self.state_mut().refusal = reason.map(str::to_owned);
    }

    /// Wakes everything that waits for a receipt with [`ReachError::Closed`].
    pub fn close(&self) {
        self.state_mut().closed = true;
        self.announce();
    }

    /// All samples of a tenant, whatever their retention, in the order in which they were stored.
    #[must_use]
    pub fn samples(&self, tenant: &TenantId) -> Vec<Sample> {
        let state = self.state();
        state.rows.iter().filter(|row| row.tenant == *tenant).map(|row| row.sample.clone()).collect()
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// The samples that a request may see, in the order in which they were stored.
    #[must_use]
    pub fn select(&self, request: &ScanRequest) -> Vec<Sample> {
        self.visible(request).into_iter().map(|row| row.sample).collect()
    }

    /// The rows that a request may see.
    fn visible(&self, request: &ScanRequest) -> Vec<Row> {
        self.state().rows.iter().filter(|row| row.is_visible(request)).cloned().collect()
    }

    /// The names that `names_of` finds in the samples that a request may see, with the number of their samples.
    fn catalogue(&self, request: &CatalogueRequest, names_of: impl Fn(&Sample) -> Vec<&str>) -> CataloguePage {
        let state = self.state();
        let rows = state.rows.iter().filter(|row| row.is_catalogued(request));
        let mut counts = BTreeMap::<&str, u64>::new();
        for row in rows {
            for name in names_of(&row.sample) {
                *counts.entry(name).or_default() += 1;
            }
        }
        catalogue::page(
            request,
            counts.into_iter().map(|(name, samples)| CatalogueEntry { name: name.to_owned(), samples }),
        )
    }
}

impl State {
    /// Whether an erasure covers what `tenant` has at `offset`.
    fn is_erased(&self, tenant: &TenantId, source: Source, offset: Offset) -> bool {
        self.ledger.get(&(tenant.clone(), source)).is_some_and(|end| offset < *end)
    }

    fn store(&mut self, batch: Batch) -> Stored {
        let mut stored = Stored::default();
        let source = batch.source;
        for record in batch.records {
            if self.is_erased(&record.tenant, source, record.offset) {
                stored.erased += record.samples.len() as u64;
                continue;
            }
            stored.samples += record.samples.len() as u64;
            self.rows.extend(record.samples.rows().map(|row| Row {
                tenant: record.tenant.clone(),
                source,
                offset: record.offset,
                retention_days: row.retention_days(),
                sample: row.to_sample(),
            }));
        }
        let mut entries = self.idempotency.remove(&source).unwrap_or_default();
        entries.extend(batch.idempotency);
        entries.retain(|entry| {
            entry.append_time >= batch.forget_idempotency_before && !self.is_erased(&entry.tenant, source, entry.offset)
        });
        self.idempotency.insert(source, entries);
        self.next.insert(source, batch.next);
        stored
    }

    fn note_erasure(&mut self, erasure: &NotedErasure) {
        let mut ends = self.next.clone();
        ends.extend(erasure.up_to.iter().copied());
        for (source, end) in ends {
            let known = self.ledger.entry((erasure.tenant.clone(), source)).or_default();
            *known = end.max(*known);
        }
        self.unfinished.insert(erasure.tenant.clone(), erasure.clone());
    }

    /// Removes all that the ledger covers.
    fn remove_erased(&mut self) -> Erased {
        let before = self.rows.len();
        let ledger = &self.ledger;
        let covered = |tenant: &TenantId, source: Source, offset: Offset| {
            ledger.get(&(tenant.clone(), source)).is_some_and(|end| offset < *end)
        };
        self.rows.retain(|row| !covered(&row.tenant, row.source, row.offset));
        for (source, entries) in &mut self.idempotency {
            entries.retain(|entry| !covered(&entry.tenant, *source, entry.offset));
        }
        Erased { samples: (before - self.rows.len()) as u64 }
    }

    /// Whether everything before the receipt's offsets is stored.
    fn has_reached(&self, receipt: &Receipt) -> Result<bool, ReachError> {
        if self.closed {
            return Err(ReachError::Closed);
        }
        let reads = |incarnation: Incarnation| {
            let any = self.incarnation.is_none() && self.next.is_empty();
            any || self.incarnation == Some(incarnation)
                || self.next.keys().any(|known| known.incarnation == incarnation)
        };
        let mut reached = true;
        for (source, next) in receipt.places() {
            if !reads(source.incarnation) {
                return Err(ReachError::OtherIncarnation(*source));
            }
            reached &= self.next.get(source).copied().unwrap_or_default() >= *next;
        }
        Ok(reached)
    }
}

impl Row {
    fn is_visible(&self, request: &ScanRequest) -> bool {
        let sample = &self.sample;
        self.tenant == *request.tenant()
            && sample.metric == request.metric
            && request.time.contains(sample.timestamp)
            && sample.timestamp >= request.floor(self.retention_days)
            && request.filters.iter().all(|filter| filter.test.matches(sample.dimensions.value(&filter.key)))
    }

    fn is_catalogued(&self, request: &CatalogueRequest) -> bool {
        let sample = &self.sample;
        let floor = request.retention.floor(&sample.metric, self.retention_days, request.as_of);
        self.tenant == *request.tenant()
            && request.metric.as_ref().is_none_or(|metric| *metric == sample.metric)
            && request.time.contains(sample.timestamp)
            && sample.timestamp >= floor
    }
}

/// Leaves out all that a store may leave out, so that no consumer gets used to more. Returns how many.
fn leave_out_unwanted(rows: &mut Vec<Row>, wanted: Earliest) -> usize {
    let before = rows.len();
    let is_later = |timestamp: i64| wanted.after.is_none_or(|after| timestamp > after);
    let mut later: Vec<i64> = rows.iter().map(|row| row.sample.timestamp).filter(|at| is_later(*at)).collect();
    later.sort_unstable();
    if let Some(&last) = later.get(wanted.samples.saturating_sub(1)) {
        rows.retain(|row| row.sample.timestamp <= last);
    }
    before - rows.len()
}

#[async_trait]
impl SampleSink for MemoryStore {
    async fn resume(&self, source: &Source) -> Result<Resume, StorageError> {
        let state = self.state();
        let idempotency = state.idempotency.get(source).cloned().unwrap_or_default();
        Ok(Resume { next: state.next.get(source).copied(), idempotency })
    }

    async fn write(&self, batch: Batch) -> Result<Stored, StorageError> {
        let mut state = self.state_mut();
        if let Some(reason) = &state.refusal {
            return Err(StorageError::Unavailable(reason.clone()));
        }
        if let Some(&stored) = state.next.get(&batch.source) {
            if stored >= batch.next {
                return Ok(Stored { already: true, ..Stored::default() });
            }
            if stored != batch.first {
                let Batch { source, first, next, .. } = batch;
                return Err(StorageError::NotContiguous { place: source, first, next, stored });
            }
        }
        let stored = state.store(batch);
        drop(state);
        self.announce();
        Ok(stored)
    }

    async fn note_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        let mut state = self.state_mut();
        if let Some(reason) = &state.refusal {
            return Err(StorageError::Unavailable(reason.clone()));
        }
        state.note_erasure(erasure);
        Ok(())
    }

    async fn remove_erased(&self, _tenant: &TenantId) -> Result<Erased, StorageError> {
        Ok(self.state_mut().remove_erased())
    }

    async fn unfinished_erasures(&self) -> Result<Vec<NotedErasure>, StorageError> {
        Ok(self.state().unfinished.values().cloned().collect())
    }

    async fn finish_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        let unfinished = &mut self.state_mut().unfinished;
        if unfinished.get(&erasure.tenant) == Some(erasure) {
            unfinished.remove(&erasure.tenant);
        }
        Ok(())
    }

    fn writable(&self) -> Result<(), String> {
        self.state().refusal.clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl SampleSource for MemoryStore {
    async fn scan(
        &self,
        request: &ScanRequest,
        context: &QueryContext,
        consumer: Arc<dyn ChunkConsumer>,
    ) -> Result<(), StorageError> {
        let mut rows = self.visible(request);
        if let Some(wanted) = request.earliest {
            // What is left out was looked at as well.
            context.count_samples(leave_out_unwanted(&mut rows, wanted) as u64)?;
        }
        scan::scan(rows, request, context, consumer.as_ref()).await
    }

    async fn aggregate(
        &self,
        request: &AggregateRequest,
        context: &QueryContext,
    ) -> Result<Option<AggregateAnswer>, StorageError> {
        context.check()?;
        let rows = self.visible(&request.scan);
        context.count_samples(rows.len() as u64)?;
        Ok(Some(aggregate::evaluate(&rows, request)))
    }

    async fn metrics(&self, request: &CatalogueRequest, context: &QueryContext) -> Result<CataloguePage, StorageError> {
        context.check()?;
        let mut request = request.clone();
        request.metric = None;
        Ok(self.catalogue(&request, |sample| vec![sample.metric.as_str()]))
    }

    async fn dimension_keys(
        &self,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        context.check()?;
        Ok(self.catalogue(request, |sample| sample.dimensions.iter().map(|(key, _)| key).collect()))
    }

    async fn dimension_values(
        &self,
        key: &str,
        request: &CatalogueRequest,
        context: &QueryContext,
    ) -> Result<CataloguePage, StorageError> {
        context.check()?;
        Ok(self.catalogue(request, |sample| match sample.dimensions.value(key) {
            "" => Vec::new(),
            value => vec![value],
        }))
    }

    async fn watermark(&self) -> Result<Receipt, StorageError> {
        let mut watermark = Receipt::default();
        for (source, next) in &self.state().next {
            watermark.add(*source, *next);
        }
        Ok(watermark)
    }

    async fn reach(&self, receipt: &Receipt) -> Result<(), ReachError> {
        // Subscribed before the look, so that no change falls between look and wait.
        let mut changes = self.changes.subscribe();
        while !self.state().has_reached(receipt)? {
            changes.changed().await.map_err(|_| ReachError::Closed)?;
        }
        Ok(())
    }

    fn readable(&self) -> Result<(), String> {
        if self.state().closed { Err("the store is closed".to_owned()) } else { Ok(()) }
    }
}
