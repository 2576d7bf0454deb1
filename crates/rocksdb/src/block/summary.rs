//! What is known of a block without reading its pages.

use std::fmt;
use std::sync::Arc;

use luminate_model::TenantId;

use super::error::BlockError;

/// The number of a block; the store gives it, ascending and never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u64);

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a block came to be, which decides how it is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    /// Of one arriving batch: any tenants, metrics and days; packed cheaply.
    Arrival,
    /// Made by a merge: one tenant, one window of time; packed well.
    Merged,
}

/// What a block holds of one metric of one tenant, written with one retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The owner.
    pub tenant: TenantId,
    /// The metric's name.
    pub metric: Arc<str>,
    /// The retention in days that the samples were written with; 0 for ever.
    pub retention_days: u16,
    /// Number of samples.
    pub samples: u32,
    /// Number of series.
    pub series: u32,
    /// The smallest timestamp, ms since 1970.
    pub first_timestamp: i64,
    /// The largest timestamp, ms since 1970.
    pub last_timestamp: i64,
}

/// What is kept in memory of every block: enough to rule it out for most queries and to find its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSummary {
    /// How the block came to be.
    pub kind: BlockKind,
    /// Number of samples.
    pub samples: u32,
    /// Number of series, each counted once a section.
    pub series: u32,
    /// Number of pages; they are numbered from 0.
    pub pages: u32,
    /// Bytes of all pages.
    pub page_bytes: u64,
    /// The smallest timestamp, ms since 1970.
    pub first_timestamp: i64,
    /// The largest timestamp, ms since 1970.
    pub last_timestamp: i64,
    /// Ascending by tenant, metric and retention, no triple twice.
    pub sections: Vec<Section>,
}

impl BlockSummary {
    /// The summary as bytes, with a checksum.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads what [`BlockSummary::encode`] wrote.
    ///
    /// # Errors
    /// [`BlockError::Summary`]
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        let _ = bytes;
        Err(BlockError::Summary("not yet"))
    }

    /// The sections of one metric of one tenant: one a retention that samples were written with.
    #[must_use]
    pub fn sections_of(&self, tenant: &TenantId, metric: &str) -> &[Section] {
        let start = self.sections.partition_point(|s| (&s.tenant, &*s.metric) < (tenant, metric));
        let rest = self.sections.get(start..).unwrap_or_default();
        let len = rest.partition_point(|s| (&s.tenant, &*s.metric) == (tenant, metric));
        rest.get(..len).unwrap_or_default()
    }

    /// The sections of one tenant.
    #[must_use]
    pub fn sections_of_tenant(&self, tenant: &TenantId) -> &[Section] {
        let start = self.sections.partition_point(|s| s.tenant < *tenant);
        let rest = self.sections.get(start..).unwrap_or_default();
        let len = rest.partition_point(|s| s.tenant == *tenant);
        rest.get(..len).unwrap_or_default()
    }

    /// Heap memory that the summary holds, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.sections.capacity() * size_of::<Section>()
    }

    /// Most memory that a merge needs to hold this block open, in bytes: the sum over one block of each run bounds a merge.
    #[must_use]
    pub fn merge_bytes(&self) -> usize {
        self.page_bytes as usize
    }
}
