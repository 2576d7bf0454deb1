//! `luminate health`

use clap::Args;

use crate::client::answers::HealthAnswer;
use crate::client::{ClientError, Connection};
use crate::failure::CommandFailure;
use crate::output;
use crate::render::table;

/// Ask a server how it is
#[derive(Debug, Args)]
#[command(after_help = "\
Exits with 0 where the server is ok, 1 where it is degraded, starting or stopping, 3 where it cannot be reached.

Example:
  luminate health --url http://127.0.0.1:8080")]
pub(crate) struct HealthArgs {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(args: &HealthArgs) -> Result<(), CommandFailure> {
    let client = args.connection.anonymous_client()?;
    // A server that is starting or draining says so with a status of 503.
    let answer = client.get_any("/api/v1/health", &[503])?;
    let health: HealthAnswer = answer.read()?;
    if args.json {
        output::data(&answer.text())?;
    } else {
        let mut rows = table::new(&["dependency", "status", "detail"]);
        for (name, dependency) in &health.dependencies {
            let detail = dependency.detail.clone().unwrap_or_default();
            rows.add_row([name.clone(), dependency.status.clone(), detail]);
        }
        output::data(&format!("{} {} at {}: {}", health.service, health.version, client.url(), health.status))?;
        if !health.dependencies.is_empty() {
            output::data(&rows.to_string())?;
        }
    }
    match health.status.as_str() {
        "ok" => Ok(()),
        status => Err(ClientError::NotWell { url: client.url().to_owned(), status: status.to_owned() }.into()),
    }
}
