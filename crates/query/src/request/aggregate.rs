//! The fields of an aggregate query.

use std::collections::BTreeSet;

use luminate_storage::{AggregateFunction, Direction, GroupOrder};
use serde_json::value::RawValue;

use super::fields::{check_size, invalid, limit, read, refuse, required, string};
use super::filters::check_key;
use super::time::parse_duration;
use super::{AggregateQuery, Align, Body, RequestedStep};
use crate::error::QueryError;
use crate::limits::RequestLimits;

const FUNCTIONS: &str =
    "one of avg, sum, min, max, count, stddev, distinct, first, last, or p with a number from 0 to 100";

pub(super) fn parse(body: &Body<'_>, limits: &RequestLimits) -> Result<AggregateQuery, QueryError> {
    refuse("aggregate", &[("cursor", body.cursor)])?;
    Ok(AggregateQuery {
        function: parse_function(body)?,
        group_by: parse_group_by(body.group_by, limits)?,
        step: parse_step(body)?,
        order: parse_order(body)?,
        limit: limit(body.limit, limits.rows)?.unwrap_or(limits.rows),
    })
}

fn parse_function(body: &Body<'_>) -> Result<AggregateFunction, QueryError> {
    let raw = required("aggregation", body.aggregation, FUNCTIONS)?;
    let name = string("aggregation", raw, FUNCTIONS)?;
    let of = body.of.map(|of| string("of", of, "the key of the dimension whose values are counted")).transpose()?;
    if let Some(key) = &of {
        check_key("of", key)?;
        if name != "distinct" {
            return Err(QueryError::FieldInvalid(format!("of belongs to distinct, not to {name:?}")));
        }
    }
    Ok(match name.as_str() {
        "avg" => AggregateFunction::Avg,
        "sum" => AggregateFunction::Sum,
        "min" => AggregateFunction::Min,
        "max" => AggregateFunction::Max,
        "count" => AggregateFunction::Count,
        "stddev" => AggregateFunction::Stddev,
        "distinct" => AggregateFunction::Distinct { of },
        "first" => AggregateFunction::First,
        "last" => AggregateFunction::Last,
        _ => match parse_percentile(&name) {
            Some(percent) => AggregateFunction::Percentile(percent),
            None => return Err(invalid("aggregation", FUNCTIONS, raw.get())),
        },
    })
}

/// Reads `p` with a decimal number from 0 to 100, in digits and at most one point.
fn parse_percentile(name: &str) -> Option<f64> {
    let number = name.strip_prefix('p')?;
    let plain = number.starts_with(|first: char| first.is_ascii_digit())
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && number.len() <= 20;
    let percent: f64 = if plain { number.parse().ok()? } else { return None };
    (0.0..=100.0).contains(&percent).then_some(percent)
}

fn parse_group_by(raw: Option<&RawValue>, limits: &RequestLimits) -> Result<Vec<String>, QueryError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let keys: Vec<String> = read("groupBy", raw, "a list of dimension keys")?;
    check_size("groupBy", "dimensions", keys.len(), limits.group_by)?;
    let mut seen = BTreeSet::new();
    for (at, key) in keys.iter().enumerate() {
        check_key(&format!("groupBy[{at}]"), key)?;
        if !seen.insert(key) {
            return Err(QueryError::FieldInvalid(format!("groupBy[{at}]: {key:?} stands there twice")));
        }
    }
    Ok(keys)
}

fn parse_step(body: &Body<'_>) -> Result<Option<RequestedStep>, QueryError> {
    let align = body.align.map(|raw| string("align", raw, "\"epoch\" or \"start\"")).transpose()?;
    let Some(raw) = body.step else {
        return match align {
            Some(_) => Err(QueryError::FieldInvalid("align belongs to step, which is not there".to_owned())),
            None => Ok(None),
        };
    };
    let text = string("step", raw, "a duration, as in \"5m\"")?;
    let width = parse_duration(&text).map_err(|fault| QueryError::FieldInvalid(format!("step: {fault}")))?;
    let align = match align.as_deref() {
        None | Some("epoch") => Align::Epoch,
        Some("start") => Align::Start,
        Some(other) => return Err(invalid("align", "\"epoch\" or \"start\"", other)),
    };
    Ok(Some(RequestedStep { width, align }))
}

fn parse_order(body: &Body<'_>) -> Result<GroupOrder, QueryError> {
    let order_by = body.order_by.map(|raw| string("orderBy", raw, "\"group\" or \"value\"")).transpose()?;
    let order = body.order.map(|raw| string("order", raw, "\"asc\" or \"desc\"")).transpose()?;
    let ascending = match order.as_deref() {
        None => None,
        Some("asc") => Some(true),
        Some("desc") => Some(false),
        Some(other) => return Err(invalid("order", "\"asc\" or \"desc\"", other)),
    };
    match (order_by.as_deref(), ascending) {
        (None | Some("group"), None | Some(true)) => Ok(GroupOrder::GroupAscending),
        (None | Some("group"), Some(false)) => Ok(GroupOrder::GroupDescending),
        (Some("value"), Some(true)) => Ok(GroupOrder::Value(Direction::Ascending)),
        (Some("value"), None | Some(false)) => Ok(GroupOrder::Value(Direction::Descending)),
        (Some(other), _) => Err(invalid("orderBy", "\"group\" or \"value\"", other)),
    }
}
