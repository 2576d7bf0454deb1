//! Reading single fields of a request, with faults that name them.

use luminate_model::validation::excerpt;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::QueryError;

/// Reads an object with its fields unread.
pub(super) fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, QueryError> {
    // Without this look an array would be taken for the fields in their order.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        let found = if first.is_none() { "the body is empty" } else { "it does not begin with {" };
        return Err(QueryError::Malformed(found.to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        Category::Data => QueryError::FieldInvalid(error.to_string()),
        _ => QueryError::Malformed(error.to_string()),
    })
}

/// Reads an object inside the request.
pub(super) fn inner_object<'a, T: Deserialize<'a>>(
    field: &str,
    raw: &'a RawValue,
    expected: &str,
) -> Result<T, QueryError> {
    if !raw.get().starts_with('{') {
        return Err(invalid(field, expected, raw.get()));
    }
    serde_json::from_str(raw.get()).map_err(|error| QueryError::FieldInvalid(format!("{field}: {error}")))
}

/// Reads a field as `T`; `expected` says in words what that is.
pub(super) fn read<'a, T: Deserialize<'a>>(field: &str, raw: &'a RawValue, expected: &str) -> Result<T, QueryError> {
    serde_json::from_str(raw.get()).map_err(|_| invalid(field, expected, raw.get()))
}

pub(super) fn string(field: &str, raw: &RawValue, expected: &str) -> Result<String, QueryError> {
    read(field, raw, expected)
}

pub(super) fn required_string(
    field: &str,
    raw: Option<&RawValue>,
    expected: &'static str,
) -> Result<String, QueryError> {
    string(field, required(field, raw, expected)?, expected)
}

pub(super) fn required<'a>(
    field: &str,
    raw: Option<&'a RawValue>,
    expected: &'static str,
) -> Result<&'a RawValue, QueryError> {
    raw.ok_or_else(|| QueryError::FieldMissing { field: field.to_owned(), expected })
}

/// Reads `limit`, from 1 to `most`.
pub(super) fn limit(raw: Option<&RawValue>, most: usize) -> Result<Option<usize>, QueryError> {
    let Some(raw) = raw else { return Ok(None) };
    let expected = "a whole number from 1";
    let limit: u64 = read("limit", raw, expected)?;
    if limit == 0 {
        return Err(invalid("limit", expected, "0"));
    }
    if limit > most as u64 {
        return Err(QueryError::TooLarge { field: "limit".to_owned(), unit: "rows", size: limit, limit: most as u64 });
    }
    Ok(Some(limit as usize))
}

/// Refuses fields that do not belong to this kind of query.
pub(super) fn refuse(query_type: &str, fields: &[(&str, Option<&RawValue>)]) -> Result<(), QueryError> {
    match fields.iter().find(|(_, raw)| raw.is_some()) {
        Some((field, _)) => {
            Err(QueryError::FieldInvalid(format!("{field} does not belong to a query of type {query_type}")))
        }
        None => Ok(()),
    }
}

pub(super) fn check_size(field: &str, unit: &'static str, size: usize, limit: usize) -> Result<(), QueryError> {
    if size <= limit {
        return Ok(());
    }
    Err(QueryError::TooLarge { field: field.to_owned(), unit, size: size as u64, limit: limit as u64 })
}

pub(super) fn invalid(field: &str, expected: &str, found: &str) -> QueryError {
    QueryError::FieldInvalid(format!("{field}: expected {expected}, found {}", excerpt(found)))
}
