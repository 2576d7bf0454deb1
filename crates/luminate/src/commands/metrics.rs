//! `luminate metrics`

use clap::Args;

use super::dimensions::{CatalogueArgs, print};
use crate::failure::CommandFailure;

/// List the metrics with their numbers of samples
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate metrics --prefix http_")]
pub(crate) struct MetricsArgs {
    #[command(flatten)]
    catalogue: CatalogueArgs,
}

pub(crate) fn run(args: &MetricsArgs) -> Result<(), CommandFailure> {
    print(&args.catalogue, "/api/v1/metrics", "metric", None)
}
