//! Tests of the whole way from layers to a typed configuration, and of its errors.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::config::{ByteSize, ConfigSecret, HumanDuration, dump};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Example {
    /// What is served.
    pub(crate) http: Http,
    /// Where data lies.
    pub(crate) storage: Storage,
    /// The secret of tokens.
    pub(crate) secret: Option<ConfigSecret>,
    /// Shares of something.
    pub(crate) share: f64,
    /// Retention by tenant.
    pub(crate) retention: BTreeMap<String, Retention>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Http {
    /// Where to listen.
    pub(crate) listen: String,
    /// How many at once.
    pub(crate) max_connections: NonZeroU32,
    /// How long to wait.
    pub(crate) idle_timeout: HumanDuration,
    /// Who may connect.
    pub(crate) hosts: Vec<String>,
    /// Ports besides.
    pub(crate) ports: Vec<u16>,
    /// Whether to compress.
    pub(crate) compress: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Storage {
    /// Which store.
    pub(crate) backend: Backend,
    /// Largest cache.
    pub(crate) cache_size: ByteSize,
    /// Largest age, if any.
    pub(crate) max_age: Option<HumanDuration>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    /// Embedded.
    #[default]
    Rocksdb,
    /// A server.
    Clickhouse,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Retention {
    /// How many days.
    pub(crate) days: u16,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8080".to_owned(),
            max_connections: NonZeroU32::new(10).unwrap(),
            idle_timeout: HumanDuration::new(Duration::from_secs(75)),
            hosts: Vec::new(),
            ports: Vec::new(),
            compress: true,
        }
    }
}

impl Default for Example {
    fn default() -> Self {
        Self {
            // Not what the section itself would take.
            http: Http { listen: "127.0.0.1:8080".to_owned(), ..Http::default() },
            storage: Storage { cache_size: ByteSize::mib(64), ..Storage::default() },
            secret: None,
            share: 0.5,
            retention: BTreeMap::new(),
        }
    }
}

pub(crate) const VARIABLES: &[EnvVariable] = &[
    EnvVariable { name: "LUMINATE_CONFIG", key: "", description: "The configuration file." },
    EnvVariable { name: "LUMINATE_LISTEN", key: "http.listen", description: "Where to listen." },
    EnvVariable { name: "LUMINATE_HOSTS", key: "http.hosts", description: "Who may connect." },
    EnvVariable { name: "LUMINATE_PORTS", key: "http.ports", description: "Ports besides." },
    EnvVariable { name: "LUMINATE_MAX_CONNECTIONS", key: "http.maxConnections", description: "How many." },
    EnvVariable { name: "LUMINATE_SECRET", key: "secret", description: "The secret." },
    EnvVariable { name: "JWT_SECRET", key: "secret", description: "The secret, by its older name." },
];

struct Setup {
    folder: tempfile::TempDir,
    environment: Environment,
}

fn with_environment(variables: &[(&str, &str)]) -> Setup {
    Setup { folder: tempfile::tempdir().unwrap(), environment: variables.iter().copied().collect() }
}

