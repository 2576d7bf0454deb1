//! The figures as tables for people, with what we aim for.

use comfy_table::{CellAlignment, Table, presets};

use crate::Figures;
use crate::paced::Paced;
use crate::peer::Peer;

/// All tables.
pub(crate) fn tables(figures: &Figures) -> String {
    let mut tables = vec![costs(figures)];
    if !figures.paced.is_empty() {
        tables.push(paced(figures));
        tables.push(queries(figures));
    }
    if let Some(peer) = &figures.peer {
        tables.push(comparison(figures, peer));
    }
    tables.iter().map(Table::to_string).collect::<Vec<_>>().join("\n\n")
}

fn costs(figures: &Figures) -> Table {
    let (ingest, stored) = (&figures.ingest, &figures.stored);
    let title = format!("at full speed, {} samples, {} processors", ingest.samples, figures.processors);
    let mut table = table(&[&title, "", "aim"]);
    let mut row = |name: &str, value: f64, decimals: usize, aim: &str| {
        table.add_row([name.to_owned(), format!("{value:.decimals$}"), aim.to_owned()]);
    };
    row("gateway, CPU-s/M", ingest.gateway_cpu_s_per_million, 2, "<= 2.0");
    row("gateway, samples/s a core", 1e6 / ingest.gateway_cpu_s_per_million, 0, ">= 500000");
    row("gateway, samples/s by the clock", ingest.samples_per_second, 0, "");
    row("gateway, peak memory, MiB", ingest.gateway_peak_mib, 0, "");
    row("Kafka, CPU-s/M", ingest.kafka_cpu_s_per_million, 2, "");
    row("Kafka, bytes/sample", ingest.kafka_bytes_per_sample, 1, "<= 16");
    row("writer, CPU-s/M", stored.writer_cpu_s_per_million, 2, "<= 1.0");
    row("writer, samples/s by the clock", stored.samples_per_second, 0, "");
    row("writer, samples/batch", stored.samples_per_batch, 0, "");
    row("writer, peak memory, MiB", stored.writer_peak_mib, 0, "");
    row("ClickHouse, CPU-s/M, all merges included", stored.store_cpu_s_per_million, 2, "<= 1.2");
    row("ClickHouse, CPU-s/M, until all was stored", stored.store_cpu_s_per_million_before_merges, 2, "");
    row("ClickHouse, bytes/sample after merges", stored.store_bytes_per_sample, 1, "<= 21");
    row("ClickHouse, parts left", stored.parts as f64, 0, "");
    row("ClickHouse, peak memory, MiB", stored.store_peak_mib, 0, "");
    table
}

fn paced(figures: &Figures) -> Table {
    let title = format!("{} samples/s, batches at most so old:", figures.rate);
    let mut header = vec![title];
    header.extend(figures.paced.iter().map(|paced| format!("{} ms", paced.batch_age_ms)));
    header.push("aim".to_owned());
    let mut table = table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let mut row = |name: &str, of: &dyn Fn(&Paced) -> f64, decimals: usize, aim: &str| {
        let mut cells = vec![name.to_owned()];
        cells.extend(figures.paced.iter().map(|paced| format!("{:.decimals$}", of(paced))));
        cells.push(aim.to_owned());
        table.add_row(cells);
    };
    row("write request, p50, ms", &|paced| paced.write.p50_ms, 1, "");
    row("write request, p95, ms", &|paced| paced.write.p95_ms, 1, "< 100");
    row("write request, slowest, ms", &|paced| paced.write.max_ms, 1, "");
    row("from 2xx to readable, p50, ms", &|paced| paced.readable.p50_ms, 0, "");
    row("from 2xx to readable, p95, ms", &|paced| paced.readable.p95_ms, 0, "< 5000, < 1000");
    row("from 2xx to readable, slowest, ms", &|paced| paced.readable.max_ms, 0, "");
    row("samples/batch", &|paced| paced.samples_per_batch, 0, "");
    row("gateway, CPU-s/M", &|paced| paced.gateway_cpu_s_per_million, 2, "");
    row("writer, CPU-s/M", &|paced| paced.writer_cpu_s_per_million, 2, "");
    row("ClickHouse, CPU-s/M, merges included", &|paced| paced.store_cpu_s_per_million, 2, "");
    row("Kafka, CPU-s/M", &|paced| paced.kafka_cpu_s_per_million, 2, "");
    table
}

fn queries(figures: &Figures) -> Table {
    let mut table =
        table(&["query", "samples read", "p50, ms", "p95, ms (< 200)", "CPU-s, ClickHouse", "CPU-s, query-api"]);
    for query in &figures.queries {
        table.add_row([
            query.name.to_owned(),
            query.samples_read.map_or_else(String::new, |samples| samples.to_string()),
            format!("{:.1}", query.times.p50_ms),
            format!("{:.1}", query.times.p95_ms),
            format!("{:.4}", query.store_cpu_s),
            format!("{:.4}", query.query_api_cpu_s),
        ]);
    }
    table
}

fn comparison(figures: &Figures, peer: &Peer) -> Table {
    let (ingest, stored) = (&figures.ingest, &figures.stored);
    let mut table = table(&["from Kafka to ClickHouse", "Luminate", "ClickHouse's Kafka engine", "ratio"]);
    let mut row = |name: &str, own: f64, other: f64, decimals: usize| {
        let ratio = if other > 0.0 { format!("{:.2}", own / other) } else { String::new() };
        table.add_row([name.to_owned(), format!("{own:.decimals$}"), format!("{other:.decimals$}"), ratio]);
    };
    let own_cpu = stored.writer_cpu_s_per_million + stored.store_cpu_s_per_million;
    row("CPU-s/M, consumer and server, merges included", own_cpu, peer.cpu_s_per_million, 2);
    row("samples/s by the clock", stored.samples_per_second, peer.samples_per_second, 0);
    row("bytes/sample on Kafka", ingest.kafka_bytes_per_sample, peer.kafka_bytes_per_sample, 1);
    row("bytes/sample in ClickHouse", stored.store_bytes_per_sample, peer.store_bytes_per_sample, 1);
    row("peak memory, consumer and server, MiB", stored.writer_peak_mib + stored.store_peak_mib, peer.peak_mib, 0);
    table.add_row(["after a crash, samples are there", "once", "at least once", ""]);
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
