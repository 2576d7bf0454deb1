//! What the store holds and does, for metrics and for people.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use luminate_model::TenantId;

use super::Shared;
use super::directory::{Directory, Run};
use crate::block::MergeReport;

/// A series counts as active for an hour after its last sample.
const ACTIVE_MS: i64 = 3_600_000;

/// The store at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Samples stored, with those whose retention has passed and that are not removed yet.
    pub samples: u64,
    /// Live blocks.
    pub blocks: u64,
    /// Live blocks that no merge has taken up yet.
    pub arrival_blocks: u64,
    /// Series with samples of the last hour: for each tenant those of its run that has most of them, since the runs mostly
    /// hold the same series. Exact when everything is merged, too small where series come and go within the hour.
    pub active_series: u64,
    /// Runs of merged blocks; few where merges keep up.
    pub runs: u64,
    /// Tenants with merged blocks.
    pub tenants: u64,
    /// Bytes of all pages of live blocks.
    pub page_bytes: u64,
    /// Memory that the summaries of live blocks take, in bytes, about.
    pub summary_bytes: u64,
    /// Replaced blocks whose pages are still there.
    pub retired_blocks: u64,
    /// Bytes that the store's files take on disk, the ballast aside.
    pub disk_bytes: u64,
    /// Bytes of the ballast.
    pub ballast_bytes: u64,
    /// Merges since the start.
    pub merges: u64,
    /// Samples that merges wrote since the start; one that is merged twice counts twice.
    pub merged_samples: u64,
    /// Bytes that merges read since the start.
    pub merge_read_bytes: u64,
    /// Time that merges took since the start.
    pub merge_time: Duration,
    /// Samples that were removed since the start because their retention had passed.
    pub expired_samples: u64,
}

/// What merges have done since the start.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    merges: AtomicU64,
    samples: AtomicU64,
    read_bytes: AtomicU64,
    micros: AtomicU64,
    expired: AtomicU64,
}

impl Merged {
    pub(crate) fn note(&self, report: &MergeReport, read_bytes: u64, elapsed: Duration) {
        self.merges.fetch_add(1, Ordering::Relaxed);
        self.samples.fetch_add(report.kept, Ordering::Relaxed);
        self.read_bytes.fetch_add(read_bytes, Ordering::Relaxed);
        self.micros.fetch_add(elapsed.as_micros() as u64, Ordering::Relaxed);
        self.note_expired(report.expired);
    }

    /// Samples that were removed because their retention had passed.
    pub(crate) fn note_expired(&self, samples: u64) {
        self.expired.fetch_add(samples, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn stats(&self) -> StoreStats {
        let directory = self.directory();
        let ballast_bytes = self.ballast.kept();
        let mut stats = StoreStats {
            arrival_blocks: directory.arrivals.iter().map(|arrival| arrival.run.blocks.len() as u64).sum(),
            runs: directory.merged_runs().count() as u64,
            tenants: directory.tenants.len() as u64,
            page_bytes: directory.merged_runs().chain(directory.arrivals.iter().map(|a| &a.run)).map(Run::bytes).sum(),
            retired_blocks: self.garbage().waiting() as u64,
            disk_bytes: folder_bytes(self.database.folder()).saturating_sub(ballast_bytes),
            ballast_bytes,
            merges: self.merged.merges.load(Ordering::Relaxed),
            merged_samples: self.merged.samples.load(Ordering::Relaxed),
            merge_read_bytes: self.merged.read_bytes.load(Ordering::Relaxed),
            merge_time: Duration::from_micros(self.merged.micros.load(Ordering::Relaxed)),
            expired_samples: self.merged.expired.load(Ordering::Relaxed),
            ..StoreStats::default()
        };
        for block in directory.blocks() {
            stats.blocks += 1;
            stats.samples += block.samples();
            stats.summary_bytes += block.summary.memory_bytes() as u64;
        }
        stats.active_series = active_series(&directory, (self.clock)() - ACTIVE_MS);
        stats
    }
}

/// For each tenant the series of its largest run, counting sections that have samples since `since` (ms since 1970).
fn active_series(directory: &Directory, since: i64) -> u64 {
    let mut largest = BTreeMap::<&TenantId, u64>::new();
    for run in directory.arrivals.iter().map(|arrival| &arrival.run).chain(directory.merged_runs()) {
        let mut of_run = BTreeMap::<&TenantId, u64>::new();
        let sections = run.blocks.iter().flat_map(|block| &block.summary.sections);
        for section in sections.filter(|section| section.last_timestamp >= since) {
            *of_run.entry(&section.tenant).or_default() += u64::from(section.series);
        }
        for (tenant, series) in of_run {
            let known = largest.entry(tenant).or_default();
            *known = series.max(*known);
        }
    }
    largest.into_values().sum()
}

/// Bytes that the files of a folder take on disk, as `du` counts them; files that vanish meanwhile do not count.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => std::os::unix::fs::MetadataExt::blocks(&metadata) * 512,
        Err(_) => 0,
    };
    entries.flatten().map(bytes).sum()
}