impl Setup {
    fn loader(&self) -> Loader<'_> {
        Loader::new(&self.environment, VARIABLES)
    }

    fn load(&self, yaml: &str) -> Result<Example, ConfigError> {
        let path = self.folder.path().join("luminate.yaml");
        std::fs::write(&path, yaml).unwrap();
        self.loader().file(&path).load().map(|loaded| loaded.config)
    }

    /// The error without the folder's name, which differs from run to run.
    fn error(&self, yaml: &str) -> String {
        let text = self.load(yaml).unwrap_err().to_string();
        text.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn load(yaml: &str) -> Result<Example, ConfigError> {
    with_environment(&[]).load(yaml)
}

fn error(yaml: &str) -> String {
    with_environment(&[]).error(yaml)
}

#[test]
fn without_layers_there_are_the_defaults() {
    let setup = with_environment(&[]);
    assert_eq!(setup.loader().load::<Example>().unwrap().config, Example::default());
    for empty in ["", "# only a comment\n", "---\n", "http:\n", "http: {}\n"] {
        assert_eq!(load(empty).unwrap(), Example::default(), "{empty:?}");
    }
}

#[test]
fn flags_are_over_the_environment_over_the_file_over_the_defaults() {
    let setup = with_environment(&[("LUMINATE_LISTEN", "env:1"), ("LUMINATE_MAX_CONNECTIONS", "7")]);
    let path = setup.folder.path().join("f.yaml");
    std::fs::write(&path, "http: {listen: 'file:1', maxConnections: 3, idleTimeout: 1m}").unwrap();
    let config: Example = setup.loader().file(&path).flag("--listen", "http.listen", "flag:1").load().unwrap().config;
    assert_eq!(config.http.listen, "flag:1");
    assert_eq!(config.http.max_connections.get(), 7);
    assert_eq!(config.http.idle_timeout.get(), Duration::from_secs(60));
    assert!(config.http.compress);
}

#[test]
fn a_section_given_in_part_keeps_the_defaults_of_the_whole() {
    let config = load("http: {maxConnections: 3}\nstorage: {backend: clickhouse}").unwrap();
    assert_eq!(config.http.listen, "127.0.0.1:8080", "the process's own default, not the section's");
    assert_eq!(config.storage.cache_size, ByteSize::mib(64));
}

#[test]
fn of_two_variables_for_one_key_the_first_of_the_table_wins() {
    let secret_of = |variables: &[(&str, &str)]| {
        let setup = with_environment(variables);
        let config: Example = setup.loader().load().unwrap().config;
        config.secret.unwrap().secret().expose().to_owned()
    };
    assert_eq!(secret_of(&[("JWT_SECRET", "old")]), "old");
    assert_eq!(secret_of(&[("JWT_SECRET", "old"), ("LUMINATE_SECRET", "new")]), "new");
    assert_eq!(secret_of(&[("JWT_SECRET", "old"), ("LUMINATE_SECRET", "")]), "old", "empty is not set");
}

#[test]
fn text_from_outside_becomes_what_its_key_wants() {
    let setup =
        with_environment(&[("LUMINATE_HOSTS", "a, b,,c "), ("LUMINATE_PORTS", "1,2"), ("LUMINATE_SECRET", "123")]);
    let config: Example = setup.loader().flag("--no-compress", "http.compress", "false").load().unwrap().config;
    assert_eq!(config.http.hosts, ["a", "b", "c"]);
    assert_eq!(config.http.ports, [1, 2]);
    assert_eq!(config.secret.unwrap().secret().expose(), "123");
    assert!(!config.http.compress);
}

#[test]
fn expanded_values_become_what_their_key_wants() {
    let setup = with_environment(&[("N", "42"), ("SIZE", "1GiB"), ("KIND", "clickhouse"), ("SHARE", "0.25")]);
    let config = setup
        .load(
            "http: {maxConnections: '${N}', listen: 'localhost:${N}', compress: '${C:-false}', ports: ['${N}', 7]}\n\
             storage: {cacheSize: '${SIZE}', backend: '${KIND}', maxAge: '${AGE:-24h}'}\n\
             share: ${SHARE}\n\
             retention: {acme: {days: '${N}'}}",
        )
        .unwrap();
    assert_eq!(config.http.max_connections.get(), 42);
    assert_eq!(config.http.listen, "localhost:42");
    assert_eq!(config.http.ports, [42, 7]);
    assert!(!config.http.compress);
    assert_eq!(config.storage.cache_size, ByteSize::gib(1));
    assert_eq!(config.storage.backend, Backend::Clickhouse);
    assert_eq!(config.storage.max_age.unwrap().get(), Duration::from_secs(86_400));
    assert!((config.share - 0.25).abs() < f64::EPSILON);
    assert_eq!(config.retention["acme"].days, 42);
}

#[test]
fn a_variable_cannot_change_the_structure_of_the_file() {
    let setup = with_environment(&[("TRICK", "x\nstorage: {backend: clickhouse}")]);
    let config = setup.load("http:\n  listen: ${TRICK}\n").unwrap();
    assert_eq!(config.storage.backend, Backend::Rocksdb);
    assert!(config.http.listen.starts_with("x\n"));
}

#[test]
fn unknown_keys_are_named_with_their_path_and_what_was_meant() {
    assert_eq!(error("htpt: {}"), "htpt: unknown key (from luminate.yaml); did you mean `http`?");
    assert_eq!(
        error("http: {max_connections: 3}"),
        "http.max_connections: unknown key (from luminate.yaml); did you mean `maxConnections`?"
    );
    assert_eq!(
        error("storage: {zzz: 3}"),
        "storage.zzz: unknown key (from luminate.yaml); there is `backend`, `cacheSize`, `maxAge`"
    );
    assert_eq!(
        error("retention: {acme: {day: 3}}"),
        "retention.acme.day: unknown key (from luminate.yaml); did you mean `days`?"
    );
}

#[test]
fn wrong_values_are_named_with_their_path_origin_and_what_would_be_right() {
    for (yaml, expected) in [
        (
            "storage: {cacheSize: big}",
            "storage.cacheSize: expected a size such as `64MiB`, `10MB` or `4096`, got `big`",
        ),
        (
            "storage: {cacheSize: [1]}",
            "storage.cacheSize: expected a size such as `64MiB`, `10MB` or `4096`, got a list",
        ),
        (
            "storage: {maxAge: 10}",
            "storage.maxAge: expected a duration such as `250ms`, `10s`, `5m`, `24h` or `7d`, got the number `10`",
        ),
        (
            "storage: {backend: rocks}",
            "storage.backend: expected one of `rocksdb`, `clickhouse`, got `rocks`; did you mean `rocksdb`?",
        ),
        (
            "http: {maxConnections: -1}",
            "http.maxConnections: expected a whole number from 0 to 4294967295, got the number `-1`",
        ),
        (
            "http: {maxConnections: '5'}",
            "http.maxConnections: expected a whole number from 0 to 4294967295, got the text `5`",
        ),
        ("http: {ports: [1, 70000]}", "http.ports.1: expected a whole number from 0 to 65535, got the number `70000`"),
        ("http: {listen: 8080}", "http.listen: expected a text (put it in quotes), got the number `8080`"),
        ("http: {compress: yes}", "http.compress: expected `true` or `false`, got the text `yes`"),
        ("http: 5", "http: expected a section, got the number `5`"),
        ("share: half", "share: expected a number, got the text `half`"),
        ("http: {listen: '${NOPE}'}", "http.listen: the environment variable `NOPE` is not set"),
        ("http: {hosts: [a, '${NOPE}']}", "http.hosts.1: the environment variable `NOPE` is not set"),
    ] {
        assert_eq!(error(yaml), format!("{expected} (from luminate.yaml)"), "{yaml}");
    }
    assert!(
        error("http: {maxConnections: 0}")
            .starts_with("http.maxConnections: expected a whole number of 1 or more, got the number `0`")
    );
}

#[test]
fn a_wrong_value_names_the_variable_or_the_flag() {
    let setup = with_environment(&[("LUMINATE_MAX_CONNECTIONS", "many")]);
    assert_eq!(
        setup.loader().load::<Example>().unwrap_err().to_string(),
        "http.maxConnections: expected a whole number from 0 to 4294967295, got the text `many` \
         (from environment variable LUMINATE_MAX_CONNECTIONS)"
    );
    let setup = with_environment(&[]);
    let error = setup.loader().flag("--age", "storage.maxAge", "long").load::<Example>().unwrap_err();
    assert!(error.to_string().ends_with("got `long` (from --age)"), "{error}");
}

#[test]
fn a_wrong_secret_is_not_repeated() {
    let error = error("secret: 1234567");
    assert!(!error.contains("1234567"), "{error}");
    assert!(error.starts_with("secret: expected a text"), "{error}");
}

#[test]
fn files_that_are_no_configuration_are_refused() {
    assert!(error("http: [").starts_with("the configuration file luminate.yaml is not valid YAML"));
    assert!(error("- a\n- b\n").contains("must hold keys with values"));
    assert!(error("http: {listen: a, listen: b}").contains("listen"), "a key given twice");
    assert_eq!(load(&format!("# {}", "x".repeat(1 << 20))).unwrap_err().code(), "config_too_large");
    let setup = with_environment(&[]);
    let missing = setup.loader().file("/no/such/file.yaml").load::<Example>().unwrap_err();
    assert_eq!(missing.code(), "config_unreadable");
    assert!(missing.to_string().contains("/no/such/file.yaml"));
}

#[test]
fn alias_bombs_are_refused() {
    let mut yaml = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let alias = format!("*a{}, ", level - 1).repeat(10);
        yaml.push_str(&format!("a{level}: &a{level} [{}]\n", alias.trim_end_matches(", ")));
    }
    assert_eq!(load(&yaml).unwrap_err().code(), "config_syntax");
}

