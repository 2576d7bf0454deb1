//! How the table of samples is shaped: the only place that knows.

/// The table that queries read: of all shards, where there are several.
const NAME: &str = "samples";

/// Whose sample it is.
pub(super) const TENANT: &str = "tenant";

/// The metric's name.
pub(super) const METRIC: &str = "metric";

/// The timestamp, as the table is ordered by it.
pub(super) const TIME: &str = "ts";

/// The timestamp in ms since 1970.
pub(super) const TIMESTAMP: &str = "toUnixTimestamp64Milli(ts)";

/// The value.
pub(super) const VALUE: &str = "value";

/// The retention that a sample was written with, in days.
pub(super) const RETENTION_DAYS: &str = "toInt64(retention_days)";

/// What tells the series of a metric apart. Keys stand in the order of their bytes, so that equal series are equal here.
pub(super) const DIMENSIONS: &str = "dimensions";

/// The keys of a sample's dimensions.
pub(super) const KEYS: &str = "dimensions.keys";

/// The value of the dimension whose key the expression `key` gives; empty where it is missing.
pub(super) fn dimension(key: &str) -> String {
    // As `dimensions[key]`, but keys are compared as numbers of their dictionary.
    format!("dimensions.values[indexOf(dimensions.keys, {key})]")
}

/// The moment of a number of ms since 1970, to be compared with [`TIME`].
pub(super) fn moment(milliseconds: &str) -> String {
    format!("fromUnixTimestamp64Milli({milliseconds}, 'UTC')")
}

/// The table of samples by its full name.
#[derive(Debug, Clone)]
pub(super) struct Table(String);

impl Table {
    /// In this database, whose name is a plain one.
    pub(super) fn in_database(database: &str) -> Self {
        Self(format!("{database}.{NAME}"))
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }
}
