//! The configuration reference as Markdown, and `.env.example`: both generated from the types and the table of variables.

use std::fmt::Write as _;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value};

use super::environment::EnvVariable;

/// A heading and a table for each section: key, type, default, variable, meaning. Sections stand in the order of their keys.
///
/// # Errors
/// Where the defaults cannot be written as JSON, such as a map whose keys are not text.
pub fn markdown<T>(variables: &[EnvVariable]) -> Result<String, serde_json::Error>
where
    T: JsonSchema + Default + Serialize,
{
    let defaults = serde_json::to_value(T::default())?;
    let mut page = Page { variables, text: String::new() };
    page.section("", &schema_of::<T>(), Some(&defaults));
    Ok(page.text)
}

/// The same for each of the first parts of the keys: that part, and the text of all below it. For programs that share sections.
///
/// # Errors
/// Where the defaults cannot be written as JSON.
pub fn sections<T>(variables: &[EnvVariable]) -> Result<Vec<(String, String)>, serde_json::Error>
where
    T: JsonSchema + Default + Serialize,
{
    let defaults = serde_json::to_value(T::default())?;
    let schema = schema_of::<T>();
    let sections = properties(&schema).into_iter().flatten().filter_map(|(key, property)| {
        let (suffix, schema) = section_of(property)?;
        let mut page = Page { variables, text: String::new() };
        page.section(&format!("{key}{suffix}"), schema, defaults.get(key).filter(|_| suffix.is_empty()));
        Some((key.clone(), page.text))
    });
    Ok(sections.collect())
}

/// A table of the variables: name, key, meaning.
#[must_use]
pub fn variables_markdown(variables: &[EnvVariable]) -> String {
    let mut text = String::from("| variable | key | meaning |\n|---|---|---|\n");
    for variable in variables {
        let key = if variable.key.is_empty() { String::new() } else { format!("`{}`", variable.key) };
        let _ = writeln!(text, "| `{}` | {key} | {} |", variable.name, variable.description);
    }
    text
}

/// The variables as a file for `make run` and docker-compose: all commented out, with what they are for and the defaults.
///
/// # Errors
/// Where the defaults cannot be written as JSON.
pub fn env_example<T: Default + Serialize>(variables: &[EnvVariable]) -> Result<String, serde_json::Error> {
    let defaults = serde_json::to_value(T::default())?;
    let mut text = String::new();
    for variable in variables {
        let default = match variable.key.split('.').try_fold(&defaults, |value, key| value.get(key)) {
            Some(Value::String(default)) => default.clone(),
            // In the environment a list is separated by commas, and a map has a form of its own.
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            Some(Value::Null | Value::Object(_)) | None => String::new(),
            Some(other) => other.to_string(),
        };
        let _ = writeln!(text, "# {}\n# {}={default}\n", variable.description, variable.name);
    }
    Ok(text.trim_end().to_owned() + "\n")
}

fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

struct Page<'a> {
    variables: &'a [EnvVariable],
    text: String,
}

impl Page<'_> {
    fn section(&mut self, path: &str, schema: &Value, defaults: Option<&Value>) {
        let Some(properties) = properties(schema) else {
            return;
        };
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let (sections, values): (Vec<_>, Vec<_>) =
            properties.iter().partition(|(_, property)| section_of(property).is_some());
        if !values.is_empty() {
            if !path.is_empty() {
                let _ = writeln!(self.text, "## `{path}`\n");
            }
            if let Some(description) = description(schema).filter(|_| !path.is_empty()) {
                let _ = writeln!(self.text, "{description}\n");
            }
            self.text.push_str("| key | type | default | environment | meaning |\n|---|---|---|---|---|\n");
            for (key, property) in values {
                let default = defaults.and_then(|defaults| defaults.get(key));
                self.row(&below(key), property, default);
            }
            self.text.push('\n');
        }
        for (key, property) in sections {
            let default = defaults.and_then(|defaults| defaults.get(key));
            if let Some((suffix, schema)) = section_of(property) {
                let default = if suffix.is_empty() { default } else { None };
                self.section(&format!("{}{suffix}", below(key)), schema, default);
            }
        }
    }

    fn row(&mut self, key: &str, property: &Value, default: Option<&Value>) {
        let variables: Vec<String> = self
            .variables
            .iter()
            .filter(|variable| variable.key == key)
            .map(|variable| format!("`{}`", variable.name))
            .collect();
        let _ = writeln!(
            self.text,
            "| `{key}` | {} | {} | {} | {} |",
            type_name(property),
            shown_default(default),
            variables.join(", "),
            description(property).unwrap_or_default()
        );
    }
}

/// The section that a property stands for, and what its path ends with: `.*` where the keys are free.
fn section_of(property: &Value) -> Option<(&'static str, &Value)> {
    let schema = without_null(property);
    if properties(schema).is_some() {
        return Some(("", schema));
    }
    let free = without_null(schema.get("additionalProperties")?);
    properties(free).map(|_| (".*", free))
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

/// One line: paragraphs would break the table.
fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|"))
}

/// The schema of what is there when something is.
fn without_null(schema: &Value) -> &Value {
    let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
    match schema.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one, other]) if is_null(&other) => one,
        Some([one, other]) if is_null(&one) => other,
        _ => schema,
    }
}

fn type_name(schema: &Value) -> String {
    let schema = without_null(schema);
    if let Some(names) = variants(schema) {
        return names.join(", ");
    }
    if let Some(format @ ("duration" | "size" | "secret")) = schema.get("format").and_then(Value::as_str) {
        return format.to_owned();
    }
    let json_type = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null").unwrap_or(""),
        _ => "",
    };
    match json_type {
        "boolean" => "`true`, `false`".to_owned(),
        "integer" => "whole number".to_owned(),
        "number" => "number".to_owned(),
        "string" => "text".to_owned(),
        "array" => format!("list of {}", schema.get("items").map_or("anything".to_owned(), type_name)),
        "object" => {
            let values = schema.get("additionalProperties").filter(|values| values.is_object());
            format!("map to {}", values.map_or("anything".to_owned(), type_name))
        }
        _ => "anything".to_owned(),
    }
}

/// The names of an enum, whether its variants are documented (`oneOf`) or not (`enum`).
fn variants(schema: &Value) -> Option<Vec<String>> {
    let shown = |name: &Value| Some(format!("`{}`", name.as_str()?));
    if let Some(names) = schema.get("enum").and_then(Value::as_array) {
        return names.iter().filter(|name| !name.is_null()).map(shown).collect();
    }
    let variants = schema.get("oneOf")?.as_array()?;
    let names = variants.iter().map(|variant| match (variant.get("const"), variant.get("enum")) {
        (Some(name), _) => Some(vec![shown(name)?]),
        (None, Some(Value::Array(names))) => names.iter().map(shown).collect(),
        _ => None,
    });
    names.collect::<Option<Vec<_>>>().map(|names| names.concat())
}

fn shown_default(default: Option<&Value>) -> String {
    match default {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(other) => format!("`{other}`"),
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
