//! What a metric is, as the reference shows it.

/// A process, or a part of one, that exports a metric. `luminate serve` is the three services in one, with parts of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// HTTP in, records out.
    Gateway,
    /// Records in, batches stored.
    Writer,
    /// HTTP in, answers out.
    QueryApi,
    /// The store of `luminate serve`, where it has one of its own.
    OwnStore,
    /// The embedded queue of `luminate serve`.
    EmbeddedQueue,
}

/// The shape of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// One line of the metrics reference.
#[derive(Debug, Clone, Copy)]
pub struct MetricDescription {
    /// The name that is scraped.
    pub name: &'static str,
    /// What it measures, in a sentence.
    pub meaning: &'static str,
    /// Its shape.
    pub kind: MetricKind,
    /// The unit of its value.
    pub unit: &'static str,
    /// The names of its labels, in the order in which their values are given.
    pub labels: &'static [&'static str],
    /// Who exports it.
    pub processes: &'static [Process],
    /// Upper bounds of a histogram's buckets, in the unit; empty for the others.
    pub buckets: &'static [f64],
}

impl Process {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Gateway, Self::Writer, Self::QueryApi, Self::OwnStore, Self::EmbeddedQueue];

    /// The services, each of which can be a process of its own.
    pub const SERVICES: [Self; 3] = [Self::Gateway, Self::Writer, Self::QueryApi];

    /// The name of the process in the docs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Writer => "writer",
            Self::QueryApi => "query-api",
            Self::OwnStore => "own store",
            Self::EmbeddedQueue => "embedded queue",
        }
    }
}

impl MetricKind {
    /// The word of the text exposition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}
