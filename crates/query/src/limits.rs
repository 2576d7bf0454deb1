//! What a request and its answer may be at most.

/// Limits that are known from the request alone, or from the answer's size. What a query may read, hold and take stands in
/// [`QueryLimits`](luminate_storage::QueryLimits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimits {
    /// Most filters.
    pub filters: usize,
    /// Most values of all `in` and `notIn` filters together.
    pub filter_values: usize,
    /// Longest regular expression, in bytes.
    pub pattern_bytes: usize,
    /// Most dimensions in `groupBy`.
    pub group_by: usize,
    /// Most buckets that the steps may cut the time range into.
    pub buckets: u64,
    /// Most groups or raw samples of an answer: the largest `limit`, and for aggregates also the one that holds where none
    /// is given.
    pub rows: usize,
    /// Raw samples of an answer where no `limit` is given.
    pub default_samples: usize,
    /// Most values of an answer with steps, over all its groups.
    pub values: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            filters: 64,
            filter_values: 10_000,
            pattern_bytes: 1024,
            group_by: 16,
            buckets: 11_000,
            rows: 10_000,
            default_samples: 1000,
            values: 250_000,
        }
    }
}
