//! The metrics reference as Markdown.

use std::fmt::Write as _;

use super::{DESCRIPTIONS, Process};

/// Metrics that the client library adds.
const FROM_THE_LIBRARY: &[(&str, &str, &str, &str)] = &[
    ("process_cpu_seconds_total", "counter", "seconds", "CPU time that the process has used."),
    ("process_open_fds", "gauge", "files", "File descriptors open now."),
    ("process_max_fds", "gauge", "files", "File descriptors that may be open."),
    ("process_virtual_memory_bytes", "gauge", "bytes", "Address space of the process."),
    ("process_resident_memory_bytes", "gauge", "bytes", "Resident memory of the process."),
    ("process_start_time_seconds", "gauge", "seconds", "When the process started, since 1970."),
    ("process_threads", "gauge", "threads", "Threads of the process."),
];

/// A table of every metric: name, kind, unit, labels, process, meaning.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from("| metric | kind | unit | labels | process | meaning |\n|---|---|---|---|---|---|\n");
    let mut row = |name, kind, unit, labels: &str, processes: &str, meaning| {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {labels} | {processes} | {meaning} |");
    };
    for metric in DESCRIPTIONS {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let processes = if metric.processes == Process::SERVICES {
            "every".to_owned()
        } else {
            metric.processes.iter().map(|process| process.as_str()).collect::<Vec<_>>().join(", ")
        };
        row(metric.name, metric.kind.as_str(), metric.unit, &labels.join(", "), &processes, metric.meaning);
    }
    for (name, kind, unit, meaning) in FROM_THE_LIBRARY {
        row(name, kind, unit, "", "every", meaning);
    }
    page
}
