//! `luminate dlq`

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use crate::client::AdminConnection;
use crate::client::answers::DeadLetterAnswer;
use crate::client::http::path_segment;
use crate::failure::CommandFailure;
use crate::output;
use crate::render::visible::visible;
use crate::render::{table, time};

const PATH: &str = "/api/v1/admin/dead-letters";

/// Work with dead letters: records that could not be used
#[derive(Debug, Args)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    action: DlqAction,
}

#[derive(Debug, Subcommand)]
enum DlqAction {
    List(ListArgs),
    Show(ShowArgs),
    Replay(ReplayArgs),
    Purge(PurgeArgs),
}

/// List dead letters
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate dlq list --code record_malformed --limit 20")]
struct ListArgs {
    #[command(flatten)]
    filter: Filter,

    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,

    /// Only those after this id, to go on with a long list
    #[arg(long, value_name = "ID")]
    after: Option<String>,

    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: AdminConnection,
}

/// Show one dead letter whole, as JSON
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate dlq show dxrdGx7jQ8-Hq2m0oZbVwA/2/1041/-")]
struct ShowArgs {
    /// The id, as `luminate dlq list` shows it
    id: String,

    #[command(flatten)]
    connection: AdminConnection,
}

/// Put the records of dead letters back into the queue
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate dlq replay dxrdGx7jQ8-Hq2m0oZbVwA/2/1041/-")]
struct ReplayArgs {
    /// The ids, as `luminate dlq list` shows them
    #[arg(required = true)]
    ids: Vec<String>,

    /// Replay them also where an earlier replay may have put their records back (`replay_in_doubt`)
    #[arg(long)]
    again: bool,

    #[command(flatten)]
    connection: AdminConnection,
}

/// Remove dead letters for good
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate dlq purge --code record_malformed --yes")]
struct PurgeArgs {
    #[command(flatten)]
    filter: Filter,

    /// Do it
    #[arg(long, required = true)]
    yes: bool,

    #[command(flatten)]
    connection: AdminConnection,
}

/// Which dead letters are meant.
#[derive(Debug, Args)]
struct Filter {
    /// Only this tenant's
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,

    /// Only those with this reason
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
}

/// A page of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    dead_letters: Vec<DeadLetterAnswer>,
    after: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Purged {
    purged: u64,
}

pub(crate) fn run(args: &DlqArgs) -> Result<(), CommandFailure> {
    match &args.action {
        DlqAction::List(args) => list(args),
        DlqAction::Show(args) => show(args),
        DlqAction::Replay(args) => replay(args),
        DlqAction::Purge(args) => purge(args),
    }
}

fn list(args: &ListArgs) -> Result<(), CommandFailure> {
    let limit = args.limit.to_string();
    let all = [
        ("tenant", args.filter.tenant.as_deref()),
        ("code", args.filter.code.as_deref()),
        ("limit", Some(limit.as_str())),
        ("after", args.after.as_deref()),
    ];
    let query: Vec<(&str, &str)> = all.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    let answer = args.connection.client()?.get(PATH, &query, &[])?;
    if args.json {
        return output::data(&answer.text());
    }
    let page: Page = answer.read()?;
    let mut rows = table::new(&["id", "code", "tenant", "appended", "replayed", "detail"]);
    for letter in &page.dead_letters {
        rows.add_row([
            letter.id.clone(),
            letter.code.clone(),
            letter.tenant.clone().unwrap_or_default(),
            time::show(letter.append_time),
            letter.replayed_at.map(time::show).unwrap_or_default(),
            visible(&letter.detail).into_owned(),
        ]);
    }
    output::data(&rows.to_string())?;
    if let Some(after) = &page.after {
        output::message(&format!("there are more: go on with --after {after}"));
    }
    Ok(())
}

fn show(args: &ShowArgs) -> Result<(), CommandFailure> {
    let answer = args.connection.client()?.get(&format!("{PATH}/{}", path_segment(&args.id)), &[], &[])?;
    let letter: serde_json::Value = answer.read()?;
    output::data(&format!("{letter:#}"))
}

fn replay(args: &ReplayArgs) -> Result<(), CommandFailure> {
    let client = args.connection.client()?;
    for id in &args.ids {
        client.post_json(&format!("{PATH}/{}/replay", path_segment(id)), &json!({ "again": args.again }))?;
        output::message(&format!("replayed {id}"));
    }
    Ok(())
}

fn purge(args: &PurgeArgs) -> Result<(), CommandFailure> {
    let filter = json!({ "tenant": args.filter.tenant, "code": args.filter.code });
    let purged: Purged = args.connection.client()?.post_json(&format!("{PATH}/purge"), &filter)?.read()?;
    output::message(&format!("removed {} dead letters", purged.purged));
    Ok(())
}
