//! Samples row by row: the form of tests, of results and of the in-memory store. The paths that carry load use
//! [`SampleColumns`](crate::SampleColumns).

use std::collections::BTreeMap;

use crate::series::{SeriesId, write_canonical_dimensions};

/// The dimensions of a sample, sorted by the bytes of their keys; no value is empty (an empty value is a missing
/// dimension).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dimensions(BTreeMap<String, String>);

impl Dimensions {
    /// The value of dimension `key`; the empty string where it is missing.
    #[must_use]
    pub fn value(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Keys and values in the byte order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone + '_ {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many dimensions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes by which raw samples of one metric at one timestamp are ordered.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_canonical_dimensions(&mut bytes, self.iter());
        bytes
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Dimensions {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }
}

/// One timestamped value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name.
    pub metric: String,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// A finite number.
    pub value: f64,
    /// What distinguishes the series of one metric.
    pub dimensions: Dimensions,
}

impl Sample {
    /// The id of the series that this sample belongs to.
    #[must_use]
    pub fn series_id(&self) -> SeriesId {
        SeriesId::of(&self.metric, self.dimensions.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_are_missing_dimensions() {
        let dimensions: Dimensions = [("b", "2"), ("a", ""), ("c", "3")].into_iter().collect();
        assert_eq!(dimensions.iter().collect::<Vec<_>>(), [("b", "2"), ("c", "3")]);
        assert_eq!(dimensions.value("a"), "");
    }
}
