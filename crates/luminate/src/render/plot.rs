//! Answers of queries as pictures made of characters: bars for groups, a chart for one series over time, a line each for
//! several.

use std::fmt::Write as _;

use super::query_table::group_values;
use super::{number, time};
use crate::client::answers::GroupResult;

/// An eighth to the whole of a cell, from its bottom.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// An eighth to the whole of a cell, from its left.
const WIDTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

const CHART_ROWS: usize = 12;

/// The longest name beside a picture, in characters.
const MAX_LABEL: usize = 40;

/// One series over time: starts of buckets in ms, ascending, and values.
type Steps = [(i64, f64)];

/// Draws the results into `width` characters; `step` is the buckets' length in ms.
pub(crate) fn draw(results: &[GroupResult], group_by: &[String], step: Option<i64>, width: usize) -> String {
    let label = |result: &GroupResult| cut(&group_values(result, group_by).join(" "), MAX_LABEL);
    let known = |values: &Vec<(i64, Option<f64>)>| -> Vec<(i64, f64)> {
        values.iter().filter_map(|(start, value)| Some((*start, (*value)?))).collect()
    };
    let series: Vec<(String, Vec<(i64, f64)>)> =
        results.iter().filter_map(|result| Some((label(result), known(result.values.as_ref()?)))).collect();
    match series.as_slice() {
        [] => {
            let groups: Vec<(String, f64)> =
                results.iter().filter_map(|result| Some((label(result), result.value?))).collect();
            bars(&groups, width)
        }
        [(_, steps)] => chart(steps, step, width),
        several => sparklines(several, step, width),
    }
}

/// A bar for each group, from zero; values below zero have none.
fn bars(groups: &[(String, f64)], width: usize) -> String {
    let largest = groups.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let labels = widest(groups.iter().map(|(label, _)| label.as_str()));
    let numbers: Vec<String> = groups.iter().map(|(_, value)| number::value(*value)).collect();
    let room = width.saturating_sub(labels + widest(numbers.iter().map(String::as_str)) + 3).max(10);
    let mut picture = String::new();
    for ((label, value), number) in groups.iter().zip(&numbers) {
        let eighths = if largest > 0.0 { (value.max(0.0) / largest * (room * 8) as f64).round() as usize } else { 0 };
        let mut bar = "█".repeat(eighths / 8);
        if let Some(part) = (eighths % 8).checked_sub(1).and_then(|part| WIDTHS.get(part)) {
            bar.push(*part);
        }
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(picture, "{label:<labels$} {bar} {number}");
    }
    picture
}

/// A chart with axes. The scale begins at zero, or at the smallest value where that is below zero.
fn chart(steps: &Steps, step: Option<i64>, width: usize) -> String {
    let Some(span) = Span::of(std::iter::once(steps), step) else {
        return String::new();
    };
    let (low, high) = scale(steps.iter().map(|(_, value)| *value));
    const MIDDLE: usize = CHART_ROWS / 2;
    const BOTTOM: usize = CHART_ROWS - 1;
    let mark = |row| match row {
        0 => number::value(high),
        MIDDLE => number::value(low + (high - low) / 2.0),
        BOTTOM => number::value(low),
        _ => String::new(),
    };
    let marks: Vec<String> = (0..CHART_ROWS).map(mark).collect();
    let margin = widest(marks.iter().map(String::as_str));
    let columns = span.columns(steps, width.saturating_sub(margin + 3));
    let mut picture = String::new();
    for (row, mark) in marks.iter().enumerate() {
        let below = BOTTOM - row;
        let cells: String = columns
            .iter()
            .map(|value| {
                let Some(value) = value else { return ' ' };
                let eighths = ((value - low) / (high - low) * (CHART_ROWS * 8) as f64).round() as usize;
                // What is there shows, however small.
                cell(eighths.max(1).saturating_sub(below * 8))
            })
            .collect();
        let _ = writeln!(picture, "{mark:>margin$} ┤{}", cells.trim_end());
    }
    let (start, end) = span.ends();
    let gap = columns.len().saturating_sub(start.chars().count() + end.chars().count()).max(1);
    let _ = writeln!(picture, "{:margin$} └{}", "", "─".repeat(columns.len()));
    let _ = writeln!(picture, "{:margin$}  {start}{:gap$}{end}", "", "");
    picture
}

/// A line for each series, on one scale and one span of time.
fn sparklines(series: &[(String, Vec<(i64, f64)>)], step: Option<i64>, width: usize) -> String {
    let Some(span) = Span::of(series.iter().map(|(_, steps)| steps.as_slice()), step) else {
        return String::new();
    };
    let (low, high) = scale(series.iter().flat_map(|(_, steps)| steps.iter().map(|(_, value)| *value)));
    let labels = widest(series.iter().map(|(label, _)| label.as_str()));
    let greatest =
        |steps: &Steps| number::value(steps.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max));
    let margin = series.iter().map(|(_, steps)| greatest(steps).chars().count()).max().unwrap_or(0);
    let room = width.saturating_sub(labels + margin + 8);
    let mut picture = String::new();
    let mut columns_drawn = 0;
    for (label, steps) in series {
        let columns = span.columns(steps, room);
        columns_drawn = columns.len();
        let cells: String = columns
            .iter()
            .map(|value| value.map_or(' ', |value| cell(((value - low) / (high - low) * 8.0).ceil().max(1.0) as usize)))
            .collect();
        let _ = writeln!(picture, "{label:<labels$} {cells}  max {:>margin$}", greatest(steps));
    }
    let (start, end) = span.ends();
    let gap = columns_drawn.saturating_sub(start.chars().count() + end.chars().count()).max(1);
    let _ = writeln!(picture, "{:labels$} {start}{:gap$}{end}", "", "");
    picture
}

