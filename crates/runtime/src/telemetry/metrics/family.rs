//! Metrics with labels, whose label values are counted by the compiler.

use prometheus::core::Collector;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use super::description::{MetricDescription, MetricKind};

/// A counter for each combination of `N` label values.
#[derive(Clone)]
pub struct CounterFamily<const N: usize> {
    members: IntCounterVec,
    unregistered: IntCounter,
}

/// A gauge for each combination of `N` label values.
#[derive(Clone)]
pub struct GaugeFamily<const N: usize> {
    members: GaugeVec,
    unregistered: Gauge,
}

/// A histogram for each combination of `N` label values.
#[derive(Clone)]
pub struct HistogramFamily<const N: usize> {
    members: HistogramVec,
    unregistered: Histogram,
}

// The look-up of a member fails only where the number of labels is wrong, which `N` rules out (a test makes every metric
// of the table). `unregistered` stands in, so that telemetry can never panic.

impl<const N: usize> CounterFamily<N> {
    /// The counter with these label values. Keep it where it is used often: this takes a lock.
    #[must_use]
    pub fn with(&self, values: [&str; N]) -> IntCounter {
        self.members.get_metric_with_label_values(&values).unwrap_or_else(|_| self.unregistered.clone())
    }
}

impl<const N: usize> GaugeFamily<N> {
    /// The gauge with these label values. Keep it where it is used often: this takes a lock.
    #[must_use]
    pub fn with(&self, values: [&str; N]) -> Gauge {
        self.members.get_metric_with_label_values(&values).unwrap_or_else(|_| self.unregistered.clone())
    }

    /// Stops exporting the gauge with these label values, for what is no longer there.
    pub fn forget(&self, values: [&str; N]) {
        // An error says that there was none.
        let _ = self.members.remove_label_values(&values);
    }
}

impl<const N: usize> HistogramFamily<N> {
    /// The histogram with these label values. Keep it where it is used often: this takes a lock.
    #[must_use]
    pub fn with(&self, values: [&str; N]) -> Histogram {
        self.members.get_metric_with_label_values(&values).unwrap_or_else(|_| self.unregistered.clone())
    }
}

/// What a field of the table can be.
pub(super) trait Metric: Sized {
    const KIND: MetricKind;
    /// How many labels its description must have.
    const LABELS: usize;

    /// Makes the metric, and registers it where there is a registry.
    fn make(description: &MetricDescription, registry: Option<&Registry>) -> prometheus::Result<Self>;
}

fn register<C: Collector + Clone + 'static>(collector: C, registry: Option<&Registry>) -> prometheus::Result<C> {
    if let Some(registry) = registry {
        registry.register(Box::new(collector.clone()))?;
    }
    Ok(collector)
}

fn opts(description: &MetricDescription) -> Opts {
    Opts::new(description.name, description.meaning)
}

fn histogram_opts(description: &MetricDescription) -> HistogramOpts {
    HistogramOpts::new(description.name, description.meaning).buckets(description.buckets.to_vec())
}

impl Metric for IntCounter {
    const KIND: MetricKind = MetricKind::Counter;
    const LABELS: usize = 0;

    fn make(description: &MetricDescription, registry: Option<&Registry>) -> prometheus::Result<Self> {
        register(Self::with_opts(opts(description))?, registry)
    }
}

impl Metric for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;
    const LABELS: usize = 0;

    fn make(description: &MetricDescription, registry: Option<&Registry>) -> prometheus::Result<Self> {
        register(Self::with_opts(opts(description))?, registry)
    }
}

impl Metric for Histogram {
    const KIND: MetricKind = MetricKind::Histogram;
    const LABELS: usize = 0;

    fn make(description: &MetricDescription, registry: Option<&Registry>) -> prometheus::Result<Self> {
        register(Self::with_opts(histogram_opts(description))?, registry)
    }
}

impl<const N: usize> Metric for CounterFamily<N> {
    const KIND: MetricKind = MetricKind::Counter;
    const LABELS: usize = N;

    fn make(description: &MetricDescription, registry: Option<&Registry>) -> prometheus::Result<Self> {
        let members = register(IntCounterVec::new(opts(description), description.labels)?, registry)?;
        Ok(Self { members, unregistered: IntCounter::with_opts(opts(description))? })
    }
}

impl<const N: usize> Metric for GaugeFamily<N> {
    const KIND: MetricKind = MetricKind::Gauge;
    const LABELS: usize = N;

    fn make(description: &MetricDescription, registry: Option<&Registry>) -> prometheus::Result<Self> {
        let members = register(GaugeVec::new(opts(description), description.labels)?, registry)?;
        Ok(Self { members, unregistered: Gauge::with_opts(opts(description))? })
    }
}

impl<const N: usize> Metric for HistogramFamily<N> {
    const KIND: MetricKind = MetricKind::Histogram;
    const LABELS: usize = N;

    fn make(description: &MetricDescription, registry: Option<&Registry>) -> prometheus::Result<Self> {
        let members = register(HistogramVec::new(histogram_opts(description), description.labels)?, registry)?;
        Ok(Self { members, unregistered: Histogram::with_opts(histogram_opts(description))? })
    }
}
