//! The answers of the API, as far as commands read them. Fields that a newer server adds are passed over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::ItemError;

/// What a write request answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WriteAnswer {
    /// Samples that are durable.
    pub(crate) accepted: u64,
    /// Samples that are not valid.
    #[serde(default)]
    pub(crate) rejected: u64,
    /// Why, for the first of them.
    #[serde(default)]
    pub(crate) errors: Vec<ItemError>,
    /// What a query can wait for.
    pub(crate) receipt: Option<String>,
}

/// What a query answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryAnswer {
    /// Groups of an aggregate.
    #[serde(default)]
    pub(crate) results: Vec<GroupResult>,
    /// Samples of a raw query.
    #[serde(default)]
    pub(crate) samples: Option<Vec<RawSample>>,
    /// Whether a limit left something out.
    #[serde(default)]
    pub(crate) truncated: bool,
    /// Where a raw query goes on.
    pub(crate) cursor: Option<String>,
    /// What it cost.
    pub(crate) stats: Option<QueryStats>,
}

/// One group of an aggregate.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GroupResult {
    /// Dimensions and their values; null where missing.
    #[serde(default)]
    pub(crate) group: BTreeMap<String, Option<String>>,
    /// The value over the whole range; none with a step, and where it is too large for a double.
    pub(crate) value: Option<f64>,
    /// With a step: starts of buckets in ms, and values, null where too large for a double.
    pub(crate) values: Option<Vec<(i64, Option<f64>)>>,
}

/// One sample of a raw query.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RawSample {
    /// ms since 1970.
    pub(crate) timestamp: i64,
    /// The value.
    pub(crate) value: f64,
    /// Its dimensions.
    #[serde(default)]
    pub(crate) dimensions: BTreeMap<String, String>,
}

/// What a query cost.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct QueryStats {
    /// Samples looked at.
    #[serde(default)]
    pub(crate) samples_read: u64,
    /// Series they belong to.
    #[serde(default)]
    pub(crate) series_read: u64,
    /// Bytes they were packed in.
    #[serde(default)]
    pub(crate) bytes_read: u64,
    /// How long the server worked on it.
    #[serde(default)]
    pub(crate) elapsed_ms: f64,
}

/// A name of the catalogue with its number of samples.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Counted {
    /// The metric, key or value.
    #[serde(alias = "key", alias = "value")]
    pub(crate) name: String,
    /// Samples that have it.
    #[serde(default)]
    pub(crate) samples: u64,
}

/// A page of the catalogue.
#[derive(Debug, Deserialize)]
pub(crate) struct CatalogueAnswer {
    /// The names.
    #[serde(alias = "metrics", alias = "dimensions", alias = "values")]
    pub(crate) entries: Vec<Counted>,
    /// Whether the limit left names out.
    #[serde(default)]
    pub(crate) truncated: bool,
}

/// A dead letter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeadLetterAnswer {
    /// incarnation/partition/offset/index.
    pub(crate) id: String,
    /// Why it could not be used.
    pub(crate) code: String,
    /// A sentence for people.
    #[serde(default)]
    pub(crate) detail: String,
    /// Whose it is, where known.
    pub(crate) tenant: Option<String>,
    /// When the queue appended the record, ms since 1970.
    #[serde(default)]
    pub(crate) append_time: i64,
    /// When it was replayed last, ms since 1970.
    pub(crate) replayed_at: Option<i64>,
}

/// The state of a process.
#[derive(Debug, Deserialize)]
pub(crate) struct HealthAnswer {
    /// ok, degraded, starting, draining.
    pub(crate) status: String,
    /// Which service.
    #[serde(default)]
    pub(crate) service: String,
    /// Which version.
    #[serde(default)]
    pub(crate) version: String,
    /// What it depends on.
    #[serde(default)]
    pub(crate) dependencies: BTreeMap<String, DependencyAnswer>,
}

/// The state of something that a process depends on.
#[derive(Debug, Deserialize)]
pub(crate) struct DependencyAnswer {
    /// up or down.
    pub(crate) status: String,
    /// What is wrong with it.
    pub(crate) detail: Option<String>,
}
