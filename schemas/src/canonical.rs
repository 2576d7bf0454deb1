//! The parsing canonical form of a schema: what of it decides how values are read, in one spelling.
//!
//! Schemas come from a registry, where whoever may register one writes them, so nothing here may panic. What no record of ours
//! holds (enums, fixed) has no form here; it would equal none of the published schemas anyway.

use serde_json::{Map, Value};

/// The types that have no name and no parts.
const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// The parsing canonical form of a schema in JSON; `None` where it is none, or has parts that no record of ours has.
pub(crate) fn canonical_form(text: &str) -> Option<String> {
    // serde_json goes 128 levels deep at most, and so does what follows.
    let schema = serde_json::from_str(text).ok()?;
    let mut out = String::new();
    write_schema(&mut out, &schema, "")?;
    Some(out)
}

fn write_schema(out: &mut String, schema: &Value, namespace: &str) -> Option<()> {
    match schema {
        Value::String(name) => write_string(out, &type_name(name, namespace)),
        Value::Array(branches) => write_list(out, branches, |out, branch| write_schema(out, branch, namespace)),
        Value::Object(schema) => write_object(out, schema, namespace),
        _ => None,
    }
}

fn write_object(out: &mut String, schema: &Map<String, Value>, namespace: &str) -> Option<()> {
    match schema.get("type")? {
        Value::String(kind) if kind == "record" => write_record(out, schema, namespace),
        Value::String(kind) if kind == "array" => write_container(out, "array", "items", schema, namespace),
        Value::String(kind) if kind == "map" => write_container(out, "map", "values", schema, namespace),
        Value::String(kind) if kind == "enum" || kind == "fixed" => None,
        // A type with attributes that do not count, such as a logical type, or a schema within a schema.
        kind => write_schema(out, kind, namespace),
    }
}

fn write_container(
    out: &mut String,
    kind: &str,
    part: &str,
    schema: &Map<String, Value>,
    namespace: &str,
) -> Option<()> {
    out.push_str(&format!(r#"{{"type":"{kind}","{part}":"#));
    write_schema(out, schema.get(part)?, namespace)?;
    out.push('}');
    Some(())
}

fn write_record(out: &mut String, schema: &Map<String, Value>, namespace: &str) -> Option<()> {
    let name = schema.get("name")?.as_str()?;
    let namespace = schema.get("namespace").map_or(Some(namespace), Value::as_str)?;
    let name = full_name(name, namespace);
    let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
    out.push_str(r#"{"name":"#);
    write_string(out, &name)?;
    out.push_str(r#","type":"record","fields":"#);
    write_list(out, schema.get("fields")?.as_array()?, |out, field| {
        out.push_str(r#"{"name":"#);
        write_string(out, field.get("name")?.as_str()?)?;
        out.push_str(r#","type":"#);
        write_schema(out, field.get("type")?, namespace)?;
        out.push('}');
        Some(())
    })?;
    out.push('}');
    Some(())
}

fn write_list(
    out: &mut String,
    items: &[Value],
    mut write_item: impl FnMut(&mut String, &Value) -> Option<()>,
) -> Option<()> {
    out.push('[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_item(out, item)?;
    }
    out.push(']');
    Some(())
}

fn write_string(out: &mut String, string: &str) -> Option<()> {
    out.push_str(&serde_json::to_string(string).ok()?);
    Some(())
}

/// Of a primitive type its name, of a named type its name with the namespace.
fn type_name(name: &str, namespace: &str) -> String {
    if PRIMITIVES.contains(&name) { name.to_owned() } else { full_name(name, namespace) }
}

fn full_name(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.contains('.') { name.to_owned() } else { format!("{namespace}.{name}") }
}
