//! The command line against mistakes and malice: what it says, with which exit code, and what it leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use luminate_tests::samples::now_ms;
use luminate_tests::server::{SECRET, binary, token};
use luminate_tests::{Server, ServerOptions};
use serde_json::json;
use tempfile::TempDir;

/// The program in an environment of its own.
fn luminate(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.env_clear().env("PATH", "/usr/bin:/bin").args(arguments).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must fail so, say something that holds all of `words`, and print no data.
#[track_caller]
fn assert_fails(mut command: Command, code: i32, words: &[&str]) {
    let Output { status, stdout, stderr } = command.output().expect("luminate runs");
    let (data, message) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(code), "{command:?}: {message}");
    assert_eq!(data, "", "a failure prints no data");
    for word in words {
        assert!(message.contains(word), "{command:?} does not say {word:?}: {message}");
    }
    assert!(!message.contains("panicked") && !message.contains(SECRET), "{message}");
}

fn with_config(folder: &TempDir, config: &str) -> Command {
    let file = folder.path().join("luminate.yaml");
    fs::write(&file, config).unwrap();
    let mut command = luminate(&["config", "check", "--config"]);
    command.arg(file).env("HOME", folder.path());
    command
}

#[test]
fn a_wrong_setting_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (config, words) in [
        ("gatway:\n  maxSamples: 1\n", &["gatway", "gateway"][..]),
        ("gateway:\n  maxSample: 1\n", &["gateway.maxSample", "maxSamples"]),
        ("gateway:\n  maxSamples: many\n", &["gateway.maxSamples"]),
        ("gateway:\n  maxSamples: 0\n", &["gateway.maxSamples"]),
        ("gateway:\n  maxSamples: -1\n", &["gateway.maxSamples"]),
        ("gateway:\n  maxBodyBytes: 16 parsecs\n", &["gateway.maxBodyBytes"]),
        ("gateway:\n  samples:\n    maxDimensions: 1000\n", &["gateway.samples.maxDimensions", "256"]),
        ("http:\n  bodyTimeout: soon\n", &["http.bodyTimeout"]),
        ("http: 8080\n", &["http"]),
        ("writer:\n  batch:\n    maxAge: 0s\n", &["writer.batch.maxAge"]),
        ("query:\n  maxConcurrentPerTenant: 100\n", &["query.maxConcurrentPerTenant"]),
        ("storage:\n  backend: postgres\n", &["storage.backend", "rocksdb"]),
        ("retention:\n  defaultDays: 20000\n", &["retention.defaultDays"]),
        ("retention:\n  tenants:\n    a/b:\n      defaultDays: 1\n", &["retention.tenants.a/b"]),
        ("auth:\n  secret: ${NOT_SET}\n", &["NOT_SET"]),
        ("auth:\n  secret: ${file:/does/not/exist}\n", &["/does/not/exist"]),
        ("gateway:\n\tmaxSamples: 1\n", &["luminate.yaml"]),
        ("gateway: [\n", &["luminate.yaml"]),
        ("gateway:\n  maxSamples: 1\ngateway:\n  maxSamples: 2\n", &["gateway"]),
        ("- a list\n", &["luminate.yaml"]),
    ] {
        assert_fails(with_config(&folder, config), 1, words);
    }
    let mut missing = luminate(&["config", "check", "--config", "/does/not/exist.yaml"]);
    missing.env("HOME", folder.path());
    assert_fails(missing, 1, &["/does/not/exist.yaml"]);
    let mut variable = luminate(&["config", "check"]);
    variable.env("HOME", folder.path()).env("LUMINATE_RATELIMIT_WRITE_RPS", "fast");
    assert_fails(variable, 1, &["LUMINATE_RATELIMIT_WRITE_RPS"]);
    let good = with_config(&folder, "").output().unwrap();
    assert!(good.status.success(), "an empty file is no mistake: {}", text(&good.stderr));
}

