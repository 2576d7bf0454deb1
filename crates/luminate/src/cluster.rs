//! The settings of commands that look after a cluster's topics and tables: those of a writer, which knows both.

use std::future::Future;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use luminate_kafka::KafkaConfig;
use luminate_runtime::config::Environment;
use luminate_runtime::process;
use luminate_writer::wiring::{WriterProcessConfig, WriterService};

use crate::failure::CommandFailure;
use crate::output;

/// Where the settings of the cluster are.
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// A writer's configuration file (YAML) [env: LUMINATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ClusterArgs {
    /// The configuration file, where one is named on the command line.
    pub(crate) fn config_file(&self) -> Option<PathBuf> {
        self.config.clone()
    }

    /// The settings that a writer would have here.
    ///
    /// # Errors
    /// Where they cannot be read, or make no sense.
    pub(crate) fn load(&self) -> Result<WriterProcessConfig, CommandFailure> {
        self.load_from(&Environment::of_process())
    }

    /// The settings of Kafka, also where the environment is that of an edge node, whose store is its own.
    ///
    /// # Errors
    /// Where they cannot be read, or make no sense.
    pub(crate) fn load_kafka(&self) -> Result<KafkaConfig, CommandFailure> {
        Ok(self.load_from(&Environment::of_process().without("LUMINATE_STORAGE_BACKEND"))?.kafka)
    }

    fn load_from(&self, environment: &Environment) -> Result<WriterProcessConfig, CommandFailure> {
        let loaded = process::load::<WriterService>(environment, self.config.clone(), None);
        let loaded = loaded.map_err(anyhow::Error::from)?;
        loaded.warnings.iter().for_each(|warning| output::message(&format!("warning: {warning}")));
        Ok(loaded.config)
    }

    /// Waits for what is asked of the cluster.
    ///
    /// # Errors
    /// Where there are no threads to be had.
    pub(crate) fn block_on<F: Future>(&self, work: F) -> Result<F::Output, CommandFailure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Ok(runtime.context("cannot start threads")?.block_on(work))
    }
}
