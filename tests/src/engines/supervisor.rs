//! The process that holds an engine's nodes, and ends them when this process is gone: a script of `tests/engines`, or the program
//! of `tests/containers`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// A started engine. Its nodes end, and its folder goes, when this is dropped or this process ends.
pub(super) struct Supervisor {
    conversation: Mutex<Conversation>,
    /// What the script said when the engine was ready.
    ready: Value,
}

struct Conversation {
    child: Child,
    output: BufReader<ChildStdout>,
    /// What the script said last: the nodes' process ids are in it.
    state: Value,
}

impl Supervisor {
    /// Runs `tests/engines/<script>` and waits until its engine is ready; panics with what it says where it is not.
    pub(super) fn start(script: &str, arguments: &[String]) -> Self {
        let mut python = Command::new("python3");
        python.arg(package().join("engines").join(script)).args(arguments);
        Self::spawn(script, python, "python3 is missing: install it, on Debian with `apt-get install python3`")
    }

    /// Runs `tests/containers` and waits until the container of an engine (`kafka`, `clickhouse`) answers; panics with what it
    /// says where it does not. It obeys no commands.
    pub(super) fn start_container(engine: &str) -> Self {
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        cargo.args(["run", "--quiet", "--release", "--locked", "--manifest-path"]);
        cargo.arg(package().join("containers/Cargo.toml")).args(["--", engine]);
        Self::spawn(engine, cargo, "cargo is missing")
    }

    fn spawn(what: &str, mut command: Command, missing: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect(missing);
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut conversation = Conversation { child, output, state: Value::Null };
        conversation.read(what);
        Self { ready: conversation.state.clone(), conversation: Mutex::new(conversation) }
    }

    /// Carries out a command of the script (`kill`, `start`, ...) on a node, and waits until it is done.
    pub(super) fn command(&self, verb: &str, node: usize) {
        let mut conversation = self.lock();
        let line = format!("{verb} {node}");
        let input = conversation.child.stdin.as_mut().expect("its input");
        writeln!(input, "{line}").expect("the engine's script runs");
        conversation.read(&line);
    }

    /// A list of texts that the script gave under `key` when the engine was ready.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let values = self.ready[key].as_array().expect("a list");
        values.iter().map(|value| value.as_str().expect("a text").to_owned()).collect()
    }

    /// The process id of a node, numbered from 1, where it runs.
    pub(super) fn pid(&self, node: usize) -> Option<u32> {
        self.lock().state["pids"][node - 1].as_u64().map(|pid| pid as u32)
    }

    /// What a node has printed, since it was started first.
    pub(super) fn log(&self, node: usize) -> PathBuf {
        PathBuf::from(&self.texts("logs")[node - 1])
    }

    /// Where the nodes keep what they write.
    pub(super) fn folder(&self) -> PathBuf {
        PathBuf::from(self.ready["folder"].as_str().expect("a text"))
    }

    /// Ends the script as a crash would.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        let child = &mut self.lock().child;
        child.kill().expect("the script runs");
        child.wait().expect("the script ends");
    }

    fn lock(&self) -> MutexGuard<'_, Conversation> {
        // A test that panicked while it held the lock has failed already; the others go on.
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Conversation {
    fn read(&mut self, what: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the script's output");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{what}: the engine's script ended"));
        if let Some(error) = answer["error"].as_str() {
            panic!("{what}: {error}");
        }
        self.state = answer;
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
