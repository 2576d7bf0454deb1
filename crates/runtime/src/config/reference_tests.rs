//! Tests of the generated reference.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::loader::tests::{Example, VARIABLES};

#[test]
fn every_key_has_its_line() {
    let page = markdown::<Example>(VARIABLES).unwrap();
    for line in [
        "## `http`",
        "| `http.listen` | text | `127.0.0.1:8080` | `LUMINATE_LISTEN` | Where to listen. |",
        "| `http.maxConnections` | whole number | `10` | `LUMINATE_MAX_CONNECTIONS` | How many at once. |",
        "| `http.idleTimeout` | duration | `1m15s` |  | How long to wait. |",
        "| `http.hosts` | list of text | `[]` | `LUMINATE_HOSTS` | Who may connect. |",
        "| `http.compress` | `true`, `false` | `true` |  | Whether to compress. |",
        "| `storage.backend` | `rocksdb`, `clickhouse` | `rocksdb` |  | Which store. |",
        "| `storage.cacheSize` | size | `64MiB` |  | Largest cache. |",
        "| `storage.maxAge` | duration | none |  | Largest age, if any. |",
        "| `secret` | secret | none | `LUMINATE_SECRET`, `JWT_SECRET` | The secret of tokens. |",
        "| `share` | number | `0.5` |  | Shares of something. |",
        "## `retention.*`",
        "| `retention.*.days` | whole number | none |  | How many days. |",
    ] {
        assert!(page.lines().any(|found| found == line), "missing: {line}\nin:\n{page}");
    }
}

#[test]
fn sections_are_the_page_cut_where_a_new_part_begins() {
    let page = markdown::<Example>(VARIABLES).unwrap();
    let sections = sections::<Example>(VARIABLES).unwrap();
    let keys: Vec<&str> = sections.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["http", "retention", "storage"]);
    let joined: String = sections.into_iter().map(|(_, text)| text).collect();
    assert!(page.ends_with(&joined), "{joined}");
}

#[test]
fn the_variables_become_an_example_file() {
    let example = env_example::<Example>(VARIABLES).unwrap();
    assert!(example.starts_with(
        "# The configuration file.\n# LUMINATE_CONFIG=\n\n# Where to listen.\n# LUMINATE_LISTEN=127.0.0.1:8080\n"
    ));
    assert!(example.ends_with("# JWT_SECRET=\n"));
    assert!(variables_markdown(VARIABLES).contains("| `LUMINATE_HOSTS` | `http.hosts` | Who may connect. |\n"));
}
