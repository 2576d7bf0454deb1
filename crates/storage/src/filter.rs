//! Conditions on dimensions. To a condition a missing dimension is the empty string.

use std::collections::BTreeSet;

use crate::pattern::Pattern;

/// A condition on one dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DimensionFilter {
    /// The dimension's key.
    pub key: String,
    /// What its value must be like.
    pub test: DimensionTest,
}

/// What a dimension's value must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DimensionTest {
    /// The same string.
    Equal(String),
    /// Any other string.
    NotEqual(String),
    /// One of these strings.
    In(BTreeSet<String>),
    /// None of these strings.
    NotIn(BTreeSet<String>),
    /// There (true) or missing (false).
    Exists(bool),
    /// Begins with this string.
    Prefix(String),
    /// Matches this pattern as a whole.
    Regex(Pattern),
}

impl DimensionTest {
    /// Whether `value` passes; a missing dimension is the empty string.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(unwanted) => value != unwanted,
            Self::In(wanted) => wanted.contains(value),
            Self::NotIn(unwanted) => !unwanted.contains(value),
            Self::Exists(wanted) => value.is_empty() != *wanted,
            Self::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Self::Regex(pattern) => pattern.matches(value),
        }
    }

    /// The only values that can pass, where there are few enough to look up one by one (`eq` and `in`, none of them
    /// empty); `None` otherwise. Stores use it to find or skip blocks.
    #[must_use]
    pub fn exact_values(&self) -> Option<Vec<&str>> {
        match self {
            Self::Equal(value) if !value.is_empty() => Some(vec![value]),
            Self::In(values) if !values.contains("") => Some(values.iter().map(String::as_str).collect()),
            _ => None,
        }
    }
}
