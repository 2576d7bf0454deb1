//! The flags of sending.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;
use luminate_runtime::config::HumanDuration;

/// How samples are sent.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct SendingArgs {
    /// Samples in one write request
    #[arg(long, value_name = "N", default_value = "5000")]
    batch: NonZeroUsize,

    /// How long a write request is repeated that the server was too busy or away to take
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    retry_for: HumanDuration,

    /// Wait until the samples can be queried (needs the scope read)
    #[arg(long)]
    wait: bool,

    /// Print what became of the samples as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl SendingArgs {
    /// Samples in one write request.
    pub(crate) fn batch(&self) -> usize {
        self.batch.get()
    }

    /// How long a write request is repeated.
    pub(crate) fn retry_for(&self) -> Duration {
        self.retry_for.get()
    }

    /// Whether to wait until the samples can be queried.
    pub(crate) fn wait(&self) -> bool {
        self.wait
    }

    /// The scopes that a token needs.
    pub(crate) fn scopes(&self) -> &'static str {
        if self.wait { "read,write" } else { "write" }
    }
}
