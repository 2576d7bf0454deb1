//! The response to a query, as it serialises.

use luminate_model::{Dimensions, Sample};
use luminate_storage::{AggregateGroup, QueryContext};
use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// The response to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What was found.
    pub rows: Rows,
    /// Whether a limit left groups or samples out.
    pub truncated: bool,
    /// The receipt of everything that was readable when the query began; `None` where it would be too long to travel.
    pub watermark: Option<String>,
    /// What the query cost.
    pub stats: Stats,
}

/// What a query found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Rows {
    /// Serialises as `results`.
    Groups {
        /// Keys of the dimensions that the groups were formed by.
        keys: Vec<String>,
        /// Whether buckets of time were asked for: then each group shows `values` in place of `value`.
        stepped: bool,
        /// The groups in their order.
        groups: Vec<AggregateGroup>,
    },
    /// Serialises as `samples`.
    Samples {
        /// The samples in their order.
        samples: Vec<Sample>,
        /// Where to go on, while there is more.
        cursor: Option<String>,
    },
}

/// What a query cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Samples that were looked at after whole blocks were skipped.
    pub samples_read: u64,
    /// Series that were looked at, counted once a block; 0 where the store does not tell.
    pub series_read: u64,
    /// Bytes read from the store, as it tells them: compressed or not.
    pub bytes_read: u64,
    /// Pages read from the store; 0 where the store does not tell.
    pub pages_read: u64,
    /// Blocks that were opened; 0 where the store does not tell.
    pub blocks_read: u64,
    /// Blocks that a summary or filter ruled out; 0 where the store does not tell.
    pub blocks_skipped: u64,
    /// Wall time in ms.
    pub elapsed_ms: u64,
}

impl Stats {
    /// What a query has cost so far.
    #[must_use]
    pub fn of(context: &QueryContext) -> Self {
        let counters = context.counters();
        Self {
            samples_read: counters.samples_read.load(Ordering::Relaxed),
            series_read: counters.series_read.load(Ordering::Relaxed),
            bytes_read: counters.bytes_read.load(Ordering::Relaxed),
            pages_read: counters.pages_read.load(Ordering::Relaxed),
            blocks_read: counters.blocks_read.load(Ordering::Relaxed),
            blocks_skipped: counters.blocks_skipped.load(Ordering::Relaxed),
            elapsed_ms: context.elapsed().as_millis() as u64,
        }
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut answer = serializer.serialize_struct("Answer", 5)?;
        match &self.rows {
            Rows::Groups { keys, stepped, groups } => {
                answer.serialize_field("results", &GroupList { keys, stepped: *stepped, groups })?;
            }
            Rows::Samples { samples, cursor } => {
                answer.serialize_field("samples", &SampleList(samples))?;
                if let Some(cursor) = cursor {
                    answer.serialize_field("cursor", cursor)?;
                }
            }
        }
        answer.serialize_field("truncated", &self.truncated)?;
        answer.serialize_field("watermark", &self.watermark)?;
        answer.serialize_field("stats", &self.stats)?;
        answer.end()
    }
}

struct GroupList<'a> {
    keys: &'a [String],
    stepped: bool,
    groups: &'a [AggregateGroup],
}

impl Serialize for GroupList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.groups.len()))?;
        for group in self.groups {
            list.serialize_element(&Group { keys: self.keys, stepped: self.stepped, group })?;
        }
        list.end()
    }
}

struct Group<'a> {
    keys: &'a [String],
    stepped: bool,
    group: &'a AggregateGroup,
}

impl Serialize for Group<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Group", 2)?;
        fields.serialize_field("group", &GroupKey { keys: self.keys, values: &self.group.group })?;
        if self.stepped {
            fields.serialize_field("values", &Steps(&self.group.steps))?;
        } else {
            fields.serialize_field("value", &Number(self.group.value))?;
        }
        fields.end()
    }
}

struct GroupKey<'a> {
    keys: &'a [String],
    values: &'a [Option<String>],
}

impl Serialize for GroupKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.keys.len()))?;
        for (key, value) in self.keys.iter().zip(self.values) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

