//! What a query asks of a store. Every request begins with a tenant: there is no way to make one without.

use luminate_model::{TenantId, TenantRetention, TimeRange};

use crate::filter::DimensionFilter;

/// Whose samples of which metric, in which time, under which conditions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScanRequest {
    tenant: TenantId,
    /// The metric's name.
    pub metric: String,
    /// The time asked for.
    pub time: TimeRange,
    /// All must hold.
    pub filters: Vec<DimensionFilter>,
    /// What the scan must yield beside runs.
    pub columns: ScanColumns,
    /// How much of it is wanted by who scans; `None` for all.
    pub earliest: Option<Earliest>,
    /// The time that retention is judged by, ms since 1970.
    pub as_of: i64,
    /// The tenant's retention as set today.
    pub retention: TenantRetention,
}

/// The part of a scan that is wanted: of the samples later than `after` (of all where that is `None`) the first `samples`
/// by time, and all others that share the last one's timestamp. Samples at or before `after` are all wanted. A store that
/// does not look may yield more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earliest {
    /// How many, at least 1.
    pub samples: usize,
    /// From where they count, ms since 1970.
    pub after: Option<i64>,
}

/// What a scan must yield beside runs; what is not asked for is not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanColumns {
    /// Keys of dimensions.
    pub dimensions: Vec<String>,
    /// Every dimension that occurs, in place of those named.
    pub all_dimensions: bool,
    /// Ids of series.
    pub series_ids: bool,
    /// Timestamps.
    pub timestamps: bool,
    /// Values.
    pub values: bool,
}

impl ScanRequest {
    /// A scan of everything that `tenant` has of `metric`, judged by retention at `as_of` (ms since 1970).
    #[must_use]
    pub fn new(tenant: TenantId, metric: impl Into<String>, as_of: i64) -> Self {
        Self {
            tenant,
            metric: metric.into(),
            time: TimeRange::ALL,
            filters: Vec::new(),
            columns: ScanColumns::default(),
            earliest: None,
            as_of,
            retention: TenantRetention::default(),
        }
    }

    /// Whose samples.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The first timestamp that may be shown of samples written with a retention of `written_days`.
    #[must_use]
    pub fn floor(&self, written_days: u16) -> i64 {
        self.time.start.max(self.retention.floor(&self.metric, written_days, self.as_of))
    }
}

/// A summary of values by group and, where asked for, by step of time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AggregateRequest {
    /// The samples to summarise; its `columns` and `earliest` say nothing here.
    pub scan: ScanRequest,
    /// What to compute.
    pub function: AggregateFunction,
    /// Keys of the dimensions that groups are formed by.
    pub group_by: Vec<String>,
    /// Buckets of time; `None` for one value a group.
    pub step: Option<Step>,
    /// How groups are ordered.
    pub order: GroupOrder,
    /// Most groups to answer; `None` for all.
    pub limit: Option<usize>,
}

impl AggregateRequest {
    /// One value over all samples of a scan.
    #[must_use]
    pub fn new(scan: ScanRequest, function: AggregateFunction) -> Self {
        let order = GroupOrder::default();
        Self { scan, function, group_by: Vec::new(), step: None, order, limit: None }
    }
}

/// What to compute of a group's samples.
#[derive(Debug, Clone, PartialEq)]
pub enum AggregateFunction {
    /// Arithmetic mean.
    Avg,
    /// Sum.
    Sum,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Number of samples.
    Count,
    /// The population's standard deviation.
    Stddev,
    /// Number of distinct series, or of distinct values of the dimension `of`; a missing one does not count.
    Distinct {
        /// The dimension's key.
        of: Option<String>,
    },
    /// The value at the smallest timestamp; the larger value where two samples have it.
    First,
    /// The value at the largest timestamp; the larger value where two samples have it.
    Last,
    /// The percentile of this rank from 0 to 100, by linear interpolation between ranks.
    Percentile(f64),
}

/// Buckets of time, named by their starts: `origin + k * width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Width in ms, at least 1.
    pub width: i64,
    /// Where a bucket starts: 0, or the start of the range asked for.
    pub origin: i64,
}

impl Step {
    /// The start of the bucket that `timestamp` lies in.
    #[must_use]
    pub const fn bucket(&self, timestamp: i64) -> i64 {
        timestamp - (timestamp - self.origin).rem_euclid(self.width)
    }

    /// How many buckets lie in a range of time, in part or whole.
    #[must_use]
    pub const fn buckets(&self, time: TimeRange) -> u64 {
        if time.is_empty() {
            return 0;
        }
        ((self.bucket(time.end - 1) - self.bucket(time.start)) / self.width) as u64 + 1
    }
}

/// How groups are ordered; ties always by group, ascending, a missing dimension last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupOrder {
    /// By the values of the dimensions, in the order of `group_by`. Missing last also when descending.
    #[default]
    GroupAscending,
    /// The same, turned.
    GroupDescending,
    /// By the value over the whole range.
    Value(Direction),
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// What a tenant has: metrics, keys or values of dimensions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CatalogueRequest {
    tenant: TenantId,
    /// Only of this metric; `None` for all.
    pub metric: Option<String>,
    /// Only of samples in this time.
    pub time: TimeRange,
    /// Only names that begin with this.
    pub prefix: String,
    /// Only names after this one.
    pub after: Option<String>,
    /// Most names to answer.
    pub limit: usize,
    /// The time that retention is judged by, ms since 1970.
    pub as_of: i64,
    /// The tenant's retention as set today.
    pub retention: TenantRetention,
}

impl CatalogueRequest {
    /// Everything that `tenant` has, at most `limit` names, judged by retention at `as_of` (ms since 1970).
    #[must_use]
    pub fn new(tenant: TenantId, limit: usize, as_of: i64) -> Self {
        Self {
            tenant,
            metric: None,
            time: TimeRange::ALL,
            prefix: String::new(),
            after: None,
            limit,
            as_of,
            retention: TenantRetention::default(),
        }
    }

    /// Whose catalogue.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }
}
