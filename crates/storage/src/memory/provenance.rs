//! What the store in memory holds, by where it came from. It keeps the offset of each record, so that each record is a batch of
//! its own here.

use std::collections::BTreeMap;

use async_trait::async_trait;
use luminate_model::time::utc_day;
use luminate_model::{Offset, Source, TenantId};

use super::{MemoryStore, Row};
use crate::error::StorageError;
use crate::provenance::{ProvenanceScope, ProvenanceSource, RowsDigest, StoredRow, StoredRows, row_fingerprint};

/// The name of the only shard.
const SHARD: &str = "memory";

impl MemoryStore {
    /// Batch, day and fingerprint of each row of a scope.
    fn fingerprints(&self, scope: &ProvenanceScope) -> Vec<(Offset, i64, u64)> {
        let mut scratch = Vec::new();
        let state = self.state();
        let rows = state.rows.iter().filter(|row| row.is_within(scope));
        rows.map(|row| {
            let sample = &row.sample;
            let measured = (sample.timestamp, sample.value);
            let fingerprint =
                row_fingerprint(&mut scratch, &row.tenant, &sample.metric, measured, sample.dimensions.iter());
            (row.offset, utc_day(sample.timestamp), fingerprint)
        })
        .collect()
    }

    /// Removes the rows of a record, as a fault would, for tests; returns how many there were.
    pub fn lose(&self, source: Source, offset: Offset) -> usize {
        let mut state = self.state_mut();
        let before = state.rows.len();
        state.rows.retain(|row| (row.source, row.offset) != (source, offset));
        before - state.rows.len()
    }

    /// Stores the rows of a record a second time, as those of the record at `to`, as a fault would, for tests.
    pub fn repeat(&self, source: Source, offset: Offset, to: Offset) {
        let mut state = self.state_mut();
        let rows = state.rows.iter().filter(|row| (row.source, row.offset) == (source, offset));
        let repeated: Vec<Row> = rows.map(|row| Row { offset: to, ..row.clone() }).collect();
        state.rows.extend(repeated);
    }
}

impl Row {
    fn is_within(&self, scope: &ProvenanceScope) -> bool {
        self.source == scope.source
            && scope.first <= self.offset
            && self.offset < scope.next
            && !scope.is_erased(&self.tenant, self.offset)
            && scope.is_kept(self.sample.timestamp, self.retention_days)
    }
}

#[async_trait]
impl ProvenanceSource for MemoryStore {
    async fn stored_sources(&self) -> Result<Vec<Source>, StorageError> {
        let mut sources: Vec<Source> = self.state().rows.iter().map(|row| row.source).collect();
        sources.sort_unstable();
        sources.dedup();
        Ok(sources)
    }

    async fn erased_ends(&self, source: &Source) -> Result<BTreeMap<TenantId, Offset>, StorageError> {
        let state = self.state();
        let ends = state.ledger.iter().filter(|((_, of), _)| of == source);
        Ok(ends.map(|((tenant, _), end)| (tenant.clone(), *end)).collect())
    }

    async fn last_batch(&self, scope: &ProvenanceScope) -> Result<Option<Offset>, StorageError> {
        Ok(self.fingerprints(scope).into_iter().map(|(batch, ..)| batch).max())
    }

    async fn batches(&self, scope: &ProvenanceScope, limit: usize) -> Result<Vec<StoredRows>, StorageError> {
        let mut batches = BTreeMap::<Offset, RowsDigest>::new();
        for (batch, _, fingerprint) in self.fingerprints(scope) {
            batches.entry(batch).or_default().add(fingerprint, 1);
        }
        let stored = batches.into_iter().take(limit);
        let shards = vec![SHARD.to_owned()];
        Ok(stored
            .map(|(batch, rows)| StoredRows { batch, rows, cut: RowsDigest::default(), shards: shards.clone() })
            .collect())
    }

    async fn rows(&self, scope: &ProvenanceScope) -> Result<Vec<StoredRow>, StorageError> {
        let rows = self.fingerprints(scope).into_iter();
        Ok(rows.map(|(batch, day, fingerprint)| StoredRow { batch, day, fingerprint, count: 1 }).collect())
    }
}
