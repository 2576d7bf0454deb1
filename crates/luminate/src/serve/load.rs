//! The layers of the configuration put together and checked.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use luminate_model::RetentionRules;
use luminate_runtime::config::{Environment, Loader};

use super::config::ServeConfig;
use super::environment::known;
use super::queue_config::QueueBackend;
use super::skip::SkipTo;
use super::{modes, without_effect};
use crate::data_dir::default_data_dir;

/// What the command line says, over everything else.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    /// The configuration file; else `LUMINATE_CONFIG` names it.
    pub(crate) config: Option<PathBuf>,
    /// `--listen`
    pub(crate) listen: Option<String>,
    /// `--data`
    pub(crate) data: Option<PathBuf>,
    /// `--skip-to`
    pub(crate) skip_to: Vec<SkipTo>,
}

/// A configuration that a server can start with.
#[derive(Debug)]
pub(crate) struct LoadedConfig {
    /// The configuration.
    pub(crate) config: ServeConfig,
    /// The data folder; known, also where the configuration leaves it open.
    pub(crate) data_dir: PathBuf,
    /// The retention of all tenants.
    pub(crate) retention: RetentionRules,
    /// Where an edge node shall go on.
    pub(crate) skip_to: Vec<SkipTo>,
    /// What looks like a mistake but may be none, one sentence each.
    pub(crate) warnings: Vec<String>,
}

/// Loads and checks the configuration.
///
/// # Errors
/// Where a layer cannot be read, or a value makes no sense; names the key.
pub(crate) fn load(environment: &Environment, overrides: &Overrides) -> anyhow::Result<LoadedConfig> {
    let file = overrides.config.clone().or_else(|| environment.get("LUMINATE_CONFIG").map(PathBuf::from));
    let variables = known();
    let mut loader = Loader::new(environment, &variables);
    if let Some(file) = &file {
        loader = loader.file(file);
    }
    if let Some(listen) = &overrides.listen {
        loader = loader.flag("--listen", "http.listen", listen.as_str());
    }
    if let Some(data) = overrides.data.as_deref().map(utf8).transpose()? {
        loader = loader.flag("--data", "dataDir", data);
    }
    let loaded = loader.load::<ServeConfig>()?;
    let mut config = loaded.config;
    config.gateway.check()?;
    config.writer.check()?;
    config.query.check()?;
    modes::check(&mut config)?;
    let retention = config.retention.rules()?;
    let data_dir = config.data_dir.clone().or_else(default_data_dir);
    let data_dir = data_dir
        .ok_or_else(|| anyhow!("no data folder is known, because HOME is not set: give --data or LUMINATE_DATA_DIR"))?;
    let mut warnings = loaded.warnings;
    warnings.extend(without_effect::warnings(&config, environment));
    let skip_to = overrides.skip_to.clone();
    ensure!(
        skip_to.is_empty() || config.queue.backend == QueueBackend::Kafka,
        "--skip-to is for an edge node, whose queue is Kafka (LUMINATE_QUEUE_BACKEND)"
    );
    Ok(LoadedConfig { config, data_dir, retention, skip_to, warnings })
}

fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("--data {} is not UTF-8", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables.iter().copied().collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn flags_come_over_the_environment_and_that_over_the_file() {
        let yaml = file("dataDir: /from/file\nhttp:\n  listen: \"127.0.0.1:1\"\n  maxConnections: 7\n");
        let environment = environment(&[
            ("LUMINATE_CONFIG", yaml.path().to_str().unwrap()),
            ("LUMINATE_LISTEN", "127.0.0.1:2"),
            ("LUMINATE_DATA_DIR", "/from/environment"),
            ("LUMINATE_RATELIMIT_WRITE_RPS", "100"),
        ]);
        let overrides = Overrides { data: Some("/from/flag".into()), ..Overrides::default() };
        let loaded = load(&environment, &overrides).unwrap();
        assert_eq!(loaded.data_dir, Path::new("/from/flag"));
        assert_eq!(loaded.config.http.listen, "127.0.0.1:2");
        assert_eq!(loaded.config.http.max_connections.get(), 7);
        assert_eq!(loaded.config.gateway.rate_limit.requests_per_second.map(std::num::NonZero::get), Some(100));
    }

    #[test]
    fn every_variable_sets_its_key() {
        let values = |name: &str| match name {
            "LUMINATE_STORAGE_BACKEND" => "rocksdb",
            "LUMINATE_QUEUE_BACKEND" => "embedded",
            "LUMINATE_KAFKA_ASSIGN" => "luminate.samples.v1:0",
            "LUMINATE_LISTEN" => "127.0.0.1:9",
            name if name.starts_with("LUMINATE_RATELIMIT") => "9",
            _ => "0123456789abcdef0123456789abcdef",
        };
        for variable in super::super::environment::variables().iter().filter(|variable| !variable.key.is_empty()) {
            let loaded =
                load(&environment(&[(variable.name, values(variable.name)), ("HOME", "/h")]), &Overrides::default());
            assert!(loaded.is_ok(), "{}: {loaded:?}", variable.name);
        }
    }

    #[test]
    fn faults_name_the_key_and_variables_without_effect_are_told() {
        let fault = |yaml: &str| {
            let yaml = file(yaml);
            let overrides = Overrides { config: Some(yaml.path().into()), ..Overrides::default() };
            format!("{:#}", load(&environment(&[]), &overrides).unwrap_err())
        };
        assert!(fault("gateway:\n  maxSample: 3\n").contains("gateway.maxSample"));
        assert!(fault("retention:\n  defaultDays: 20000\n").contains("retention.defaultDays"));
        assert!(fault("storage:\n  backend: mysql\n").contains("storage.backend"));
        assert!(fault("auth:\n  secret: ${NO_SUCH_VARIABLE}\n").contains("NO_SUCH_VARIABLE"));
        let loaded = load(
            &environment(&[("LUMINATE_KAFKA_BROKERS", "b:9092"), ("LUMINATE_TOKEN", "t"), ("LUMINATE_DATA_DIR", "/d")]),
            &Overrides::default(),
        );
        let warnings = loaded.unwrap().warnings;
        assert!(
            matches!(warnings.as_slice(), [one] if one.starts_with("LUMINATE_KAFKA_BROKERS is set")),
            "{warnings:?}"
        );
    }
}
