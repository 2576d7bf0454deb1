//! The figures as a table for people, with the ratios and what we aim for.

use comfy_table::{CellAlignment, Table, presets};

use super::measure::Measurements;

/// The table of the first workload: Luminate beside its peer.
pub(super) fn comparison(ours: &Measurements, peer: Option<&Measurements>) -> String {
    let mut table = table(&["", ours.name, peer.map_or("(no peer)", |peer| peer.name), "ratio", "aim"]);
    let mut row = |title: &str, of: &dyn Fn(&Measurements) -> f64, decimals: usize, aim: &str| {
        let (own, other) = (of(ours), peer.map(of));
        let ratio = other.filter(|other| *other > 0.0).map(|other| own / other);
        let show = |number: f64, decimals: usize| format!("{number:.decimals$}");
        table.add_row([
            title.to_owned(),
            show(own, decimals),
            other.map_or_else(String::new, |other| show(other, decimals)),
            ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}")),
            aim.to_owned(),
        ]);
    };
    row("ingest, known series, CPU-s/M", &|m| m.known_series_cpu_s_per_million, 2, "<= 0.6x");
    row("ingest, new series, CPU-s/M", &|m| m.new_series_cpu_s_per_million, 2, "<= 0.1x");
    row("ingest, samples/s", &|m| m.samples_per_second, 0, "");
    row("disk, bytes/sample", &|m| m.disk_bytes_per_sample, 2, "<= 5, <= 0.35x");
    row("peak memory, MiB", &|m| m.peak_memory_bytes as f64 / 1048576.0, 0, "<= 0.5x");
    row("start with all stored, ms", &|m| m.start_ms, 0, "< 1000");
    row("write p50 at the fixed rate, ms", &|m| m.paced.as_ref().map_or(0.0, |paced| paced.p50_ms), 1, "");
    row("write p95 at the fixed rate, ms", &|m| m.paced.as_ref().map_or(0.0, |paced| paced.p95_ms), 1, "< 100");
    for (at, query) in ours.queries.iter().enumerate() {
        let aim = if at < 2 { "<= 0.03x" } else { "" };
        let cpu = |m: &Measurements| m.queries.get(at).map_or(0.0, |query| query.cpu_s);
        row(&format!("{}, CPU-s", query.name), &cpu, 4, aim);
        let aim = if query.name == "one customer" { "<= 5" } else { "" };
        let median = |m: &Measurements| m.queries.get(at).map_or(0.0, |query| query.median_ms);
        row(&format!("{}, median ms", query.name), &median, 2, aim);
    }
    table.to_string()
}

/// The table of the second workload beside the first: what many tenants and metrics cost.
pub(super) fn spread(single: &Measurements, many: &Measurements) -> String {
    let mut table = table(&["", "1 tenant, 1 metric", "many tenants and metrics", "ratio", "aim"]);
    let rows: [(&str, f64, f64); 3] = [
        ("ingest, new series, CPU-s/M", single.new_series_cpu_s_per_million, many.new_series_cpu_s_per_million),
        ("ingest, known series, CPU-s/M", single.known_series_cpu_s_per_million, many.known_series_cpu_s_per_million),
        ("disk, bytes/sample", single.disk_bytes_per_sample, many.disk_bytes_per_sample),
    ];
    for (title, one, spread) in rows {
        let ratio = if one > 0.0 { format!("{:.2}", spread / one) } else { String::new() };
        table.add_row([title.to_owned(), format!("{one:.2}"), format!("{spread:.2}"), ratio, "<= 1.3x".to_owned()]);
    }
    table.to_string()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
