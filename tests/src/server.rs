//! The real binary, started for one test and ended with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;
use crate::metrics;
use crate::process::spawn_bound;
use crate::wait;

/// The secret that the tests' servers and tokens share.
pub const SECRET: &str = "a secret of the tests, thirty-two bytes and more";

/// How a server is started.
#[derive(Default, Clone)]
pub struct ServerOptions {
    /// Text of the configuration file; none where empty.
    pub config: String,
    /// Environment beside the tests' own.
    pub environment: Vec<(String, String)>,
    /// Arguments beside the tests' own.
    pub arguments: Vec<String>,
    /// A program, with its arguments, that runs the server (`strace ...`).
    pub wrapper: Vec<String>,
    /// The folder for data; a temporary one where not given.
    pub data: Option<PathBuf>,
    /// Whether the server shall make a secret of its own, in place of the tests'.
    pub no_secret: bool,
}

/// A running `luminate serve`. It is killed when this is dropped, and when the test process is (without a wrapper: what a wrapper has
/// started outlives one that is killed).
pub struct Server {
    child: Option<Child>,
    options: ServerOptions,
    folder: TempDir,
    data: PathBuf,
    url: String,
    starts: u32,
}

/// The `luminate` binary: `LUMINATE_BINARY`, else the one that was built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("LUMINATE_BINARY") {
        return PathBuf::from(path);
    }
    let path = profile_folder().join("luminate");
    assert!(path.exists(), "{} is missing: `make test` builds it", path.display());
    path
}

/// Where cargo puts what it built in this test's profile.
pub(crate) fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    test.parent().and_then(Path::parent).expect("target/PROFILE/deps").to_owned()
}

/// A token for `tenant`; `scopes` as `read,write`.
pub fn token(tenant: &str, scopes: &str) -> String {
    let output = Command::new(binary())
        .args(["token", "--tenant", tenant, "--scopes", scopes])
        .env("JWT_SECRET", SECRET)
        .output()
        .expect("luminate token runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a token").trim().to_owned()
}

/// Sends a signal to a process of this test.
pub fn signal(pid: u32, number: i32) {
    // SAFETY: kill() touches no memory of ours; the process is a child that was not waited for, or a child of one.
    #[allow(unsafe_code)]
    let result = unsafe { libc::kill(pid as i32, number) };
    assert_eq!(result, 0, "the process {pid} was signalled");
}

impl Server {
    /// Starts a server with its defaults and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(ServerOptions::default())
    }

    /// Starts a server and waits until it is ready.
    pub fn start_with(options: ServerOptions) -> Self {
        let mut server = Self::prepare(options);
        server.start_again();
        server
    }

    /// Prepares a server and starts nothing: for starts that shall fail.
    pub fn prepare(options: ServerOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = options.data.clone().unwrap_or_else(|| folder.path().join("data"));
        Self { child: None, options, folder, data, url: String::new(), starts: 0 }
    }

    /// Starts the ended server again on the same data and waits until it is ready.
    pub fn start_again(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Changes how the server is started next time.
    pub fn options_mut(&mut self) -> &mut ServerOptions {
        &mut self.options
    }

    /// Starts the process and does not wait.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "the server runs already");
        self.starts += 1;
        let binary = binary();
        let mut words = self.options.wrapper.clone();
        words.push(binary.display().to_string());
        let (program, arguments) = words.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(arguments).args(["serve", "--listen", "127.0.0.1:0"]);
        self.configure(&mut command);
        command.args(&self.options.arguments);
        command.env("LUMINATE_LOG", "info");
        command.envs(self.options.environment.iter().cloned());
        let log = File::create(self.log_path()).expect("a log");
        let errors = log.try_clone().expect("a log");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.child = Some(spawn_bound(command).expect("the server starts"));
    }

    /// A command of the same binary with the server's data, configuration and environment: for when it is stopped.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(words);
        self.configure(&mut command);
        command.envs(self.options.environment.iter().cloned());
        command
    }

    fn configure(&self, command: &mut Command) {
        command.arg("--data").arg(&self.data);
        if !self.options.config.is_empty() {
            let file = self.folder.path().join("luminate.yaml");
            fs::write(&file, &self.options.config).expect("the configuration is written");
            command.arg("--config").arg(file);
        }
        // What is set where the tests run says nothing to the server.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LUMINATE_")) {
            command.env_remove(name);
        }
        if self.options.no_secret {
            command.env_remove("JWT_SECRET");
        } else {
            command.env("JWT_SECRET", SECRET);
        }
    }

    /// Waits until the process says where it listens and answers that it is ready.
    pub fn wait_ready(&mut self) {
        self.url = wait::until("the server says where it listens", || {
            self.assert_runs();
            let log = self.log();
            let line = log.lines().find(|line| line.contains("listening"))?;
            let (_, rest) = line.split_once(r#""address":""#)?;
            Some(format!("http://{}", rest.split_once('"')?.0))
        });
        let client = Client::new(&self.url, "");
        wait::until("the server is ready", || {
            self.assert_runs();
            client.send("GET", "/readyz", &[], b"").ok().filter(|answer| answer.status == 200)
        });
    }

    fn assert_runs(&mut self) {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("wait"));
        assert!(ended.is_none(), "the server ended ({ended:?}):\n{}", self.log());
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its data is.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process id of what was started (of the wrapper, where there is one).
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    /// A client for `tenant` that may read and write.
    pub fn client(&self, tenant: &str) -> Client {
        Client::new(&self.url, &token(tenant, "read,write"))
    }

    /// A client for `tenant` that may do everything with its own data.
    pub fn admin(&self, tenant: &str) -> Client {
        Client::new(&self.url, &token(tenant, "read,write,admin"))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("server-{}.log", self.starts))
    }

    /// What the process has printed since it was started last.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Kills the process as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        let _ = self.wait_end();
    }

    /// Asks the process to stop, and waits until it is gone.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait_end()
    }

    /// Sends a signal to the process.
    pub fn signal(&self, number: i32) {
        signal(self.pid(), number);
    }

    /// Waits until the process has ended.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server runs");
        wait::until("the server ends", || child.try_wait().expect("wait"))
    }

    /// Waits until the process has ended by itself, but not for ever.
    pub fn try_wait_end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        let child = self.child.as_mut().expect("the server runs");
        let status = loop {
            match child.try_wait().expect("wait") {
                Some(status) => break status,
                None if began.elapsed() > patience => return None,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        self.child = None;
        Some(status)
    }

    /// A number of the metrics that the server exports: the sum over all series of `name` whose labels hold `label`. It panics where
    /// Luminate has no such metric, so that a name that was changed does not read as 0.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        metrics::value(&self.url, None, name, label)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already ended is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the server's last words:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}
