//! `luminate reconcile`

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;
use luminate_clickhouse::ClickHouseSink;
use luminate_kafka::{KafkaCluster, KafkaHistory};
use luminate_model::Source;
use luminate_rocksdb::RocksStore;
use luminate_rocksdb::queue::EmbeddedQueue;
use luminate_runtime::clock::system_clock;
use luminate_runtime::config::Environment;
use luminate_writer::reconcile::{ComparedStore, ReconcileParts, ReconcileReport, ReconcileRequest, reconcile};
use luminate_writer::schema_registry::{HttpSchemaRegistry, RegisteredSchemas, SchemaRegistry};
use luminate_writer::wiring::WriterProcessConfig;

use crate::cluster::ClusterArgs;
use crate::failure::CommandFailure;
use crate::output;
use crate::render;
use crate::serve::load::{LoadedConfig, Overrides, load};

/// Compare what the queue holds with what the store holds; the exit code is 1 where anything is wrong
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the records again, up to what is stored, and compares them with the stored rows: samples are missing, doubled (also under
another batch), or foreign (no record has them).

A cluster: settings are a writer's, kafka and storage.clickhouse in its configuration file, or the variables LUMINATE_KAFKA_* and
LUMINATE_CLICKHOUSE_*. Writers may go on meanwhile, also while something is mended; an erasure may not.

A data folder (--data): settings are those of luminate serve, which must be stopped. Only records that the queue still has can be
compared; in blocks that hold older samples as well, what is missing is seen, and nothing else.

Example:
  luminate reconcile --config writer.yaml
  luminate reconcile --config writer.yaml --from 1767225600000 --to 1767229200000 --mend
  luminate reconcile --data /var/lib/luminate")]
pub(crate) struct ReconcileArgs {
    /// One source, as incarnation/partition; all unless given
    #[arg(long, value_name = "SOURCE")]
    source: Option<Source>,

    /// Records appended at this time or later, in ms since 1970
    #[arg(long, value_name = "MS")]
    from: Option<i64>,

    /// Records appended before this time, in ms since 1970
    #[arg(long, value_name = "MS")]
    to: Option<i64>,

    /// Store what is missing; doubled and foreign rows are left alone
    #[arg(long)]
    mend: bool,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// The data folder of a stopped `luminate serve`, in place of a cluster; the configuration file is then the server's
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(crate) fn run(args: &ReconcileArgs) -> Result<(), CommandFailure> {
    let parts = match &args.data {
        Some(data) => parts_of_node(load_node(args, data)?)?,
        None => parts_of_cluster(args.cluster.load()?)?,
    };
    let request = ReconcileRequest { source: args.source, from: args.from, to: args.to, mend: args.mend };
    let work = async { Ok::<_, anyhow::Error>(reconcile(&parts, &request).await?) };
    let report = args.cluster.block_on(work)?.context("cannot compare")?;
    if args.json {
        output::json(&report)?;
    } else {
        output::data(&table(&report))?;
        explain(&report);
    }
    let ReconcileReport { missing, doubled, foreign, mended, .. } = report;
    if report.clean {
        return Ok(());
    }
    let left = missing.saturating_sub(mended);
    Err(anyhow!("{left} samples are missing, {doubled} doubled, {foreign} foreign").into())
}

fn parts_of_cluster(config: WriterProcessConfig) -> anyhow::Result<ReconcileParts> {
    let store = Arc::new(ClickHouseSink::new(config.storage.clickhouse, system_clock())?);
    let registry = HttpSchemaRegistry::from_config(&config.schema_registry)?;
    let registry = registry.map(|registry| Arc::new(registry) as Arc<dyn SchemaRegistry>);
    Ok(ReconcileParts {
        history: Arc::new(KafkaHistory::new(&KafkaCluster::new(config.kafka)?)),
        store: ComparedStore::OfBatches { provenance: Arc::clone(&store) as _, sink: store },
        schemas: Arc::new(RegisteredSchemas::new(registry)),
        clock: system_clock(),
        config: config.writer,
    })
}

/// The settings of the server whose data folder is meant.
fn load_node(args: &ReconcileArgs, data: &PathBuf) -> anyhow::Result<LoadedConfig> {
    let overrides = Overrides { config: args.cluster.config_file(), data: Some(data.clone()), ..Overrides::default() };
    load(&Environment::of_process(), &overrides)
}

/// Opens the data folder, which no running server lets go of.
fn parts_of_node(loaded: LoadedConfig) -> anyhow::Result<ReconcileParts> {
    let LoadedConfig { config, data_dir, retention, .. } = loaded;
    let queue = EmbeddedQueue::open_existing(&data_dir.join("queue"), &config.queue)?;
    let store = RocksStore::open_at_rest(&data_dir.join("store"), &config.storage.rocksdb, retention, system_clock())?;
    Ok(ReconcileParts {
        history: Arc::new(queue),
        store: ComparedStore::OfBlocks(Arc::new(store)),
        // Only gateways write to the embedded queue.
        schemas: Arc::new(RegisteredSchemas::new(None)),
        clock: system_clock(),
        config: config.writer,
    })
}

fn table(report: &ReconcileReport) -> String {
    let headings =
        ["source", "from", "to", "records", "expected", "missing", "doubled", "foreign", "mended", "not judged"];
    let mut table = render::table::new(&headings);
    for source in &report.sources {
        let numbers = [
            source.from,
            source.to,
            source.records,
            source.expected,
            source.missing,
            source.doubled,
            source.foreign,
            source.mended,
            source.not_judged,
        ];
        table.add_row(std::iter::once(source.source.clone()).chain(numbers.map(|number| number.to_string())));
    }
    (1..headings.len()).for_each(|column| render::table::align_right(&mut table, column));
    table.to_string()
}

/// What is wrong, batch by batch.
fn explain(report: &ReconcileReport) {
    for source in &report.sources {
        for fault in &source.batches {
            let counts = format!("{} missing, {} doubled, {} foreign", fault.missing, fault.doubled, fault.foreign);
            let place = format!("{} {}..{}", source.source, fault.first, fault.next);
            let mended = if fault.mended > 0 { format!(", {} mended", fault.mended) } else { String::new() };
            let advice = fault.advice.as_ref().map(|advice| format!(": {advice}")).unwrap_or_default();
            output::message(&format!("{place}: {counts}{mended}{advice}"));
        }
        if source.more_batches > 0 {
            output::message(&format!("{}: and {} batches more", source.source, source.more_batches));
        }
    }
    for source in &report.without_topic {
        output::message(&format!("{source}: stored, and of no topic that there is; nothing can be said of it"));
    }
}
