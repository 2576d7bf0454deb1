//! `luminate completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::CommandFailure;
use crate::output;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate completions bash > ~/.local/share/bash-completion/completions/luminate")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<(), CommandFailure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "luminate", &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
