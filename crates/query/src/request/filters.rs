//! The `filters` of a request.

use std::collections::BTreeSet;

use luminate_model::validation::SampleLimits;
use luminate_storage::{DimensionFilter, DimensionTest, Pattern};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{self, check_size, inner_object, invalid, read, required, required_string, string};
use crate::error::QueryError;
use crate::limits::RequestLimits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterBody<'a> {
    #[serde(borrow)]
    dimension: Option<&'a RawValue>,
    op: Option<&'a RawValue>,
    value: Option<&'a RawValue>,
}

pub(super) fn parse(raw: Option<&RawValue>, limits: &RequestLimits) -> Result<Vec<DimensionFilter>, QueryError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let bodies: Vec<&RawValue> = read("filters", raw, "a list of objects with dimension, op and value")?;
    check_size("filters", "entries", bodies.len(), limits.filters)?;
    let mut filters = Vec::with_capacity(bodies.len());
    let mut listed = 0;
    for (at, raw) in bodies.into_iter().enumerate() {
        let filter = parse_one(&format!("filters[{at}]"), raw, limits)?;
        if let DimensionTest::In(values) | DimensionTest::NotIn(values) = &filter.test {
            listed += values.len();
            check_size("filters", "listed values", listed, limits.filter_values)?;
        }
        filters.push(filter);
    }
    Ok(filters)
}

fn parse_one(path: &str, raw: &RawValue, limits: &RequestLimits) -> Result<DimensionFilter, QueryError> {
    let body: FilterBody<'_> = inner_object(path, raw, "an object with dimension, op and value")?;
    let key = required_string(&format!("{path}.dimension"), body.dimension, "the dimension's key")?;
    check_key(&format!("{path}.dimension"), &key)?;
    let op = required_string(&format!("{path}.op"), body.op, "one of eq, ne, in, notIn, exists, prefix, regex")?;
    let value_path = format!("{path}.value");
    let text = || -> Result<String, QueryError> {
        let text = required_string(&value_path, body.value, "a string")?;
        check_size(&value_path, "bytes", text.len(), SampleLimits::RECORD.dimension_value_bytes)?;
        Ok(text)
    };
    let list = || parse_list(&value_path, body.value, limits);
    let test = match op.as_str() {
        "eq" => DimensionTest::Equal(text()?),
        "ne" => DimensionTest::NotEqual(text()?),
        "in" => DimensionTest::In(list()?),
        "notIn" => DimensionTest::NotIn(list()?),
        "exists" => {
            let wanted = body.value.map(|raw| read(&value_path, raw, "true or false")).transpose()?;
            DimensionTest::Exists(wanted.unwrap_or(true))
        }
        "prefix" => DimensionTest::Prefix(text()?),
        "regex" => DimensionTest::Regex(parse_pattern(&value_path, body.value, limits)?),
        other => {
            return Err(invalid(&format!("{path}.op"), "one of eq, ne, in, notIn, exists, prefix, regex", other));
        }
    };
    Ok(DimensionFilter { key, test })
}

fn parse_list(path: &str, raw: Option<&RawValue>, limits: &RequestLimits) -> Result<BTreeSet<String>, QueryError> {
    let raw = required(path, raw, "a list of strings")?;
    let values: Vec<String> = read(path, raw, "a list of strings")?;
    check_size(path, "values", values.len(), limits.filter_values)?;
    for (at, value) in values.iter().enumerate() {
        check_size(&format!("{path}[{at}]"), "bytes", value.len(), SampleLimits::RECORD.dimension_value_bytes)?;
    }
    Ok(values.into_iter().collect())
}

fn parse_pattern(path: &str, raw: Option<&RawValue>, limits: &RequestLimits) -> Result<Pattern, QueryError> {
    let text = string(path, required(path, raw, "a regular expression")?, "a regular expression")?;
    check_size(path, "bytes", text.len(), limits.pattern_bytes)?;
    Pattern::compile(&text)
        .map_err(|error| QueryError::PatternInvalid { field: path.to_owned(), detail: error.to_string() })
}

/// Checks a dimension's key.
pub(super) fn check_key(path: &str, key: &str) -> Result<(), QueryError> {
    check_size(path, "bytes", key.len(), SampleLimits::RECORD.dimension_key_bytes)?;
    if key.is_empty() { Err(fields::invalid(path, "a dimension's key, not empty", "\"\"")) } else { Ok(()) }
}
