//! Where the engine comes from that all tests of a process share.

use std::path::Path;
use std::process::{Command, Stdio};

/// Where an engine comes from, best first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// A server that runs already, named by the environment.
    Named(String),
    /// A container, where Docker answers.
    Container,
    /// What the scripts of `tests/engines` fetch and start.
    Fetched,
}

/// Set to `off`, it keeps tests from using Docker.
const CONTAINERS: &str = "LUMINATE_TEST_CONTAINERS";

impl Choice {
    /// The choice for an engine whose servers `variable` names.
    pub(super) fn of(variable: &str) -> Self {
        let named = std::env::var(variable).ok();
        let wants_containers = std::env::var(CONTAINERS).as_deref() != Ok("off");
        Self::between(named, || wants_containers && docker_answers(Path::new("docker")))
    }

    fn between(named: Option<String>, docker_answers: impl FnOnce() -> bool) -> Self {
        match named {
            Some(named) => Self::Named(named),
            None if docker_answers() => Self::Container,
            None => Self::Fetched,
        }
    }
}

/// Whether there is an engine behind the command: the command alone is none. Says so where only the command is there.
fn docker_answers(docker: &Path) -> bool {
    let asked = Command::new(docker).arg("info").stdin(Stdio::null()).output();
    let Ok(output) = asked else { return false };
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason.lines().next_back().unwrap_or("it does not say why");
        eprintln!("docker is there, but no engine answers it, so tests start engines that they fetch: {reason}");
    }
    output.status.success()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    /// A command that behaves as `docker` with and without an engine.
    fn docker(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("docker");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_command_without_an_engine_is_not_docker() {
        let folder = tempfile::tempdir().unwrap();
        let answering = docker(folder.path(), "[ \"$*\" = info ] && echo 'Server Version: 29'");
        assert!(docker_answers(&answering));
        let lone = docker(folder.path(), "echo 'Client: 29'; echo 'Cannot connect to the Docker daemon' >&2; exit 1");
        assert!(!docker_answers(&lone));
        assert!(!docker_answers(&folder.path().join("nowhere")));
    }

    #[test]
    fn a_named_server_comes_before_docker_and_that_before_what_is_fetched() {
        let named = || Some("http://somewhere:8123".to_owned());
        assert_eq!(
            Choice::between(named(), || panic!("docker is not asked")),
            Choice::Named("http://somewhere:8123".to_owned())
        );
        assert_eq!(Choice::between(None, || true), Choice::Container);
        assert_eq!(Choice::between(None, || false), Choice::Fetched);
    }
}
