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
    before_scrape: Mutex<Vec<Update>>,
}

type Update = Box<dyn Fn(&MetricSet) + Send>;

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_metric_of_the_table_can_be_made() {
        let metrics = Metrics::new(&Process::ALL).unwrap();
        let names: HashSet<_> = DESCRIPTIONS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), DESCRIPTIONS.len());
        // The kept names and their labels are a contract.
        metrics.http_requests.with(["200", "/x", "GET"]).inc();
        metrics.rate_limit_rejected.with(["acme"]).inc();
        metrics.http_request_duration.with(["/x", "GET"]).observe(0.1);
        let text = metrics.render().unwrap();
        for kept in [
            "luminate_http_requests_total{method=\"GET\",path=\"/x\",status=\"200\"} 1",
            "luminate_http_request_duration_seconds_count{method=\"GET\",path=\"/x\"} 1",
            "luminate_write_requests_total 0",
            "luminate_query_requests_total 0",
            "luminate_query_latency_seconds_count 0",
            "luminate_storage_writes_total 0",
            "luminate_storage_write_duration_seconds_count 0",
            "luminate_storage_query_duration_seconds_count 0",
            "luminate_rate_limit_exceeded_total 0",
            "luminate_rate_limit_rejected_total{tenant_id=\"acme\"} 1",
        ] {
            assert!(text.lines().any(|line| line == kept), "missing: {kept}\nin:\n{text}");
        }
    }

    #[test]
    fn a_process_exports_its_own_metrics_only_but_may_count_all() {
        let metrics = Metrics::new(&[Process::Gateway]).unwrap();
        metrics.storage_writes.inc();
        metrics.write_requests.inc();
        let text = metrics.render().unwrap();
        assert!(text.contains("luminate_write_requests_total 1\n"));
        assert!(!text.contains("luminate_storage_writes_total"));
    }

    #[test]
    fn what_belongs_to_parts_of_a_single_node_is_no_services() {
        let services = Metrics::new(&Process::SERVICES).unwrap();
        let store = Metrics::new(&[Process::OwnStore]).unwrap();
        let queue = Metrics::new(&[Process::EmbeddedQueue]).unwrap();
        for metrics in [&services, &store, &queue] {
            metrics.disk_bytes.with(["store"]).set(1.0);
        }
        let of = |metrics: &Metrics, name: &str| metrics.render().unwrap().contains(name);
        for (name, of_store, of_queue) in [
            ("luminate_active_series", true, false),
            ("luminate_queue_syncs_total", false, true),
            ("luminate_disk_bytes", true, true),
        ] {
            assert_eq!(
                (of(&store, name), of(&queue, name), of(&services, name)),
                (of_store, of_queue, false),
                "{name}"
            );
        }
    }

    #[test]
    fn memory_is_measured_at_every_scrape() {
        let metrics = Metrics::new(&[Process::Writer]).unwrap();
        metrics.before_scrape(|metrics| metrics.intents_open.set(42.0));
        let text = metrics.render().unwrap();
        assert!(text.contains("luminate_intents_open 42\n"));
        let line = text.lines().find(|line| line.starts_with("luminate_memory_usage_bytes ")).unwrap();
        let bytes: f64 = line.split_once(' ').unwrap().1.parse().unwrap();
        assert!(bytes > 1_000_000.0, "a test binary needs more than a megabyte: {line}");
    }

    #[test]
    fn labels_of_a_forgotten_gauge_are_gone() {
        let metrics = Metrics::new(&[Process::Writer]).unwrap();
        metrics.consumer_lag.with(["0"]).set(1.0);
        metrics.consumer_lag.with(["1"]).set(1.0);
        metrics.consumer_lag.forget(["0"]);
        let text = metrics.render().unwrap();
        assert!(!text.contains("partition=\"0\"") && text.contains("partition=\"1\""));
    }

    #[test]
    fn the_reference_has_every_metric() {
        let page = reference::markdown();
        let text = Metrics::new(&Process::ALL).unwrap().render().unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(page.contains(&format!("| `{name}` | {kind} |")), "{name} {kind} is not in the reference");
        }
        for metric in DESCRIPTIONS {
            assert!(metric.meaning.ends_with('.') && !metric.meaning.starts_with(' '), "{}", metric.meaning);
        }
    }
}
