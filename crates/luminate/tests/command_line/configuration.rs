//! Checking and showing settings, and completions.

use std::fs;

use crate::server::{luminate, run};

const YAML: &str = "\
auth:
  secret: ${SECRET}
http:
  maxConnections: ${CONNECTIONS:-17}
retention:
  tenants:
    acme:
      defaultDays: 30
";

fn with_file(words: &[&str], yaml: &str) -> crate::server::Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("luminate.yaml");
    fs::write(&file, yaml).unwrap();
    let mut command = luminate(words);
    command.arg("--config").arg(&file);
    command.env("HOME", folder.path()).env("SECRET", "a secret of this test, 32 bytes long");
    run(command, "")
}

#[test]
fn good_settings_are_good_and_bad_ones_name_their_key() {
    let good = with_file(&["config", "check"], YAML).done();
    assert_eq!(good.data, "");
    let unknown = with_file(&["config", "check"], "http:\n  maxConection: 5\n");
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(
        unknown.messages.contains("http.maxConection") && unknown.messages.contains("maxConnections"),
        "{unknown:?}"
    );
    let senseless = with_file(&["config", "check"], "gateway:\n  maxDecompressedBytes: 1MiB\n");
    assert_eq!(senseless.code, 1, "{senseless:?}");
    assert!(senseless.messages.contains("gateway.maxDecompressedBytes"), "{senseless:?}");
}

#[test]
fn a_dump_hides_secrets_and_is_itself_good_settings() {
    let dump = with_file(&["config", "dump"], YAML).done();
    assert!(!dump.data.contains("a secret of this test"), "{dump:?}");
    assert!(dump.data.contains("maxConnections: 17"), "{dump:?}");
    let without_secret = dump.data.replace("secret: \"[redacted]\"", "secret: null");
    assert_ne!(without_secret, dump.data, "the secret is redacted");
    let again = with_file(&["config", "dump", "--format", "json"], &without_secret).done().json();
    assert_eq!(again["retention"]["tenants"]["acme"]["defaultDays"], 30, "{again}");
    assert_eq!(again["http"]["maxConnections"], 17, "{again}");
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(luminate(&["completions", shell]), "").done().data;
        assert!(script.contains("access-log"), "{shell} does not complete commands");
    }
}
