//! What a process tells of itself, held against the product's table of metrics: a name that is not in it would read as 0 for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use crate::client::Client;

/// A metric as the documentation's table has it. A test of the product compares the table with the code.
pub struct Documented {
    pub kind: String,
    pub labels: BTreeSet<String>,
    /// Whose it is, as the table says it.
    processes: BTreeSet<String>,
}

impl Documented {
    /// Whether one of the processes, or parts of processes, has it.
    pub fn is_of(&self, processes: &[&str]) -> bool {
        processes.iter().any(|process| self.processes.contains(*process)) || self.processes.contains("every")
    }
}

/// The table of `docs/metrics.md`, by name.
pub fn documented() -> &'static BTreeMap<String, Documented> {
    static TABLE: OnceLock<BTreeMap<String, Documented>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        let page = std::fs::read_to_string(page).expect("docs/metrics.md");
        let table: BTreeMap<_, _> = page.lines().filter(|line| line.starts_with("| `")).map(row).collect();
        assert!(table.len() > 40, "the table is read: {}", table.len());
        table
    })
}

fn row(line: &str) -> (String, Documented) {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let labels = cells[4].split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let processes = cells[5].split(", ").map(str::to_owned).collect();
    (cells[1].trim_matches('`').to_owned(), Documented { kind: cells[2].to_owned(), labels, processes })
}

/// What the process at `url` exports, in Prometheus' text format.
pub fn scrape(url: &str) -> String {
    String::from_utf8(Client::new(url, "").get("/metrics").bytes).expect("text")
}

/// Names and kinds of what is exported.
pub fn scraped(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Asserts that the processes, or parts of processes, that one process is export what the table says they have, and nothing else.
/// What has labels may be missing where nothing was counted.
pub fn assert_exported(url: &str, processes: &[&str]) {
    let scraped = scraped(&scrape(url));
    for (name, kind) in &scraped {
        let known = documented().get(name).unwrap_or_else(|| panic!("{name} is not documented"));
        assert!(known.is_of(processes), "{processes:?} exports {name}, which the documentation says it does not");
        assert_eq!(&known.kind, kind, "{name}");
    }
    let missing = documented().iter().filter(|(name, metric)| {
        metric.is_of(processes) && metric.labels.is_empty() && !scraped.contains_key(name.as_str())
    });
    let missing: Vec<_> = missing.map(|(name, _)| name).collect();
    assert!(missing.is_empty(), "{processes:?} does not export {missing:?}");
}

/// A number of the metrics that a process exports: the sum over all series of `name` whose labels hold `label`. Nothing was
/// counted where there is none, as the table has the name. `process` is which service it is; `None` for one that is several.
pub fn value(url: &str, process: Option<&str>, name: &str, label: &str) -> f64 {
    assert_documented(process, name, label);
    let text = scrape(url);
    let of_name = |line: &&str| line.starts_with(name) && matches!(line.as_bytes().get(name.len()), Some(b'{' | b' '));
    let lines = text.lines().filter(of_name).filter(|line| line.contains(label));
    lines.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")).sum()
}

fn assert_documented(process: Option<&str>, name: &str, label: &str) {
    let of_histogram = ["_count", "_sum", "_bucket"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let is_histogram = |metric: &&Documented| metric.kind == "histogram";
    let metric = match documented().get(name) {
        Some(metric) if is_histogram(&metric) => panic!("{name} is a histogram: ask for its _count or _sum"),
        Some(metric) => Some(metric),
        None => of_histogram.and_then(|stem| documented().get(stem)).filter(is_histogram),
    };
    let metric = metric.unwrap_or_else(|| panic!("Luminate has no metric {name}"));
    assert!(process.is_none_or(|process| metric.is_of(&[process])), "{name} is none of {process:?}");
    for (label, _) in label.split(',').filter_map(|label| label.split_once('=')) {
        assert!(metric.labels.contains(label), "{name} has no label {label}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_table_are_taken() {
        assert_documented(Some("writer"), "luminate_partitions_stopped", "");
        assert_documented(Some("gateway"), "luminate_http_requests_total", r#"path="/api/v1/write",status="202""#);
        assert_documented(None, "luminate_batch_age_seconds_count", "");
        assert_documented(None, "luminate_disk_bytes", "store");
    }

    #[test]
    #[should_panic(expected = "Luminate has no metric luminate_partitions_halted")]
    fn a_name_that_nothing_has_is_no_zero() {
        assert_documented(None, "luminate_partitions_halted", "");
    }

    #[test]
    #[should_panic(expected = "has no metric luminate_partitions_stopped_count")]
    fn what_is_no_histogram_has_no_count() {
        assert_documented(None, "luminate_partitions_stopped_count", "");
    }

    #[test]
    #[should_panic(expected = "is a histogram")]
    fn a_histogram_alone_is_no_number() {
        assert_documented(None, "luminate_batch_age_seconds", "");
    }

    #[test]
    #[should_panic(expected = "luminate_partitions_stopped is none of")]
    fn a_metric_of_another_process_is_no_zero() {
        assert_documented(Some("gateway"), "luminate_partitions_stopped", "");
    }

    #[test]
    #[should_panic(expected = "luminate_http_requests_total has no label route")]
    fn an_unknown_label_is_no_zero() {
        assert_documented(None, "luminate_http_requests_total", r#"route="/""#);
    }
}
