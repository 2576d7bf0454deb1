//! `luminate openapi`

use clap::Args;

use crate::failure::CommandFailure;
use crate::output;
use crate::serve::openapi;

/// Print the document of the HTTP API (OpenAPI 3.1)
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate openapi > schemas/openapi.json")]
pub(crate) struct OpenapiArgs {}

pub(crate) fn run(_args: &OpenapiArgs) -> Result<(), CommandFailure> {
    output::data(&openapi::text()?)
}
