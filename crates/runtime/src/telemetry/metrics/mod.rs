//! Metrics: a handle that is passed to whoever counts. There is no global registry.

mod description;
mod family;
pub mod reference;
mod table;

use std::fs;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};

pub use description::{MetricDescription, MetricKind, Process};
pub use family::{CounterFamily, GaugeFamily, HistogramFamily};
pub use prometheus::{Gauge, Histogram, IntCounter as Counter};
pub use table::{DESCRIPTIONS, MetricSet};

/// The metrics could not be made or rendered.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// The metrics of this process. Cheap to clone; its fields are those of [`MetricSet`].
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    set: MetricSet,
    registry: Registry,
    before_scrape: Mutex<Vec<Box<dyn Fn(&MetricSet) + Send>>>,
}

impl Metrics {
    /// Makes the metrics of a process that is all of `processes` in one.
    ///
    /// # Errors
    /// Where the table names a metric twice or badly, which a test rules out.
    pub fn new(processes: &[Process]) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let set = MetricSet::new(&registry, processes)?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        set.build_info.with([env!("CARGO_PKG_VERSION")]).set(1.0);
        Ok(Self(Arc::new(Inner { set, registry, before_scrape: Mutex::default() })))
    }

    /// Has `update` called before every scrape, for gauges that are cheaper to read than to follow. It must not block.
    pub fn before_scrape(&self, update: impl Fn(&MetricSet) + Send + 'static) {
        self.0.before_scrape.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(update));
    }

    /// All metrics in Prometheus' text format, as of now.
    ///
    /// # Errors
    /// [`MetricsError`] where a metric cannot be rendered.
    pub fn render(&self) -> Result<String, MetricsError> {
        for update in self.0.before_scrape.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            update(self);
        }
        if let Some(bytes) = resident_bytes() {
            self.memory_usage.set(bytes as f64);
        }
        Ok(TextEncoder::new().encode_to_string(&self.0.registry.gather())?)
    }
}

impl Deref for Metrics {
    type Target = MetricSet;

    fn deref(&self) -> &MetricSet {
        &self.0.set
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Resident memory of this process in bytes; `None` where `/proc` cannot be read.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    // Not `statm`, which counts in pages of a size that it does not tell.
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = resident.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}
