//! `luminate dimensions`, and what all commands of the catalogue share

use clap::Args;

use crate::client::Connection;
use crate::client::answers::CatalogueAnswer;
use crate::client::http::path_segment;
use crate::failure::CommandFailure;
use crate::output;
use crate::render::visible::visible;
use crate::render::{table, time};

/// List the keys of dimensions, or the values of one key, with their numbers of samples
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  luminate dimensions --metric api_latency
  luminate dimensions endpoint --prefix /api/ --limit 20")]
pub(crate) struct DimensionsArgs {
    /// The key whose values are wanted; without it, the keys
    #[arg(value_name = "KEY")]
    key: Option<String>,

    /// Only dimensions of this metric
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,

    #[command(flatten)]
    catalogue: CatalogueArgs,
}

/// Which names of the catalogue are wanted.
#[derive(Debug, Args)]
pub(super) struct CatalogueArgs {
    /// Only names that begin so
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    /// Only samples from this time on (RFC 3339, a date, or ms since 1970)
    #[arg(long, value_name = "TIME", value_parser = time::parse_instant)]
    start: Option<i64>,

    /// Only samples before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse_instant)]
    end: Option<i64>,

    /// At most this many names
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: u64,

    /// Only names after this one, to go on with a long list
    #[arg(long, value_name = "NAME")]
    after: Option<String>,

    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(args: &DimensionsArgs) -> Result<(), CommandFailure> {
    match &args.key {
        Some(key) => {
            let path = format!("/api/v1/dimensions/{}/values", path_segment(key));
            print(&args.catalogue, &path, key, args.metric.as_deref())
        }
        None => print(&args.catalogue, "/api/v1/dimensions", "dimension", args.metric.as_deref()),
    }
}

/// Asks for names at `path` and prints them under the heading `what`.
pub(super) fn print(args: &CatalogueArgs, path: &str, what: &str, metric: Option<&str>) -> Result<(), CommandFailure> {
    let client = args.connection.client("read")?;
    let (start, end) = (args.start.map(|time| time.to_string()), args.end.map(|time| time.to_string()));
    let limit = args.limit.to_string();
    let all = [
        ("metric", metric),
        ("prefix", args.prefix.as_deref()),
        ("start", start.as_deref()),
        ("end", end.as_deref()),
        ("limit", Some(&limit)),
        ("after", args.after.as_deref()),
    ];
    let query: Vec<(&str, &str)> = all.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
    let answer = client.get(path, &query, &[])?;
    if args.json {
        return output::data(&answer.text());
    }
    let catalogue: CatalogueAnswer = answer.read()?;
    let mut rows = table::new(&[what, "samples"]);
    table::align_right(&mut rows, 1);
    for entry in &catalogue.entries {
        rows.add_row([visible(&entry.name).into_owned(), entry.samples.to_string()]);
    }
    output::data(&rows.to_string())?;
    if let (true, Some(last)) = (catalogue.truncated, catalogue.entries.last()) {
        output::message(&format!("there are more: go on with --after {:?}, or raise --limit", last.name));
    }
    Ok(())
}
