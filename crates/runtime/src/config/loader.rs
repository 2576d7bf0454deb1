//! Layers into one typed configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::environment::{EnvVariable, Environment};
use super::error::ConfigError;
use super::suggest::mistyped;
use super::tree::{Node, Value};
use super::{de, yaml};

/// Puts the layers of a configuration together.
#[derive(Debug)]
pub struct Loader<'a> {
    environment: &'a Environment,
    variables: &'a [EnvVariable],
    file: Option<PathBuf>,
    overrides: Vec<Override>,
}

#[derive(Debug)]
struct Override {
    key: String,
    value: String,
    flag: String,
}

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The effective configuration.
    pub config: T,
    /// What looks like a mistake but may be none, one sentence each: for the log, once there is one.
    pub warnings: Vec<String>,
}

impl<'a> Loader<'a> {
    /// A loader with defaults and environment.
    #[must_use]
    pub fn new(environment: &'a Environment, variables: &'a [EnvVariable]) -> Self {
        Self { environment, variables, file: None, overrides: Vec::new() }
    }

    /// Reads this file, which must exist.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.file = Some(path.as_ref().to_owned());
        self
    }

    /// Sets a key from a flag of the command line, over everything else. The value is read as the key wants it, so that a
    /// number or a comma-separated list can be given as text.
    #[must_use]
    pub fn flag(mut self, flag: &str, key: &str, value: impl Into<String>) -> Self {
        self.overrides.push(Override { key: key.to_owned(), value: value.into(), flag: flag.to_owned() });
        self
    }

    /// Lays the layers over each other and reads the result.
    ///
    /// Over `T`'s own defaults, so that a section of which one key is given keeps the defaults that `T` chose for it.
    ///
    /// # Errors
    /// [`ConfigError`], which names the file or the key, where the value came from, and what would be right.
    pub fn load<T: Default + Serialize + DeserializeOwned>(self) -> Result<Loaded<T>, ConfigError> {
        let defaults = serde_json::to_value(T::default()).map_err(|error| ConfigError::Value {
            key: "the defaults".to_owned(),
            reason: error.to_string(),
            origin: None,
        })?;
        let mut tree = Node::from_json(defaults, None);
        if let Some(path) = &self.file {
            tree.overlay(yaml::read(path, self.environment)?);
        }
        // From the bottom up: the first variable in the table is laid on last.
        for variable in self.variables.iter().rev().filter(|variable| !variable.key.is_empty()) {
            if let Some(value) = self.environment.get(variable.name) {
                let origin = format!("environment variable {}", variable.name);
                tree.overlay(layer(variable.key, value, &origin));
            }
        }
        for Override { key, value, flag } in &self.overrides {
            tree.overlay(layer(key, value, flag));
        }
        Ok(Loaded { config: de::read(tree)?, warnings: self.warnings() })
    }

    /// Variables that are not in the table but look as if they should be. No errors: other programs of ours have variables of
    /// their own, and Kubernetes sets some that begin with a service's name, and ours are called luminate-something.
    fn warnings(&self) -> Vec<String> {
        let known: Vec<&str> = self.variables.iter().map(|variable| variable.name).collect();
        let ours = |name: &&str| name.starts_with("LUMINATE_") && !known.contains(name);
        let warning = |name: &str| {
            let near = mistyped(name, known.iter().copied())?;
            Some(format!("the environment variable `{name}` is not known; did you mean `{near}`?"))
        };
        self.environment.names().filter(ours).filter_map(warning).collect()
    }
}

fn layer(key: &str, value: &str, origin: &str) -> Node {
    let origin: Arc<str> = Arc::from(origin);
    Node::at_path(key, Node::new(Value::Untyped(value.to_owned()), Some(&origin)))
}

#[cfg(test)]
#[path = "loader_tests.rs"]
pub(super) mod tests;
