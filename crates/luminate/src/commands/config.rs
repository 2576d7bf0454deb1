//! `luminate config`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use luminate_runtime::config::{Environment, dump};
use serde_json::Value;

use crate::failure::CommandFailure;
use crate::output;
use crate::serve::load::{LoadedConfig, Overrides, load};
use crate::serve::{ServeConfig, reference};
use crate::services::{GoodSettings, ServiceName};

/// Check and show the settings of the server, or of a service of a cluster
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
#[command(
    after_help = "Example:\n  luminate config check --config /etc/luminate.yaml\n  luminate config check --service writer"
)]
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

    /// The settings of this service of a cluster, in place of those of `luminate serve`
    #[arg(long, value_enum)]
    service: Option<ServiceName>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

impl Source {
    /// What is in force, if it is good.
    fn load(&self) -> Result<Value, CommandFailure> {
        let environment = Environment::of_process();
        let (config, warnings) = match self.service {
            Some(service) => {
                let GoodSettings { config, warnings } = service.settings(&environment, self.config.clone())?;
                (config, warnings)
            }
            None => {
                let overrides = Overrides { config: self.config.clone(), ..Overrides::default() };
                let LoadedConfig { config, data_dir, warnings, .. } = load(&environment, &overrides)?;
                let config = ServeConfig { data_dir: Some(data_dir), ..config };
                (serde_json::to_value(&config).context("cannot write the configuration")?, warnings)
            }
        };
        warnings.iter().for_each(|warning| output::message(&format!("warning: {warning}")));
        Ok(config)
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
            let config = args.source.load()?;
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
