//! Answers of queries as tables.

use std::collections::BTreeSet;

use comfy_table::Table;

use super::visible::visible;
use super::{number, table, time};
use crate::client::answers::{GroupResult, QueryAnswer, QueryStats, RawSample};

/// What a dimension shows that a group does not have.
pub(crate) const MISSING: &str = "(none)";

/// The answer as a table; `value_name` heads the values, such as `p95`.
pub(crate) fn of_answer(answer: &QueryAnswer, group_by: &[String], value_name: &str) -> Table {
    match &answer.samples {
        Some(samples) => of_samples(samples),
        None => of_groups(&answer.results, group_by, value_name),
    }
}

/// What the answer cost, in a line.
pub(crate) fn cost(stats: &QueryStats) -> String {
    let elapsed = if stats.elapsed_ms < 1.0 { "under 1".to_owned() } else { number::value(stats.elapsed_ms) };
    let bytes = number::bytes(stats.bytes_read);
    format!("{} samples of {} series read, {bytes}, in {elapsed} ms", stats.samples_read, stats.series_read)
}

/// The values of a group as people see them, in the order that was asked for.
pub(crate) fn group_values(result: &GroupResult, group_by: &[String]) -> Vec<String> {
    let value_of = |key: &String| {
        let value = result.group.get(key).and_then(Option::as_deref);
        value.map_or_else(|| MISSING.to_owned(), |value| visible(value).into_owned())
    };
    group_by.iter().map(value_of).collect()
}

fn of_groups(results: &[GroupResult], group_by: &[String], value_name: &str) -> Table {
    let has_steps = results.iter().any(|result| result.values.is_some());
    let mut headings: Vec<&str> = group_by.iter().map(String::as_str).collect();
    headings.extend(has_steps.then_some("time"));
    headings.push(value_name);
    let mut rows = table::new(&headings);
    table::align_right(&mut rows, headings.len() - 1);
    for result in results {
        let group = group_values(result, group_by);
        match &result.values {
            Some(values) => {
                for &(start, value) in values {
                    let mut row = group.clone();
                    row.extend([time::show(start), shown(value)]);
                    rows.add_row(row);
                }
            }
            None => {
                let mut row = group;
                row.push(shown(result.value));
                rows.add_row(row);
            }
        }
    }
    rows
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "(too large)".to_owned(), number::value)
}

fn of_samples(samples: &[RawSample]) -> Table {
    let keys: BTreeSet<&str> = samples.iter().flat_map(|sample| sample.dimensions.keys().map(String::as_str)).collect();
    let mut headings = vec!["time", "value"];
    headings.extend(&keys);
    let mut rows = table::new(&headings);
    table::align_right(&mut rows, 1);
    for sample in samples {
        let mut row = vec![time::show(sample.timestamp), number::value(sample.value)];
        let value_of = |key: &&str| sample.dimensions.get(*key).map(|value| visible(value).into_owned());
        row.extend(keys.iter().map(|key| value_of(key).unwrap_or_default()));
        rows.add_row(row);
    }
    rows
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(json: &str) -> QueryAnswer {
        serde_json::from_str(json).unwrap()
    }

    fn lines(table: &Table) -> Vec<String> {
        let rows = table.to_string();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        rows.lines().filter(|line| line.contains(char::is_alphanumeric)).map(words).collect()
    }

    #[test]
    fn groups_come_in_the_order_asked_for_and_missing_dimensions_show() {
        let answer = answer(
            r#"{"results":[{"group":{"b":"2","a":"1"},"value":145.5},{"group":{"a":null,"b":"3"},"value":1}],
                "truncated":false,"watermark":"w","stats":{"samplesRead":1,"seriesRead":1,"bytesRead":1,"elapsedMs":2,"pagesRead":1}}"#,
        );
        let table = of_answer(&answer, &["b".to_owned(), "a".to_owned()], "p95");
        assert_eq!(lines(&table), ["b a p95", "2 1 145.5", "3 (none) 1"]);
    }

    #[test]
    fn steps_and_raw_samples_show_their_times() {
        let steps = answer(r#"{"results":[{"group":{},"values":[[1735603200000,1.5]]}]}"#);
        assert_eq!(lines(&of_answer(&steps, &[], "avg")), ["time avg", "2024-12-31T00:00:00Z 1.5"]);
        let raw = answer(
            r#"{"samples":[{"timestamp":0,"value":1,"dimensions":{"b":"x"}},{"timestamp":1,"value":2,"dimensions":{"a":"y","b":"z"}}]}"#,
        );
        assert_eq!(
            lines(&of_answer(&raw, &[], "value")),
            ["time value a b", "1970-01-01T00:00:00Z 1 x", "1970-01-01T00:00:00.001Z 2 y z"]
        );
    }
}
