//! The effective configuration as text. Secrets are redacted by their type.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

/// As JSON, indented.
///
/// # Errors
/// Where a section cannot be written as JSON, such as a map whose keys are not text.
pub fn json<T: Serialize>(config: &T) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(config)?;
    text.push('\n');
    Ok(text)
}

/// As YAML that the loader reads back to the same configuration, secrets aside.
///
/// # Errors
/// Where a section cannot be written as JSON, such as a map whose keys are not text.
pub fn yaml<T: Serialize>(config: &T) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    write_value(&mut text, &serde_json::to_value(config)?, 0);
    Ok(text)
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, entry) in entries {
                let _ = write!(text, "{:depth$}{}:", "", scalar(key), depth = 2 * depth);
                write_entry(text, entry, depth);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(text, "{:depth$}-", "", depth = 2 * depth);
                write_entry(text, item, depth);
            }
        }
        other => {
            let _ = writeln!(text, "{}", inline(other));
        }
    }
}

fn write_entry(text: &mut String, entry: &Value, depth: usize) {
    match entry {
        Value::Object(entries) if !entries.is_empty() => {
            text.push('\n');
            write_value(text, entry, depth + 1);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            write_value(text, entry, depth + 1);
        }
        other => {
            let _ = writeln!(text, " {}", inline(other));
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => scalar(string),
        other => other.to_string(),
    }
}

/// A text as YAML: bare where it is a word that can be taken for nothing else, else as a JSON string, which YAML reads as
/// well. `${` is escaped, because the loader would expand it.
fn scalar(text: &str) -> String {
    let begins_as_a_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let only_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let is_reserved =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if begins_as_a_word && only_plain && !is_reserved {
        text.to_owned()
    } else {
        Value::from(text.replace("${", "$${")).to_string()
    }
}
