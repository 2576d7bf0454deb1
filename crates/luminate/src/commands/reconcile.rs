//! `luminate reconcile`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;
use luminate_clickhouse::{ClickHouseConfig, ClickHouseSink};
use luminate_kafka::{KafkaCluster, KafkaHistory};
use luminate_model::Source;
use luminate_queue::RecordHistory;
use luminate_rocksdb::RocksStore;
use luminate_rocksdb::queue::EmbeddedQueue;
use luminate_runtime::clock::system_clock;
use luminate_runtime::config::Environment;
use luminate_writer::reconcile::{ComparedStore, ReconcileParts, ReconcileReport, ReconcileRequest, reconcile};
use luminate_writer::schema_registry::{HttpSchemaRegistry, RegisteredSchemas, SchemaRegistry, SchemaRegistryConfig};
use luminate_writer::wiring::WriterProcessConfig;

use crate::cluster::ClusterArgs;
use crate::failure::CommandFailure;
use crate::output;
use crate::render;
use crate::serve::config::StorageBackend;
use crate::serve::load::{LoadedConfig, Overrides, load};
use crate::serve::queue_config::QueueBackend;

/// Compare what the queue holds with what the store holds; the exit code is 1 where anything is wrong
#[derive(Debug, Args)]
#[command(after_help = "\
Reads the records again, up to what is stored, and compares them with the stored rows: samples are missing, doubled (also under
another batch), or foreign (no record has them).

A cluster: settings are a writer's, kafka and storage.clickhouse in its configuration file, or the variables LUMINATE_KAFKA_* and
LUMINATE_CLICKHOUSE_*. Writers may go on meanwhile, also while something is mended; an erasure may not.

A data folder (--data): settings are those of luminate serve, which must be stopped, whichever its queue and its store are. Only
records that the queue still has can be compared; in blocks of RocksDB that hold older samples as well, what is missing is seen,
and nothing else.

Example:
  luminate reconcile --config writer.yaml
  luminate reconcile --config writer.yaml --from 1767225600000 --to 1767229200000 --mend
  luminate reconcile --data /var/lib/luminate --config /etc/luminate.yaml")]
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
    Ok(ReconcileParts {
        history: Arc::new(KafkaHistory::new(&KafkaCluster::new(config.kafka)?)),
        store: clickhouse(config.storage.clickhouse)?,
        schemas: schemas(&config.schema_registry)?,
        clock: system_clock(),
        config: config.writer,
    })
}

/// The settings of the server whose data folder is meant.
fn load_node(args: &ReconcileArgs, data: &Path) -> anyhow::Result<LoadedConfig> {
    let overrides =
        Overrides { config: args.cluster.config_file(), data: Some(data.to_owned()), ..Overrides::default() };
    load(&Environment::of_process(), &overrides)
}

/// Opens what the server has in its data folder, which a running one does not let go of, and finds the rest.
fn parts_of_node(loaded: LoadedConfig) -> anyhow::Result<ReconcileParts> {
    let LoadedConfig { config, data_dir, retention, .. } = loaded;
    let history: Arc<dyn RecordHistory> = match config.queue.backend {
        QueueBackend::Embedded => {
            Arc::new(EmbeddedQueue::open_existing(&data_dir.join("queue"), &config.queue.embedded)?)
        }
        QueueBackend::Kafka => Arc::new(KafkaHistory::new(&KafkaCluster::new(config.kafka)?)),
    };
    let store = match config.storage.backend {
        StorageBackend::Rocksdb => {
            let (folder, settings) = (data_dir.join("store"), &config.storage.rocksdb);
            let store = RocksStore::open_at_rest(&folder, settings, retention, system_clock())?;
            ComparedStore::OfBlocks(Arc::new(store))
        }
        StorageBackend::Clickhouse => clickhouse(config.storage.clickhouse)?,
    };
    let schemas = schemas(&config.schema_registry)?;
    Ok(ReconcileParts { history, store, schemas, clock: system_clock(), config: config.writer })
}

fn clickhouse(config: ClickHouseConfig) -> anyhow::Result<ComparedStore> {
    let store = Arc::new(ClickHouseSink::new(config, system_clock())?);
    Ok(ComparedStore::OfBatches { provenance: Arc::clone(&store) as _, sink: store })
}

/// The schemas of direct producers' records.
fn schemas(config: &SchemaRegistryConfig) -> anyhow::Result<Arc<RegisteredSchemas>> {
    let registry = HttpSchemaRegistry::from_config(config)?;
    let registry = registry.map(|registry| Arc::new(registry) as Arc<dyn SchemaRegistry>);
    Ok(Arc::new(RegisteredSchemas::new(registry)))
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
