//! `luminate migrate`

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use crate::cluster::ClusterArgs;
use crate::failure::CommandFailure;
use crate::output;

/// Make or change the tables in ClickHouse
#[derive(Debug, Args)]
#[command(after_help = "\
Applies the migrations that this version brings and that are not applied yet, under a lock. Services do not start before. Settings
are a writer's: storage.clickhouse in its configuration file, or the variables LUMINATE_CLICKHOUSE_*.

Example:
  LUMINATE_CLICKHOUSE_HOSTS=http://127.0.0.1:8123 luminate migrate")]
pub(crate) struct MigrateArgs {
    /// Only tell whether anything is missing; the exit code is 1 where it is
    #[arg(long)]
    check: bool,

    /// Take away the lock of a migration that was killed
    #[arg(long, conflicts_with = "check")]
    break_lock: bool,

    /// Print what was applied as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(crate) fn run(args: &MigrateArgs) -> Result<(), CommandFailure> {
    let clickhouse = args.cluster.load()?.storage.clickhouse;
    if args.check {
        args.cluster.block_on(luminate_clickhouse::check(&clickhouse))?.context("the tables are not up to date")?;
        output::message("the tables are up to date");
        return Ok(());
    }
    let holder = format!("luminate migrate, process {}", std::process::id());
    let applied = args
        .cluster
        .block_on(luminate_clickhouse::migrate(&clickhouse, &holder, args.break_lock))?
        .context("cannot migrate")?;
    if args.json {
        let applied: Vec<_> =
            applied.iter().map(|migration| json!({ "number": migration.number, "name": migration.name })).collect();
        return output::json(&json!({ "applied": applied }));
    }
    for migration in &applied {
        output::message(&format!("applied {:04} {}", migration.number, migration.name));
    }
    output::message("the tables are up to date");
    Ok(())
}
