//! The configuration file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy};

use super::environment::Environment;
use super::error::ConfigError;
use super::expand::{Expanded, Sources, expand};
use super::tree::{Node, Value};

/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads the file and expands its values.
///
/// # Errors
/// [`ConfigError`] where the file cannot be read or parsed, or names something that is missing.
pub(super) fn read(path: &Path, environment: &Environment) -> Result<Node, ConfigError> {
    let text = read_text(path)?;
    let syntax = |reason: String| ConfigError::Syntax { path: path.to_owned(), reason };
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        // `no`, `on` and `y` are words, not booleans.
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        // A snippet of the file could show a password.
        with_snippet: false,
    };
    let document: serde_json::Value =
        serde_saphyr::from_str_with_options(&text, options).map_err(|error| syntax(error.to_string()))?;
    match document {
        serde_json::Value::Null => return Ok(Node::empty_section()),
        serde_json::Value::Object(_) => {}
        _ => {
            return Err(syntax(
                "the file must hold keys with values, such as `http: {listen: 127.0.0.1:8080}`".to_owned(),
            ));
        }
    }
    let origin: Arc<str> = Arc::from(path.display().to_string());
    let mut tree = Node::from_json(document, Some(&origin));
    let folder = path.parent().unwrap_or(Path::new("."));
    expand_below(&mut tree, "", &Sources { environment, folder })?;
    Ok(tree)
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(text)
}

/// Depth is bounded by the parser's own limit.
fn expand_below(node: &mut Node, path: &str, sources: &Sources<'_>) -> Result<(), ConfigError> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match &mut node.value {
        Value::Text(text) => {
            node.value = match expand(text, sources) {
                Ok(Expanded::AsWritten(text)) => Value::Text(text),
                Ok(Expanded::Expanded(text)) => Value::Untyped(text),
                Err(reason) => {
                    let origin = node.origin.as_deref().map(ToOwned::to_owned);
                    return Err(ConfigError::Value { key: path.to_owned(), reason, origin });
                }
            };
        }
        Value::List(items) => {
            for (position, item) in items.iter_mut().enumerate() {
                expand_below(item, &below(&position.to_string()), sources)?;
            }
        }
        Value::Section(entries) => {
            for (key, entry) in entries {
                expand_below(entry, &below(key), sources)?;
            }
        }
        Value::Nothing | Value::Bool(_) | Value::Number(_) | Value::Untyped(_) => {}
    }
    Ok(())
}