#[test]
fn settings_are_shown_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    let file = folder.path().join("luminate.yaml");
    fs::write(&file, format!("auth:\n  secret: ${{file:{}/secret}}\n", folder.path().display())).unwrap();
    for format in ["yaml", "json"] {
        let mut command = luminate(&["config", "dump", "--format", format, "--config"]);
        let output = command.arg(&file).env("HOME", folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(all.contains("maxSamples") && !all.contains(SECRET), "{all}");
    }
}

#[test]
fn a_token_is_printed_alone_and_signed_with_nothing_weak() {
    let output =
        luminate(&["token", "--tenant", "acme", "--scopes", "read"]).env("JWT_SECRET", SECRET).output().unwrap();
    let printed = text(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    assert_eq!(printed.matches('.').count(), 2);
    let token = printed.strip_suffix('\n').unwrap();
    assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)), "{printed:?}");

    let with = |arguments: &[&str], secret: &str| {
        let mut command = luminate(arguments);
        command.env("JWT_SECRET", secret);
        command
    };
    assert_fails(with(&["token", "--tenant", "acme"], "short"), 1, &["JWT_SECRET", "32"]);
    assert_fails(with(&["token", "--tenant", "a/b"], SECRET), 2, &["tenant"]);
    assert_fails(with(&["token", "--tenant", "acme", "--scopes", "fly"], SECRET), 2, &["read, write, admin"]);
    assert_fails(with(&["token", "--tenant", "acme", "--scopes", "operator"], SECRET), 2, &["operator"]);
    assert_fails(with(&["token", "--scopes", "read"], SECRET), 2, &["tenant"]);
    assert_fails(with(&["token", "--tenant", "acme", "--expires", "soon"], SECRET), 2, &["--expires"]);
    assert_fails(with(&["token", "--tenant", "acme", "--expires", "99999999999999d"], SECRET), 2, &["--expires"]);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_secret_that_a_start_makes_is_its_owners_alone() {
    let mut server = Server::prepare(ServerOptions { no_secret: true, ..ServerOptions::default() });
    server.start_again();
    let file = server.data().join("jwt-secret");
    assert_eq!((mode(&file), mode(server.data())), (0o600, 0o700));
    let secret = fs::read_to_string(&file).unwrap();
    assert!(secret.trim().len() >= 32);
    assert!(!server.log().contains(secret.trim()), "the log shows the secret");
    let token = luminate(&["token", "--tenant", "acme", "--data"]).arg(server.data()).output().unwrap();
    assert!(token.status.success());
    let client = luminate_tests::Client::new(server.url(), text(&token.stdout).trim());
    assert_eq!(client.get("/api/v1/metrics").status, 200);
    assert!(server.stop().success());

    server.start_again();
    assert_eq!(fs::read_to_string(&file).unwrap(), secret, "a restart keeps it");
    assert!(server.stop().success());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    server.spawn();
    assert!(!server.wait_end().success(), "a secret that others can read is none");
    assert!(server.log().contains("jwt-secret"), "{}", server.log());
}

#[test]
fn starts_that_cannot_succeed_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |listen: &str, data: &Path| {
        let mut command = luminate(&["serve", "--listen", listen, "--data"]);
        command.arg(data).env("JWT_SECRET", SECRET);
        command
    };
    for listen in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "256.1.1.1:80", "203.0.113.7:0"] {
        assert_fails(serve(listen, &folder.path().join("data")), 1, &[listen]);
    }
    assert!(!folder.path().join("data").exists(), "a start that failed has left a folder");
    let file = folder.path().join("a-file");
    fs::write(&file, "").unwrap();
    assert_fails(serve("127.0.0.1:0", &file), 1, &["a-file"]);
    let mut short = serve("127.0.0.1:0", &folder.path().join("data"));
    short.env("JWT_SECRET", "short");
    assert_fails(short, 1, &["JWT_SECRET", "32"]);
}

