//! `luminate topics`

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};
use luminate_kafka::topic_admin::TopicDifference;
use luminate_kafka::{KafkaCluster, TopicAdmin};
use luminate_model::TenantId;
use serde_json::json;

use crate::cluster::ClusterArgs;
use crate::failure::CommandFailure;
use crate::output;

/// Make the topics in Kafka, or compare them with the settings
#[derive(Debug, Args)]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    action: TopicsAction,
}

#[derive(Debug, Subcommand)]
enum TopicsAction {
    Apply(ApplyArgs),
    Check(CheckArgs),
}

/// Make topics, add partitions and set settings where they differ; nothing is ever removed
#[derive(Debug, Args)]
#[command(after_help = "\
Settings are a writer's: kafka in its configuration file, or LUMINATE_KAFKA_BROKERS.

Example:
  LUMINATE_KAFKA_BROKERS=127.0.0.1:9092 luminate topics apply
  luminate topics apply --config writer.yaml --tenant acme")]
struct ApplyArgs {
    #[command(flatten)]
    common: CommonArgs,
}

/// Tell how the topics differ from the settings; the exit code is 1 where they do
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  LUMINATE_KAFKA_BROKERS=127.0.0.1:9092 luminate topics check")]
struct CheckArgs {
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// The tenant of a direct producer, who has a topic of its own; may be given more than once
    #[arg(long = "tenant", value_name = "NAME")]
    tenants: Vec<String>,

    /// Print the differences as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(crate) fn run(args: &TopicsArgs) -> Result<(), CommandFailure> {
    let (TopicsAction::Apply(ApplyArgs { common }) | TopicsAction::Check(CheckArgs { common })) = &args.action;
    let tenants = tenants(&common.tenants)?;
    let config = common.cluster.load_kafka()?;
    let brokers = config.brokers.join(", ");
    let work = async {
        let admin = TopicAdmin::new(&KafkaCluster::new(config)?)?;
        let copies = admin.copies().await?;
        if copies.is_short {
            output::message(&format!(
                "copies of each partition: {}, as there are no more brokers (kafka.topics.replication says otherwise)",
                copies.replication
            ));
        }
        match &args.action {
            TopicsAction::Apply(_) => admin.apply(&tenants).await.map(|applied| (applied.mended, applied.left)),
            TopicsAction::Check(_) => admin.check(&tenants).await.map(|left| (Vec::new(), left)),
        }
    };
    let (mended, left) =
        common.cluster.block_on(work)?.with_context(|| format!("cannot look after the topics at {brokers}"))?;
    if common.json {
        let texts = |differences: &[TopicDifference]| differences.iter().map(ToString::to_string).collect::<Vec<_>>();
        output::json(&json!({ "mended": texts(&mended), "left": texts(&left) }))?;
    } else {
        mended.iter().for_each(|difference| output::message(&format!("mended  {difference}")));
        left.iter().for_each(|difference| output::message(&format!("differs {difference}")));
    }
    match left.len() {
        0 => {
            output::message("the topics are as they should be");
            Ok(())
        }
        count => Err(anyhow!("{count} differences are left").into()),
    }
}

#[allow(clippy::disallowed_methods, reason = "the operator names tenants, not a client")]
fn tenants(names: &[String]) -> Result<Vec<TenantId>, CommandFailure> {
    let parse =
        |name: &String| TenantId::parse(name).map_err(|error| CommandFailure::Usage(format!("--tenant: {error}")));
    names.iter().map(parse).collect()
}
