//! `luminate config`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use luminate_runtime::config::{Environment, dump};

use crate::failure::CommandFailure;
use crate::output;
use crate::serve::load::{LoadedConfig, Overrides, load};
use crate::serve::{ServeConfig, reference};

/// Check and show the settings of the server
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    action: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    Check(CheckArgs),
    Dump(DumpArgs),
    Reference(ReferenceArgs),
    EnvExample(EnvExampleArgs),
}

/// Check whether a server would start with the settings of file and environment
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate config check --config /etc/luminate.yaml")]
struct CheckArgs {
    #[command(flatten)]
    source: Source,
}

/// Print the settings that are in force, without secrets
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate config dump --config /etc/luminate.yaml --format json")]
struct DumpArgs {
    #[command(flatten)]
    source: Source,

    /// How they are written
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
}

/// Print the reference of all settings, as Markdown
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate config reference > docs/configuration.md")]
struct ReferenceArgs {}

/// Print a file of all environment variables, for .env
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  luminate config env-example > .env.example")]
struct EnvExampleArgs {}

#[derive(Debug, Args)]
struct Source {
    /// The configuration file (YAML) [env: LUMINATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

impl Source {
    fn load(&self) -> Result<LoadedConfig, CommandFailure> {
        let overrides = Overrides { config: self.config.clone(), ..Overrides::default() };
        let loaded = load(&Environment::of_process(), &overrides)?;
        for warning in &loaded.warnings {
            output::message(&format!("warning: {warning}"));
        }
        Ok(loaded)
    }
}

pub(crate) fn run(args: &ConfigArgs) -> Result<(), CommandFailure> {
    match &args.action {
        ConfigAction::Check(args) => {
            args.source.load()?;
            output::message("the configuration is good");
            Ok(())
        }
        ConfigAction::Dump(args) => {
            let LoadedConfig { config, data_dir, .. } = args.source.load()?;
            let config = ServeConfig { data_dir: Some(data_dir), ..config };
            let text = match args.format {
                Format::Yaml => dump::yaml(&config),
                Format::Json => dump::json(&config),
            };
            output::data(&text.context("cannot write the configuration")?)
        }
        ConfigAction::Reference(ReferenceArgs {}) => output::data(&reference::configuration()?),
        ConfigAction::EnvExample(EnvExampleArgs {}) => output::data(&reference::env_example()?),
    }
}
