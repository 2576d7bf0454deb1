//! `luminate serve`

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use luminate_runtime::config::Environment;
use luminate_runtime::process;
use luminate_runtime::telemetry::logs;

use crate::failure::CommandFailure;
use crate::output;
use crate::serve::allocator;
use crate::serve::load::{LoadedConfig, Overrides, load};
use crate::serve::skip::SkipTo;
use crate::serve::wiring::{self, Node};

/// Run the server: gateway, queue, writer, store and queries in one process
#[derive(Debug, Args)]
#[command(after_help = "\
Settings come from flags, over environment variables, over the configuration file, over defaults; `luminate config reference`
lists them all. SIGTERM or Ctrl-C stops in order: requests that were accepted are answered, what was acknowledged is stored. A
second signal ends at once, which loses nothing that was acknowledged either.

Example:
  luminate serve
  luminate serve --listen 0.0.0.0:8080 --data /var/lib/luminate --config /etc/luminate.yaml")]
pub(crate) struct ServeArgs {
    /// The configuration file (YAML) [env: LUMINATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Address and port; port 0 takes a free one [env: LUMINATE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// The folder for all data [env: LUMINATE_DATA_DIR] [default: luminate in the user's data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Have an edge node go on with a partition at this offset, where what it has not stored before is lost; never goes back
    #[arg(long, value_name = "TOPIC:PARTITION:OFFSET")]
    skip_to: Vec<SkipTo>,

    /// Write the address that was taken to this file, once requests are answered
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

/// How long what is left of the tasks may take to end.
const LAST_TASKS: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, CommandFailure> {
    allocator::bound();
    let overrides = Overrides {
        config: args.config.clone(),
        listen: args.listen.clone(),
        data: args.data.clone(),
        skip_to: args.skip_to.clone(),
    };
    let loaded = load(&Environment::of_process(), &overrides)?;
    logs::start(&loaded.config.log).context("cannot set up the log")?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the server")?;
    let outcome = runtime.block_on(serve(args, loaded));
    // Tasks that still hold a database drop it before the process ends: RocksDB must not be at work while the C++ library goes.
    // Blocking work that was given up on is not waited for much longer.
    runtime.shutdown_timeout(LAST_TASKS);
    Ok(outcome?)
}

async fn serve(args: &ServeArgs, loaded: LoadedConfig) -> anyhow::Result<ExitCode> {
    let data_dir = loaded.data_dir.clone();
    let node = wiring::start(loaded).await?;
    announce(&node, &data_dir);
    if let Some(file) = &args.address_file {
        process::write_address(file, node.address).map_err(anyhow::Error::from_boxed)?;
    }
    let report = node.run().await;
    for failure in &report.failures {
        output::message(&format!("luminate: {failure}"));
    }
    Ok(report.exit_code())
}

/// One line for people, where someone sees it; the log has the same for programs.
fn announce(node: &Node, data_dir: &Path) {
    if std::io::stdout().is_terminal() {
        output::message(&format!(
            "Luminate listens on http://{}, data in {}. A token: luminate token --tenant NAME --scopes read,write{}",
            node.address,
            data_dir.display(),
            if node.made_secret { " (signed with the secret that was made there)" } else { "" },
        ));
    }
}
