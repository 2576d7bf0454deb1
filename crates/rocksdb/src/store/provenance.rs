//! What blocks hold and where it came from: for comparing the store with the queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::time::utc_day;
use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{
    Batch, BlockProvenance, BlockRow, QueryContext, QueryLimits, ScanChunk, ScanRequest, StorageError, StoredBlock,
    row_fingerprint,
};

use super::directory::Block;
use super::pages::StoredPages;
use super::{RocksStore, Shared, blocking};
use crate::block::BlockReader;

/// Reading one block is never long.
const PATIENCE: Duration = Duration::from_secs(600);

#[async_trait]
impl BlockProvenance for RocksStore {
    async fn stored_ends(&self) -> Result<BTreeMap<Source, Offset>, StorageError> {
        Ok(self.shared.state().next.clone())
    }

    async fn erased_ends(&self, source: &Source) -> Result<BTreeMap<TenantId, Offset>, StorageError> {
        let state = self.shared.state();
        Ok(state.ledger.ends_of(*source).map(|(tenant, end)| (tenant.clone(), end)).collect())
    }

    async fn blocks(&self) -> Result<Vec<StoredBlock>, StorageError> {
        let directory = self.shared.directory();
        let told = |block: &Arc<Block>| StoredBlock { id: block.id.0, spans: block.provenance.spans().to_vec() };
        Ok(directory.blocks().map(told).collect())
    }

    async fn rows(&self, block: u64, as_of: i64) -> Result<Vec<BlockRow>, StorageError> {
        blocking(&self.shared, move |shared| shared.block_rows(block, as_of)).await
    }

    fn kept_from(&self, tenant: &TenantId, metric: &str, written_days: u16, as_of: i64) -> i64 {
        self.shared.rules.of(tenant).floor(metric, written_days, as_of)
    }

    async fn restore(&self, batch: Batch) -> Result<u64, StorageError> {
        blocking(&self.shared, move |shared| shared.restore(batch)).await
    }
}

impl Shared {
    fn block_rows(&self, block: u64, as_of: i64) -> Result<Vec<BlockRow>, StorageError> {
        let directory = self.directory();
        let found = directory.blocks().find(|live| live.id.0 == block);
        let block = found.ok_or_else(|| StorageError::Unavailable(format!("block {block} was replaced meanwhile")))?;
        let limits = QueryLimits { timeout: PATIENCE, memory_bytes: u64::MAX, samples: u64::MAX, workers: 1 };
        let context = QueryContext::new(limits);
        let pages = StoredPages::for_query(&self.database, block, &context);
        let reader = BlockReader::new(block.id, Arc::clone(&block.summary), &pages);
        let mut rows = Vec::with_capacity(block.summary.samples as usize);
        let mut scratch = Vec::new();
        // Sections of one metric differ in nothing but their retention, and lie beside each other.
        for sections in block.summary.sections.chunk_by(|a, b| (&a.tenant, &a.metric) == (&b.tenant, &b.metric)) {
            let Some(section) = sections.first() else { continue };
            if block.is_covered(&self.state().ledger, &section.tenant) {
                continue;
            }
            let request = everything(&self.rules.of(&section.tenant), section, as_of);
            reader.scan(&request, &context, &mut |chunk| {
                push_rows(&chunk, &section.tenant, &mut scratch, &mut rows);
                Ok(())
            })?;
        }
        Ok(rows)
    }
}

/// All that tells a row, of one metric of one tenant.
fn everything(retention: &luminate_model::TenantRetention, section: &crate::block::Section, as_of: i64) -> ScanRequest {
    let mut request = ScanRequest::new(section.tenant.clone(), &*section.metric, as_of);
    request.retention = retention.clone();
    request.columns.all_dimensions = true;
    request.columns.timestamps = true;
    request.columns.values = true;
    request
}

fn push_rows(chunk: &ScanChunk, tenant: &TenantId, scratch: &mut Vec<u8>, rows: &mut Vec<BlockRow>) {
    let mut samples = chunk.timestamps.iter().zip(&chunk.values);
    for (series, run) in chunk.runs.iter().enumerate() {
        for (timestamp, value) in samples.by_ref().take(*run as usize) {
            let dimensions = chunk.dimensions.iter();
            let dimensions = dimensions.filter_map(|column| Some((&*column.key, column.value(series)?)));
            let fingerprint = row_fingerprint(scratch, tenant, &chunk.metric, (*timestamp, *value), dimensions);
            rows.push(BlockRow { day: utc_day(*timestamp), fingerprint });
        }
    }
}