fn client(server: &Server, arguments: &[&str]) -> Command {
    let mut command = luminate(arguments);
    command.env("LUMINATE_URL", server.url()).env("LUMINATE_TOKEN", token("acme", "read,write"));
    command
}

#[test]
fn files_that_are_none_or_nonsense() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("binary"), (0..=255).collect::<Vec<u8>>().repeat(100)).unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("cut.gz"), [0x1f, 0x8b, 8, 0, 0, 0]).unwrap();
    fs::write(path("html"), "<html>\n".repeat(1000)).unwrap();
    for command in [&["write"][..], &["import", "access-log"]] {
        for (name, word) in [("missing", "missing"), ("", "")] {
            assert_fails(client(&server, &[command, &[&path(name)]].concat()), 1, &[word]);
        }
    }
    for name in ["binary", "html"] {
        let output = client(&server, &["write", &path(name)]).output().unwrap();
        assert!(!output.status.success(), "{name}: {}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("panicked"));
        let output = client(&server, &["import", "access-log", &path(name)]).output().unwrap();
        assert!(!output.status.success(), "{name}: nothing of it is a log: {}", text(&output.stderr));
    }
    let output = client(&server, &["import", "access-log", &path("cut.gz")]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let catalogue = server.client("acme").get("/api/v1/metrics").json();
    assert_eq!(catalogue["metrics"], json!([]), "something of it was stored");
}

/// What tenants write must not steer the terminal of whoever looks at it.
#[test]
fn what_is_shown_to_people_carries_no_control_characters() {
    let server = Server::start();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2Jx\r\n\u{9b}31m\u{202e}";
    let body = json!({"metrics": [{"name": "m", "timestamp": now_ms(), "value": 1, "dimensions": {"k": evil}}]});
    let receipt = server.client("acme").write_all(&body);
    assert_eq!(server.client("acme").count(Some(&receipt), "m"), 1);
    for arguments in [
        &["query", "--metric", "m", "--aggregation", "count", "--group-by", "k", "--last", "1h"][..],
        &["dimensions", "k"],
    ] {
        let output = client(&server, arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let shown = text(&output.stdout);
        assert!(shown.contains("owned"), "{shown}");
        let control = shown.chars().find(|c| c.is_control() && *c != '\n');
        assert!(control.is_none(), "{arguments:?} prints {control:?}: {shown:?}");
    }
    // Programs get it as it is, in JSON's own escapes.
    let json = client(&server, &["dimensions", "k", "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["values"][0]["value"], evil);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let server = Server::start();
    let sample =
        |n: i64| json!({"name": "m", "timestamp": now_ms(), "value": n, "dimensions": {"k": format!("{n:0>200}")}});
    let body = json!({"metrics": (0..5000).map(sample).collect::<Vec<_>>()});
    let receipt = server.client("acme").write_all(&body);
    assert_eq!(server.client("acme").count(Some(&receipt), "m"), 5000);
    let mut command =
        client(&server, &["query", "--metric", "m", "--aggregation", "count", "--group-by", "k", "--last", "1h"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}: {}", output.status, text(&output.stderr));
}

#[test]
fn a_server_that_is_no_luminate_is_told_from_one_that_is_not_there() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello").unwrap();
    });
    let with_url = |url: &str| {
        let mut command = luminate(&["metrics"]);
        command.env("LUMINATE_URL", url).env("LUMINATE_TOKEN", "x");
        command
    };
    assert_fails(with_url(&url), 1, &[&url]);
    other.join().unwrap();
    assert_fails(with_url("http://127.0.0.1:1"), 3, &["127.0.0.1:1", "is Luminate running there?"]);
    assert_fails(with_url("nonsense"), 2, &["nonsense"]);
    assert_fails(with_url("http://no-such-host.invalid:1"), 3, &["no-such-host.invalid"]);
}
