//! What is known of a block without reading its pages.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use luminate_model::TenantId;
use luminate_model::time::MAX_RETENTION_DAYS;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::bytes::{ByteReader, Fault, put_bytes, put_signed, put_varint};
use super::error::BlockError;
use super::filter::filter_page_of;
use super::index::Layout;

/// Most samples of a block.
pub const MAX_BLOCK_SAMPLES: u32 = 1 << 20;

/// The version of the format of summaries and pages.
const FORMAT: u8 = 1;

/// What tells the checksum of a summary from that of a page.
const CHECKSUM_SEED: u64 = u64::MAX;

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
    /// Of one arriving batch: any tenants, metrics and days; packed cheaply, with the ids of its series.
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

impl Section {
    /// What sections are ordered by.
    pub(super) fn key(&self) -> (&TenantId, &str, u16) {
        (&self.tenant, &self.metric, self.retention_days)
    }
}

/// A dimension's key that occurs in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySummary {
    /// The key.
    pub name: Arc<str>,
    /// Number of distinct values.
    pub values: u32,
    /// Bytes of all distinct values.
    pub text_bytes: u64,
    /// The first page of the filter of its values.
    pub(super) filter_page: u32,
    /// Number of pages of the filter; 0 where there is none.
    pub(super) filter_pages: u32,
}

impl KeySummary {
    /// The page of the filter that knows of the value with this hash; `None` where there is no filter.
    pub(super) fn filter_page_of(&self, hash: u64) -> Option<u32> {
        (self.filter_pages > 0).then(|| self.filter_page.saturating_add(filter_page_of(hash, self.filter_pages)))
    }
}

/// What is kept in memory of every block: enough to rule it out for most queries and to find its pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSummary {
    /// How the block came to be.
    pub kind: BlockKind,
    /// Number of samples, at most [`MAX_BLOCK_SAMPLES`].
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
    /// The keys of the dimensions that occur, ascending.
    pub keys: Vec<KeySummary>,
}

impl BlockSummary {
    /// The summary as bytes, with a checksum.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT, u8::from(self.kind == BlockKind::Merged)];
        for number in [u64::from(self.samples), u64::from(self.series), u64::from(self.pages), self.page_bytes] {
            put_varint(&mut out, number);
        }
        put_varint(&mut out, self.keys.len() as u64);
        for key in &self.keys {
            put_bytes(&mut out, key.name.as_bytes());
            let pages = [u64::from(key.filter_page), u64::from(key.filter_pages)];
            for number in [u64::from(key.values), key.text_bytes, pages[0], pages[1]] {
                put_varint(&mut out, number);
            }
        }
        let mut metrics: Vec<&str> = self.sections.iter().map(|section| &*section.metric).collect();
        metrics.sort_unstable();
        metrics.dedup();
        put_varint(&mut out, metrics.len() as u64);
        for metric in &metrics {
            put_bytes(&mut out, metric.as_bytes());
        }
        put_varint(&mut out, self.sections.len() as u64);
        let mut tenant = None;
        for section in &self.sections {
            // An empty name stands for the tenant of the section before.
            let name = if tenant == Some(&section.tenant) { "" } else { section.tenant.as_str() };
            tenant = Some(&section.tenant);
            put_bytes(&mut out, name.as_bytes());
            put_varint(&mut out, metrics.partition_point(|metric| *metric < &*section.metric) as u64);
            for number in [u32::from(section.retention_days), section.samples, section.series] {
                put_varint(&mut out, u64::from(number));
            }
            put_signed(&mut out, section.first_timestamp);
            put_varint(&mut out, section.last_timestamp.abs_diff(section.first_timestamp));
        }
        let sum = xxh3_64_with_seed(&out, CHECKSUM_SEED);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads what [`BlockSummary::encode`] wrote.
    ///
    /// # Errors
    /// [`BlockError::Summary`]
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        let (payload, sum) = bytes.split_last_chunk::<8>().ok_or(BlockError::Summary("it ends too early"))?;
        if xxh3_64_with_seed(payload, CHECKSUM_SEED) != u64::from_le_bytes(*sum) {
            return Err(BlockError::Summary("its checksum does not hold"));
        }
        Self::decode_payload(payload).map_err(BlockError::Summary)
    }

    fn decode_payload(payload: &[u8]) -> Result<Self, Fault> {
        let mut reader = ByteReader::new(payload);
        if reader.byte()? != FORMAT {
            return Err("its format is unknown");
        }
        let kind = match reader.byte()? {
            0 => BlockKind::Arrival,
            1 => BlockKind::Merged,
            _ => return Err("its kind is unknown"),
        };
        let samples = reader.varint_up_to(u64::from(MAX_BLOCK_SAMPLES))? as u32;
        let series = reader.varint_up_to(u64::from(samples))? as u32;
        let pages = reader.u32()?;
        let page_bytes = reader.varint()?;
        let keys = decode_keys(&mut reader, series, pages)?;
        let sections = decode_sections(&mut reader)?;
        reader.finish()?;
        let of_sections = |number: fn(&Section) -> u32| sections.iter().map(|s| u64::from(number(s))).sum::<u64>();
        if of_sections(|s| s.samples) != u64::from(samples) || of_sections(|s| s.series) != u64::from(series) {
            return Err("its sections hold another number of samples or series");
        }
        let first_timestamp = sections.iter().map(|section| section.first_timestamp).min();
        let last_timestamp = sections.iter().map(|section| section.last_timestamp).max();
        let (Some(first_timestamp), Some(last_timestamp)) = (first_timestamp, last_timestamp) else {
            return Err("it has no sections");
        };
        Ok(Self { kind, samples, series, pages, page_bytes, first_timestamp, last_timestamp, sections, keys })
    }

    /// The sections of one metric of one tenant: one a retention that samples were written with.
    #[must_use]
    pub fn sections_of(&self, tenant: &TenantId, metric: &str) -> &[Section] {
        self.sections.get(self.section_range(tenant, metric)).unwrap_or_default()
    }

    pub(super) fn section_range(&self, tenant: &TenantId, metric: &str) -> Range<usize> {
        let start = self.sections.partition_point(|s| (&s.tenant, &*s.metric) < (tenant, metric));
        let end = self.sections.partition_point(|s| (&s.tenant, &*s.metric) <= (tenant, metric));
        start..end
    }

    /// The sections of one tenant.
    #[must_use]
    pub fn sections_of_tenant(&self, tenant: &TenantId) -> &[Section] {
        let start = self.sections.partition_point(|s| s.tenant < *tenant);
        let end = self.sections.partition_point(|s| s.tenant <= *tenant);
        self.sections.get(start..end).unwrap_or_default()
    }

    /// The key with this name, and its place among `keys`.
    pub(super) fn key(&self, name: &str) -> Option<(usize, &KeySummary)> {
        let at = self.keys.binary_search_by(|key| (*key.name).cmp(name)).ok()?;
        Some((at, self.keys.get(at)?))
    }

    /// Memory that the summary holds, in bytes, about.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let names: usize = self.keys.iter().map(|key| key.name.len() + 16).sum();
        let sections: usize =
            self.sections.iter().map(|section| size_of::<Section>() + section.metric.len() + 16).sum();
        size_of::<Self>() + names + self.keys.len() * size_of::<KeySummary>() + sections
    }

    /// Memory that a merge needs to hold this block open, in bytes, about. A merge holds one block of each run open, beside
    /// its output.
    #[must_use]
    pub fn merge_bytes(&self) -> usize {
        let column_page = Layout::STANDARD.series_per_page.min(self.series) as usize * size_of::<u32>();
        // Of a value: its end in the dictionary and what it is known by in the output.
        let key = |key: &KeySummary| key.text_bytes as usize + key.values as usize * 12 + 2 * column_page;
        self.keys.iter().map(key).sum::<usize>() + 512 * 1024
    }
}

