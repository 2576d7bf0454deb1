//! What a store holds, by where it came from: for comparing it with the queue.
//!
//! Every stored row belongs to a source and to a batch, named by its first offset. Comparing begins with one digest a batch,
//! which the store computes where the rows are; single rows travel only where digests differ.

use std::collections::BTreeMap;
use std::io::Write as _;

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::StorageError;

/// Which rows of a source are looked at.
#[derive(Debug, Clone)]
pub struct ProvenanceScope {
    /// The source.
    pub source: Source,
    /// Rows of batches from here on
    pub first: Offset,
    /// and before here.
    pub next: Offset,
    /// Rows that expire at this time (ms since 1970) or before are left out: the store may have removed them.
    pub kept_after: i64,
    /// For each erased tenant the end of its erasure. Rows of the tenant from batches before it are left out.
    pub erased: BTreeMap<TenantId, Offset>,
}

/// Number and contents of rows, whatever their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsDigest {
    /// How many rows there are.
    pub rows: u64,
    /// The sum of their fingerprints, modulo 2^64.
    pub checksum: u64,
}

/// What is stored of one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRows {
    /// The first offset of the batch.
    pub batch: Offset,
    /// Its rows.
    pub rows: RowsDigest,
    /// Rows of tenants whose erasure ends at `batch`: they belong to the batch that the erasure ends within, which may have begun
    /// before.
    pub cut: RowsDigest,
    /// The shards that hold them, by name, ascending; one, unless something is wrong.
    pub shards: Vec<String>,
}

/// Rows of one batch that are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRow {
    /// The first offset of the batch.
    pub batch: Offset,
    /// Days since 1970.
    pub day: i64,
    /// [`row_fingerprint`]
    pub fingerprint: u64,
    /// How often it is stored.
    pub count: u64,
}

/// A store that can say which batches it holds.
#[async_trait]
pub trait ProvenanceSource: Send + Sync {
    /// All sources of which there are rows, ascending.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn stored_sources(&self) -> Result<Vec<Source>, StorageError>;

    /// For each tenant of which records of the source were erased, the offset before which nothing of it is stored.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn erased_ends(&self, source: &Source) -> Result<BTreeMap<TenantId, Offset>, StorageError>;

    /// The last batch that begins within the scope, cut rows aside.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn last_batch(&self, scope: &ProvenanceScope) -> Result<Option<Offset>, StorageError>;

    /// The first `limit` batches of the scope, ascending; fewer where there are no more. Of several shards' batches fewer than
    /// `limit` may be told, and none only where there are none.
    ///
    /// # Errors
    /// [`StorageError`]
    async fn batches(&self, scope: &ProvenanceScope, limit: usize) -> Result<Vec<StoredRows>, StorageError>;

    /// The rows of the scope, each batch's with their fingerprints.
    ///
    /// # Errors
    /// [`StorageError`], also where there are more than fit in memory.
    async fn rows(&self, scope: &ProvenanceScope) -> Result<Vec<StoredRow>, StorageError>;
}

impl RowsDigest {
    /// Takes rows that are the same.
    pub fn add(&mut self, fingerprint: u64, count: u64) {
        self.rows += count;
        self.checksum = self.checksum.wrapping_add(fingerprint.wrapping_mul(count));
    }

    /// Takes the rows of another one.
    pub fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}

impl ProvenanceScope {
    /// The same for other batches.
    #[must_use]
    pub fn between(&self, first: Offset, next: Offset) -> Self {
        Self { first, next, ..self.clone() }
    }

    /// Whether an erasure covers what the tenant has at this offset.
    #[must_use]
    pub fn is_erased(&self, tenant: &TenantId, offset: Offset) -> bool {
        self.erased.get(tenant).is_some_and(|end| offset < *end)
    }

    /// Whether nothing can have expired of a row.
    #[must_use]
    pub fn is_kept(&self, timestamp: i64, retention_days: u16) -> bool {
        let lifetime = i64::from(retention_days) * luminate_model::time::DAY_MS;
        retention_days == 0 || timestamp + lifetime > self.kept_after
    }
}

/// XXH3-64 (seed 0) of everything that tells a row: tenant, metric, time in ms, the bits of the value as a decimal number, then
/// keys and values of the dimensions in byte order of the keys. Strings are preceded by their length in bytes and `:`, numbers
/// followed by `/`. `scratch` is overwritten.
pub fn row_fingerprint<'d>(
    scratch: &mut Vec<u8>,
    tenant: &TenantId,
    metric: &str,
    (timestamp, value): (i64, f64),
    dimensions: impl Iterator<Item = (&'d str, &'d str)>,
) -> u64 {
    scratch.clear();
    string(scratch, tenant.as_str());
    string(scratch, metric);
    // Writing to memory does not fail.
    let _ = write!(scratch, "{timestamp}/{}/", value.to_bits());
    for (key, value) in dimensions {
        string(scratch, key);
        string(scratch, value);
    }
    xxh3_64(scratch)
}

fn string(out: &mut Vec<u8>, text: &str) {
    let _ = write!(out, "{}:", text.len());
    out.extend_from_slice(text.as_bytes());
}
