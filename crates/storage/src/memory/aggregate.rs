//! The meaning of every aggregate, evaluated row by row: what other executions must equal.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Row;
use crate::request::{AggregateFunction, AggregateRequest, Direction, GroupOrder};
use crate::source::{AggregateAnswer, AggregateGroup};

pub(super) fn evaluate(rows: &[Row], request: &AggregateRequest) -> AggregateAnswer {
    let mut groups = BTreeMap::<Vec<Option<String>>, Vec<&Row>>::new();
    for row in rows {
        let value_of = |key: &String| Some(row.sample.dimensions.value(key)).filter(|value| !value.is_empty());
        let group = request.group_by.iter().map(|key| value_of(key).map(str::to_owned)).collect();
        groups.entry(group).or_default().push(row);
    }
    let mut groups: Vec<AggregateGroup> = groups
        .into_iter()
        .map(|(group, rows)| AggregateGroup {
            group,
            value: compute(&request.function, &rows),
            steps: steps(request, &rows),
        })
        .collect();
    groups.sort_by(|a, b| compare(request.order, a, b));
    let limit = request.limit.unwrap_or(usize::MAX);
    let truncated = groups.len() > limit;
    groups.truncate(limit);
    AggregateAnswer { groups, truncated }
}

fn steps(request: &AggregateRequest, rows: &[&Row]) -> Vec<(i64, f64)> {
    let Some(step) = request.step else { return Vec::new() };
    let mut buckets = BTreeMap::<i64, Vec<&Row>>::new();
    for row in rows {
        buckets.entry(step.bucket(row.sample.timestamp)).or_default().push(row);
    }
    buckets.into_iter().map(|(start, rows)| (start, compute(&request.function, &rows))).collect()
}

/// The value over `rows`, of which there is at least one. There is no negative zero in answers.
fn compute(function: &AggregateFunction, rows: &[&Row]) -> f64 {
    let values: Vec<f64> = rows.iter().map(|row| row.sample.value).collect();
    let count = values.len() as f64;
    let value = match function {
        AggregateFunction::Avg => values.iter().sum::<f64>() / count,
        AggregateFunction::Sum => values.iter().sum(),
        AggregateFunction::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        AggregateFunction::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        AggregateFunction::Count => count,
        AggregateFunction::Stddev => standard_deviation(&values),
        AggregateFunction::Distinct { of: None } => {
            rows.iter().map(|row| row.sample.series_id()).collect::<BTreeSet<_>>().len() as f64
        }
        AggregateFunction::Distinct { of: Some(key) } => {
            let values = rows.iter().map(|row| row.sample.dimensions.value(key));
            values.filter(|value| !value.is_empty()).collect::<BTreeSet<_>>().len() as f64
        }
        AggregateFunction::First => value_at(rows, rows.iter().map(|row| row.sample.timestamp).min()),
        AggregateFunction::Last => value_at(rows, rows.iter().map(|row| row.sample.timestamp).max()),
        AggregateFunction::Percentile(rank) => percentile(values, *rank),
    };
    value + 0.0
}

fn standard_deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt()
}

/// The largest value at a timestamp.
fn value_at(rows: &[&Row], timestamp: Option<i64>) -> f64 {
    let there = rows.iter().filter(|row| Some(row.sample.timestamp) == timestamp);
    there.map(|row| row.sample.value).fold(f64::NEG_INFINITY, f64::max)
}

fn percentile(mut values: Vec<f64>, percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() - 1) as f64 * (percent / 100.0);
    let below = values[place.floor() as usize];
    let above = values[place.ceil() as usize];
    below + (above - below) * (place - place.floor())
}

fn compare(order: GroupOrder, a: &AggregateGroup, b: &AggregateGroup) -> Ordering {
    let by_group = compare_groups(&a.group, &b.group, false);
    match order {
        GroupOrder::GroupAscending => by_group,
        GroupOrder::GroupDescending => compare_groups(&a.group, &b.group, true),
        GroupOrder::Value(Direction::Ascending) => a.value.total_cmp(&b.value).then(by_group),
        GroupOrder::Value(Direction::Descending) => b.value.total_cmp(&a.value).then(by_group),
    }
}

fn compare_groups(a: &[Option<String>], b: &[Option<String>], descending: bool) -> Ordering {
    let dimensions = a.iter().zip(b).map(|pair| match pair {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) if descending => b.cmp(a),
        (Some(a), Some(b)) => a.cmp(b),
    });
    dimensions.fold(Ordering::Equal, Ordering::then)
}
