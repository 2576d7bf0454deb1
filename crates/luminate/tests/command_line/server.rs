//! A server in a temporary folder, and commands that are run against it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running `luminate serve` with a secret of its own making.
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    url: String,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) data: String,
    pub(crate) messages: String,
}

/// The binary, in an environment without settings.
pub(crate) fn luminate(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_luminate"));
    command.env_clear().args(words);
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    // A command that does not read its input has closed it.
    let _ = child.stdin.take().expect("stdin").write_all(input.as_bytes());
    Ran::of(&child.wait_with_output().expect("the command ends"))
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Self {
            code: output.status.code().expect("an exit code"),
            data: text(&output.stdout),
            messages: text(&output.stderr),
        }
    }

    /// The data as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The command must have ended well.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

impl Server {
    /// Starts a server and waits until it answers.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address_file = folder.path().join("address");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut command = luminate(&["serve", "--listen", "127.0.0.1:0"]);
        command.arg("--data").arg(folder.path().join("data")).arg("--address-file").arg(&address_file);
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("a log")).stdout(log);
        let mut child = command.spawn().expect("the server starts");
        let began = Instant::now();
        let url = loop {
            if let Ok(address) = std::fs::read_to_string(&address_file) {
                break format!("http://{}", address.trim());
            }
            let ended = child.try_wait().expect("the server's state");
            let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the server ended: {}", log());
            assert!(began.elapsed() < Duration::from_secs(60), "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { child, folder, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    /// A token for `tenant`, made by the command, with the secret that the server made.
    pub(crate) fn token(&self, tenant: &str, scopes: &str) -> String {
        let mut command = luminate(&["token", "--tenant", tenant, "--scopes", scopes]);
        command.arg("--data").arg(self.data());
        run(command, "").done().data.trim().to_owned()
    }

    /// Runs a client command for the tenant `acme`, which may do everything.
    pub(crate) fn run(&self, words: &[&str], input: &str) -> Ran {
        self.run_as(&self.token("acme", "read,write,admin"), words, input)
    }

    /// Runs a client command with a token.
    pub(crate) fn run_as(&self, token: &str, words: &[&str], input: &str) -> Ran {
        let mut command = luminate(words);
        command.env("LUMINATE_URL", &self.url).env("LUMINATE_TOKEN", token);
        run(command, input)
    }

    /// Asks the server to stop, as service managers do.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the server's end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the server ends")
    }

    /// Asks the server to stop, waits for its end, and does something before its folder is removed.
    pub(crate) fn stop_and(mut self, then: impl FnOnce()) -> (ExitStatus, String) {
        self.terminate();
        let status = self.wait();
        then();
        (status, self.log())
    }

    /// Waits until the server has logged something.
    pub(crate) fn wait_for_log(&self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            assert!(began.elapsed() < Duration::from_secs(30), "{text:?} is not logged: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A file of the tests' data.
    pub(crate) fn data_file(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(name);
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
