//! What a writer stores in one step.

use luminate_model::{Offset, SampleColumns, Source, TenantId};

/// A contiguous range of offsets of one partition. Offsets without a [`BatchRecord`] were repeats, dead letters or holes:
/// they are settled by this batch as well.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The partition.
    pub source: Source,
    /// The first offset of the range.
    pub first: Offset,
    /// The offset after the range: the place to continue from once this batch is stored.
    pub next: Offset,
    /// The records to store, in the order of their offsets.
    pub records: Vec<BatchRecord>,
    /// What the writer wants to find again at the next resume, of this batch's keyed records.
    pub idempotency: Vec<IdempotencyEntry>,
    /// Idempotency entries appended before this time (ms since 1970) will not be asked for any more.
    pub forget_idempotency_before: i64,
}

/// One decoded record.
#[derive(Debug, Clone)]
pub struct BatchRecord {
    /// The owner of the samples.
    pub tenant: TenantId,
    /// The record's offset.
    pub offset: Offset,
    /// The samples.
    pub samples: SampleColumns,
}

/// A keyed record that was seen: what a repeat is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyEntry {
    /// The owner of the samples; keys of different tenants have nothing to do with each other.
    pub tenant: TenantId,
    /// Hash of the client's key.
    pub key: u128,
    /// Part of the write request.
    pub part: u32,
    /// Hash of the decompressed body.
    pub body: u128,
    /// When the queue appended the record, ms since 1970.
    pub append_time: i64,
    /// The record's offset.
    pub offset: Offset,
}

impl Batch {
    /// How many samples the batch holds.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.records.iter().map(|record| record.samples.len()).sum()
    }
}