struct Steps<'a>(&'a [(i64, f64)]);

impl Serialize for Steps<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (bucket, value) in self.0 {
            list.serialize_element(&(bucket, Number(*value)))?;
        }
        list.end()
    }
}

struct SampleList<'a>(&'a [Sample]);

impl Serialize for SampleList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for sample in self.0 {
            list.serialize_element(&RawSample(sample))?;
        }
        list.end()
    }
}

struct RawSample<'a>(&'a Sample);

impl Serialize for RawSample<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Sample", 3)?;
        fields.serialize_field("timestamp", &self.0.timestamp)?;
        fields.serialize_field("value", &Number(self.0.value))?;
        fields.serialize_field("dimensions", &DimensionMap(&self.0.dimensions))?;
        fields.end()
    }
}

struct DimensionMap<'a>(&'a Dimensions);

impl Serialize for DimensionMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

/// A number that is written without a fraction where it has none, and as null where it is too large for a double (a sum
/// may be).
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Below this every whole number is a double.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let number = self.0;
        let negative_zero = number == 0.0 && number.is_sign_negative();
        if number.fract() == 0.0 && number.abs() < EXACT && !negative_zero {
            serializer.serialize_i64(number as i64)
        } else if number.is_finite() {
            serializer.serialize_f64(number)
        } else {
            serializer.serialize_none()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(rows: Rows) -> serde_json::Value {
        let stats = Stats { samples_read: 3, elapsed_ms: 2, ..Stats::default() };
        serde_json::to_value(Answer { rows, truncated: false, watermark: Some("w".to_owned()), stats }).unwrap()
    }

    fn group(value: f64, steps: Vec<(i64, f64)>) -> AggregateGroup {
        AggregateGroup { group: vec![Some("x".to_owned()), None], value, steps }
    }

    #[test]
    fn groups_show_value_or_values() {
        let keys = vec!["b".to_owned(), "a".to_owned()];
        let groups = vec![group(145.5, vec![(1_735_603_200_000, 3.0)])];
        let plain = answer(Rows::Groups { keys: keys.clone(), stepped: false, groups: groups.clone() });
        let stats = json!({"samplesRead": 3, "seriesRead": 0, "bytesRead": 0, "pagesRead": 0, "blocksRead": 0,
            "blocksSkipped": 0, "elapsedMs": 2});
        let results = json!([{"group": {"b": "x", "a": null}, "value": 145.5}]);
        assert_eq!(plain, json!({"results": results, "truncated": false, "watermark": "w", "stats": stats}));
        let stepped = answer(Rows::Groups { keys, stepped: true, groups });
        let results = json!([{"group": {"b": "x", "a": null}, "values": [[1_735_603_200_000_i64, 3]]}]);
        assert_eq!(stepped["results"], results);
    }

    #[test]
    fn samples_show_their_cursor_while_there_is_more() {
        let dimensions: Dimensions = [("b", "2"), ("a", "1")].into_iter().collect();
        let sample = Sample { metric: "m".to_owned(), timestamp: 5, value: -0.25, dimensions };
        let more = answer(Rows::Samples { samples: vec![sample], cursor: Some("c".to_owned()) });
        let samples = json!([{"timestamp": 5, "value": -0.25, "dimensions": {"a": "1", "b": "2"}}]);
        assert_eq!(more["samples"], samples);
        assert_eq!(more["cursor"], "c");
        let last = answer(Rows::Samples { samples: Vec::new(), cursor: None });
        assert!(last.get("cursor").is_none() && last.get("results").is_none());
    }

    #[test]
    fn numbers_have_a_fraction_only_where_needed() {
        let text = |number| serde_json::to_string(&Number(number)).unwrap();
        let cases =
            [(3.0, "3"), (-3.0, "-3"), (0.1, "0.1"), (-0.0, "-0.0"), (1e300, "1e+300"), (f64::INFINITY, "null")];
        for (number, expected) in cases {
            assert_eq!(text(number), expected);
        }
    }
}