/// The time that pictures cover: buckets from the first to the last, also those without samples.
struct Span {
    first: i64,
    last: i64,
    step: i64,
}

impl Span {
    /// The span of several series; `None` where none has a bucket.
    fn of<'a>(series: impl Iterator<Item = &'a Steps> + Clone, step: Option<i64>) -> Option<Self> {
        let starts = series.clone().flat_map(|steps| steps.iter().map(|(start, _)| *start));
        let (first, last) = (starts.clone().min()?, starts.max()?);
        let gaps = series.flat_map(|steps| {
            steps.windows(2).filter_map(|pair| match pair {
                [(a, _), (b, _)] => Some(b - a),
                _ => None,
            })
        });
        // Where the step was not told, the smallest distance of two buckets is the best guess.
        let step = step.or_else(|| gaps.filter(|gap| *gap > 0).min()).unwrap_or(1).max(1);
        Some(Self { first, last, step })
    }

    /// The series in at most `room` columns. Where buckets are more than columns, a column shows its largest value, so that no
    /// peak is lost; where they are fewer, each is as wide as fits.
    fn columns(&self, steps: &Steps, room: usize) -> Vec<Option<f64>> {
        let room = room.max(10);
        let buckets = ((self.last - self.first) / self.step + 1) as usize;
        let wide = (room / buckets).max(1);
        let columns = (buckets * wide).min(room);
        let mut drawn: Vec<Option<f64>> = vec![None; columns];
        for &(start, value) in steps {
            let bucket = ((start - self.first) / self.step) as usize;
            let from = bucket * columns / buckets;
            let to = ((bucket + 1) * columns / buckets).max(from + 1);
            for column in drawn.iter_mut().take(to).skip(from) {
                *column = Some(column.map_or(value, |known| known.max(value)));
            }
        }
        drawn
    }

    fn ends(&self) -> (String, String) {
        let span = self.last - self.first;
        (time::show_short(self.first, span), time::show_short(self.last, span))
    }
}

/// From zero, or the smallest value where it is below, to the largest.
fn scale(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((0.0_f64, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if high > low { (low, high) } else { (low, low + 1.0) }
}

/// A cell that is filled by so many eighths.
fn cell(eighths: usize) -> char {
    match eighths.min(8).checked_sub(1) {
        Some(level) => LEVELS.get(level).copied().unwrap_or(' '),
        None => ' ',
    }
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

fn cut(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(characters - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result(name: &str, value: Option<f64>, values: Option<Vec<(i64, f64)>>) -> GroupResult {
        let values = values.map(|values| values.into_iter().map(|(start, value)| (start, Some(value))).collect());
        GroupResult { group: [("k".to_owned(), Some(name.to_owned()))].into(), value, values }
    }

    fn key() -> Vec<String> {
        vec!["k".to_owned()]
    }

    #[test]
    fn bars_are_in_proportion() {
        let groups = [result("a", Some(40.0), None), result("bb", Some(20.0), None), result("c", Some(-1.0), None)];
        let picture = draw(&groups, &key(), None, 27);
        assert_eq!(picture, "a  ████████████████████ 40\nbb ██████████ 20\nc   -1\n");
    }

    #[test]
    fn a_chart_leaves_gaps_open_and_names_its_ends() {
        let steps = vec![(0, 1.0), (60_000, 2.0), (180_000, 4.0)];
        let picture = draw(&[result("a", None, Some(steps))], &key(), Some(60_000), 20);
        let rows: Vec<&str> = picture.lines().collect();
        assert_eq!(rows.len(), CHART_ROWS + 2);
        assert_eq!(rows[0], "4 ┤            ████", "three quarters are empty at the top");
        assert_eq!(rows[CHART_ROWS - 1], "0 ┤████████    ████", "the third bucket has no samples");
        assert!(rows[CHART_ROWS + 1].contains("1970-01-01 00:00:00 1970-01-01 00:03:00"));
    }

    #[test]
    fn several_series_share_a_scale() {
        let picture = draw(
            &[result("a", None, Some(vec![(0, 8.0), (1, 4.0)])), result("b", None, Some(vec![(1, 1.0)]))],
            &key(),
            Some(1),
            21,
        );
        let rows: Vec<&str> = picture.lines().collect();
        assert_eq!(rows[0], "a █████▄▄▄▄▄  max 8");
        assert_eq!(rows[1], "b      ▁▁▁▁▁  max 1");
    }

    #[test]
    fn peaks_survive_where_buckets_are_many() {
        let steps: Vec<(i64, f64)> = (0..1000).map(|at| (at, if at == 555 { 9.0 } else { 0.0 })).collect();
        let span = Span::of(std::iter::once(&steps[..]), Some(1)).unwrap();
        let columns = span.columns(&steps, 50);
        assert_eq!(columns.len(), 50);
        assert_eq!(columns.iter().filter(|column| **column == Some(9.0)).count(), 1);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_is_wider_than_asked(
            values in prop::collection::vec((0i64..5000, -1e9f64..1e9), 0..40),
            width in 0usize..200,
        ) {
            let mut steps = values;
            steps.sort_by_key(|(start, _)| *start);
            let one = draw(&[result("a", None, Some(steps.clone()))], &key(), None, width);
            let two = draw(&[result("a", None, Some(steps.clone())), result("b", None, Some(steps))], &key(), None, width);
            for line in one.lines().take(CHART_ROWS).chain(two.lines().take(2)) {
                prop_assert!(line.chars().count() <= width.max(50), "{line}");
            }
        }
    }
}