fn decode_keys(reader: &mut ByteReader<'_>, series: u32, pages: u32) -> Result<Vec<KeySummary>, Fault> {
    let count = reader.count()?;
    let mut keys: Vec<KeySummary> = Vec::new();
    for _ in 0..count {
        let name = Arc::from(reader.string()?);
        let values = reader.varint_up_to(u64::from(series))? as u32;
        let text_bytes = reader.varint()?;
        let filter_page = reader.u32()?;
        let filter_pages = reader.u32()?;
        if filter_page.checked_add(filter_pages).is_none_or(|end| end > pages) {
            return Err("a filter lies outside of its pages");
        }
        if keys.last().is_some_and(|last| last.name >= name) {
            return Err("its keys do not ascend");
        }
        keys.push(KeySummary { name, values, text_bytes, filter_page, filter_pages });
    }
    Ok(keys)
}

fn decode_sections(reader: &mut ByteReader<'_>) -> Result<Vec<Section>, Fault> {
    let metric_count = reader.count()?;
    let mut metrics: Vec<Arc<str>> = Vec::new();
    for _ in 0..metric_count {
        metrics.push(Arc::from(reader.string()?));
    }
    let section_count = reader.count()?;
    let mut sections: Vec<Section> = Vec::new();
    for _ in 0..section_count {
        let tenant = match (reader.string()?, sections.last()) {
            ("", Some(before)) => before.tenant.clone(),
            (name, _) => tenant_of_store(name)?,
        };
        let metric = metrics.get(reader.index(metrics.len())?).ok_or("a metric is unknown")?.clone();
        let retention_days = reader.varint_up_to(u64::from(MAX_RETENTION_DAYS))? as u16;
        let samples = reader.varint_up_to(u64::from(MAX_BLOCK_SAMPLES))? as u32;
        let series = reader.varint_up_to(u64::from(samples))? as u32;
        let first_timestamp = reader.signed()?;
        let last_timestamp =
            first_timestamp.checked_add_unsigned(reader.varint()?).ok_or("a timestamp is out of range")?;
        let section = Section { tenant, metric, retention_days, samples, series, first_timestamp, last_timestamp };
        if series == 0 || sections.last().is_some_and(|before| before.key() >= section.key()) {
            return Err("its sections are empty or do not ascend");
        }
        sections.push(section);
    }
    Ok(sections)
}

#[allow(clippy::disallowed_methods, reason = "the name comes from the store")]
fn tenant_of_store(name: &str) -> Result<TenantId, Fault> {
    TenantId::parse(name).map_err(|_| "a tenant's name is none")
}
