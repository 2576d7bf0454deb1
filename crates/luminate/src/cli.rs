//! The command line as a whole: which commands there are, and how a process ends.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench;
use crate::commands;
use crate::failure::CommandFailure;
use crate::output;

/// Luminate: a multi-tenant store for high-cardinality metrics
#[derive(Debug, Parser)]
#[command(name = "luminate", version, max_term_width = 110, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Clients find the server by these variables, or by the flags of the same meaning:
  LUMINATE_URL        address of the server, http://127.0.0.1:8080 unless set
  LUMINATE_ADMIN_URL  address for admin commands, the same unless set
  LUMINATE_TOKEN      the token; `luminate token` makes one (or --token-file FILE)

Exit codes:
  0  done
  1  failed
  2  the command line is wrong
  3  the server cannot be reached
  4  the token is missing, refused, or lacks a scope
  5  done in part: some samples were rejected

Example: from nothing to an answer
  luminate serve &
  export LUMINATE_TOKEN=$(luminate token --tenant acme --scopes read,write)
  luminate import access-log access.log.gz
  luminate query --metric http_response_bytes --aggregation p95 --group-by status --last 3650d";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(commands::serve::ServeArgs),
    Token(commands::token::TokenArgs),
    Write(commands::write::WriteArgs),
    Import(commands::import::ImportArgs),
    Query(commands::query::QueryArgs),
    Metrics(commands::metrics::MetricsArgs),
    Dimensions(commands::dimensions::DimensionsArgs),
    Dlq(commands::dlq::DlqArgs),
    Erase(commands::erase::EraseArgs),
    Health(commands::health::HealthArgs),
    Migrate(commands::migrate::MigrateArgs),
    Topics(commands::topics::TopicsArgs),
    Reconcile(commands::reconcile::ReconcileArgs),
    Bench(bench::BenchArgs),
    Config(commands::config::ConfigArgs),
    Openapi(commands::openapi::OpenapiArgs),
    Reference(commands::reference::ReferenceArgs),
    Completions(commands::completions::CompletionsArgs),
}

/// Reads the command line, does what it says, and answers the exit code.
pub(crate) fn run() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(code) => code,
        // Whoever read our output has seen enough (`luminate query ... | head`).
        Err(CommandFailure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            output::message(&format!("luminate: {}", failure.for_people()));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(command: Command) -> Result<ExitCode, CommandFailure> {
    match command {
        // The only command whose end has more than one good code: a clean stop, and one after a failure that was logged.
        Command::Serve(args) => return commands::serve::run(&args),
        Command::Token(args) => commands::token::run(&args),
        Command::Write(args) => commands::write::run(&args),
        Command::Import(args) => commands::import::run(&args),
        Command::Query(args) => commands::query::run(&args),
        Command::Metrics(args) => commands::metrics::run(&args),
        Command::Dimensions(args) => commands::dimensions::run(&args),
        Command::Dlq(args) => commands::dlq::run(&args),
        Command::Erase(args) => commands::erase::run(&args),
        Command::Health(args) => commands::health::run(&args),
        Command::Migrate(args) => commands::migrate::run(&args),
        Command::Topics(args) => commands::topics::run(&args),
        Command::Reconcile(args) => commands::reconcile::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Config(args) => commands::config::run(&args),
        Command::Openapi(args) => commands::openapi::run(&args),
        Command::Reference(args) => commands::reference::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
    }?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        fn check(command: &clap::Command, path: &str) {
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                if sub.has_subcommands() {
                    check(sub, &path);
                    continue;
                }
                let help = sub.clone().render_long_help().to_string();
                assert!(help.contains("Example"), "`{path} --help` shows no example");
                assert!(help.contains(&path), "the example of `{path} --help` does not use the command");
                assert!(sub.get_about().is_some(), "`{path}` does not say what it does");
            }
        }
        check(&Cli::command(), "luminate");
    }
}
