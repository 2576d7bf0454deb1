//! What a process writes to stdout, in a process of its own: this binary starts itself again as the one that logs.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::process::Command;

use luminate_runtime::telemetry::{LogConfig, LogFormat, logs};
use serde_json::Value;

/// Tells the process that logs which format to use.
const FORMAT: &str = "LUMINATE_TEST_LOG_FORMAT";

#[test]
#[ignore = "not a test: the process that the others read"]
fn logging_process() {
    let format = match std::env::var(FORMAT).as_deref() {
        Ok("auto") => LogFormat::Auto,
        Ok("text") => LogFormat::Text,
        _ => return,
    };
    logs::start(&LogConfig { filter: "info,quiet=warn".to_owned(), format }).unwrap();
    assert!(logs::start(&LogConfig::default()).is_err(), "logging starts once");
    tracing::info!(tenant = "acme", samples = 7, "batch stored");
    tracing::info!(target: "quiet", "not this");
    tracing::debug!("nor this");
    assert!(std::thread::spawn(|| panic!("swordfish")).join().is_err());
}

fn lines_of(format: &str) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "logging_process", "--ignored", "--nocapture"])
        .env(FORMAT, format)
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("not this") && !text.contains("nor this"), "{text}");
    text.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn where_stdout_is_no_terminal_every_line_is_a_json_object() {
    let lines = lines_of("auto");
    let objects: Vec<Value> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let stored = objects.iter().find(|object| object["message"] == "batch stored").unwrap();
    assert_eq!((&stored["tenant"], &stored["samples"], &stored["level"]), (&"acme".into(), &7.into(), &"INFO".into()));
    assert!(stored["timestamp"].as_str().unwrap().ends_with('Z'));
    let panic = objects.iter().find(|object| object["message"] == "panic").unwrap();
    assert_eq!((&panic["level"], &panic["reason"]), (&"ERROR".into(), &"swordfish".into()));
    assert!(panic["location"].as_str().unwrap().contains("logs.rs"));
}

#[test]
fn text_is_for_people() {
    let lines = lines_of("text");
    let line = lines.iter().find(|line| line.contains("batch stored")).unwrap();
    assert!(line.contains("tenant=\"acme\"") && line.contains("samples=7"), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours where stdout is no terminal");
}