#[test]
fn variables_that_look_like_ours_are_warned_about() {
    let setup = with_environment(&[
        ("LUMINATE_LISTN", "x"),
        ("LUMINATE_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("LUMINATE_CONFIG", "f"),
        ("PATH", "/bin"),
    ]);
    let warnings = setup.loader().load::<Example>().unwrap().warnings;
    assert_eq!(warnings, ["the environment variable `LUMINATE_LISTN` is not known; did you mean `LUMINATE_LISTEN`?"]);
}

#[test]
fn a_dump_reads_back_to_the_same_configuration() {
    let mut config = Example::default();
    config.http.listen = "[::1]:${not expanded}: #\"quoted\" \u{e4}\n".to_owned();
    config.http.hosts = vec!["a".to_owned(), "true".to_owned(), "1".to_owned(), String::new(), "- x".to_owned()];
    config.retention.insert("no".to_owned(), Retention { days: 3 });
    config.retention.insert("7".to_owned(), Retention { days: 4 });
    config.storage.max_age = Some(Duration::from_secs(90).into());
    assert_eq!(load(&dump::yaml(&config).unwrap()).unwrap(), config);
    assert_eq!(load(&dump::yaml(&Example::default()).unwrap()).unwrap(), Example::default());
}

#[test]
fn a_dump_redacts_secrets_and_is_refused_where_it_did() {
    let config = Example { secret: Some(luminate_auth::Secret::new("swordfish").into()), ..Example::default() };
    for text in [dump::yaml(&config).unwrap(), dump::json(&config).unwrap(), format!("{config:?}")] {
        assert!(text.contains("[redacted]") && !text.contains("swordfish"), "{text}");
    }
    assert!(error(&dump::yaml(&config).unwrap()).contains("stands for a secret in a dump"));
}
