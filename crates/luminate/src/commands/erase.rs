//! `luminate erase`

use std::io::{self, BufRead as _, IsTerminal as _};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use crate::client::AdminConnection;
use crate::client::http::path_segment;
use crate::failure::CommandFailure;
use crate::output;

/// How often the server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// Erase all data of a tenant, for good
#[derive(Debug, Args)]
#[command(after_help = "\
Erases samples, dead letters and what the queue still holds, up to the moment of the call. The server goes on with an erasure
when this command is stopped. Replays of records and dead letters do not bring erased samples back.

Example:
  luminate erase --tenant acme --yes")]
pub(crate) struct EraseArgs {
    /// The tenant
    #[arg(long, value_name = "NAME")]
    tenant: String,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: AdminConnection,
}

/// The state of an erasure.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Erasure {
    id: String,
    status: String,
    #[serde(default)]
    samples: Option<u64>,
    #[serde(default)]
    dead_letters: Option<u64>,
    #[serde(default)]
    detail: Option<String>,
}

pub(crate) fn run(args: &EraseArgs) -> Result<(), CommandFailure> {
    let client = args.connection.client()?;
    if !args.yes {
        confirm(&args.tenant)?;
    }
    let mut answer = client.post_json("/api/v1/admin/erase", &json!({ "tenant": args.tenant }))?;
    let mut erasure: Erasure = answer.read()?;
    let path = format!("/api/v1/admin/erase/{}", path_segment(&erasure.id));
    while erasure.status == "running" {
        thread::sleep(ASK_EVERY);
        answer = client.get(&path, &[], &[])?;
        erasure = answer.read()?;
    }
    if args.json {
        output::data(&answer.text())?;
    }
    if erasure.status != "done" {
        let detail = erasure.detail.unwrap_or_else(|| "the server's log says more".to_owned());
        return Err(anyhow::anyhow!("the erasure {}: {detail}; running it again finishes it", erasure.status).into());
    }
    if !args.json {
        let (samples, letters) = (erasure.samples.unwrap_or(0), erasure.dead_letters.unwrap_or(0));
        output::message(&format!("erased {samples} samples and {letters} dead letters of {}", args.tenant));
    }
    Ok(())
}

/// Asks for the tenant's name, because a y is typed too easily.
fn confirm(tenant: &str) -> Result<(), CommandFailure> {
    if !io::stdin().is_terminal() {
        return Err(CommandFailure::Usage("nobody is there to be asked: give --yes to erase".to_owned()));
    }
    output::message(&format!("This erases all data of {tenant} for good. Type the tenant's name to go on:"));
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(|error| CommandFailure::Local(error.into()))?;
    if line.trim() == tenant { Ok(()) } else { Err(CommandFailure::Usage("not erased".to_owned())) }
}
