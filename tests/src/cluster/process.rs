//! One service of a cluster, as a process of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::metrics;
use crate::process::spawn_bound;
use crate::server::{SECRET, profile_folder, signal};
use crate::wait;

/// A gateway, a writer or a query-api. It is killed when this is dropped, and when the test process is.
pub struct ServiceProcess {
    binary: &'static str,
    folder: TempDir,
    /// All variables, where they are all that it has; else it has a configuration file.
    environment: Option<Vec<(String, String)>>,
    child: Option<Child>,
    url: String,
    starts: u32,
}

impl ServiceProcess {
    /// Starts the service that `binary` is on a free port, and waits until it is ready.
    pub fn start(binary: &'static str, config: &Value) -> Self {
        let mut process = Self::spawn(binary, config);
        process.wait_ready();
        process
    }

    /// Starts the service and does not wait.
    pub fn spawn(binary: &'static str, config: &Value) -> Self {
        let mut process = Self::prepare(binary, None);
        // JSON is YAML.
        fs::write(process.config_file(), config.to_string()).expect("the configuration is written");
        process.spawn_again();
        process
    }

    /// Starts the service with these variables and no others, without a configuration file, and waits until it is ready.
    pub fn start_from_environment(binary: &'static str, environment: Vec<(String, String)>) -> Self {
        let mut process = Self::prepare(binary, Some(environment));
        process.start_again();
        process
    }

    fn prepare(binary: &'static str, environment: Option<Vec<(String, String)>>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { binary, folder, environment, child: None, url: String::new(), starts: 0 }
    }

    fn spawn_again(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.binary);
        self.starts += 1;
        let path = profile_folder().join(self.binary);
        assert!(path.exists(), "{} is missing: `make test` builds it", path.display());
        let mut command = Command::new(path);
        command.arg("--address-file").arg(self.address_file());
        if let Some(environment) = &self.environment {
            command.env_clear().envs(environment.iter().cloned());
        } else {
            command.args(["--listen", "127.0.0.1:0", "--config"]).arg(self.config_file());
            // What is set where the tests run says nothing to the service.
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LUMINATE_")) {
                command.env_remove(name);
            }
            command.env("JWT_SECRET", SECRET).env("LUMINATE_LOG", "info");
        }
        let log = File::create(self.log_path()).expect("a log");
        let errors = log.try_clone().expect("a log");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        self.child = Some(spawn_bound(command).expect("the service starts"));
    }

    /// Starts the ended service again, on another port, and waits until it is ready.
    pub fn start_again(&mut self) {
        self.spawn_again();
        self.wait_ready();
    }

    /// Waits until the process has told its address.
    pub fn wait_address(&mut self) {
        let file = self.address_file();
        let address = wait::until("the service tells its address", || {
            self.assert_runs();
            fs::read_to_string(&file).ok()
        });
        self.url = format!("http://{}", address.trim());
    }

    /// Waits until the process has told its address and says that it is ready.
    pub fn wait_ready(&mut self) {
        self.wait_address();
        let client = Client::new(&self.url, "");
        wait::until("the service is ready", || {
            self.assert_runs();
            client.send("GET", "/readyz", &[], b"").ok().filter(|answer| answer.status == 200)
        });
    }

    fn assert_runs(&mut self) {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("wait"));
        assert!(ended.is_none(), "{} ended ({ended:?}):\n{}", self.binary, self.log());
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the service runs").id()
    }

    /// Kills the process as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait_end();
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

    fn wait_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the service runs");
        wait::until("the service ends", || child.try_wait().expect("wait"))
    }

    /// What the process has printed since it was started last.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// What `/api/v1/health` says.
    pub fn health(&self) -> Value {
        Client::new(&self.url, "").get("/api/v1/health").json()
    }

    /// A number of the metrics that the process exports: the sum over all series of `name` whose labels hold `label`. It panics where
    /// the process has no such metric, so that a name that was changed does not read as 0.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        metrics::value(&self.url, Some(self.kind()), name, label)
    }

    /// Asserts that it exports the metrics that the documentation says it has, and nothing else.
    pub fn assert_exports_its_metrics(&self) {
        metrics::assert_exported(&self.url, &[self.kind()]);
    }

    /// What the documentation calls it.
    fn kind(&self) -> &'static str {
        match self.binary {
            "luminate-gateway" => "gateway",
            "luminate-writer" => "writer",
            "luminate-query" => "query-api",
            other => panic!("{other} is no service"),
        }
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join(format!("{}-{}.log", self.binary, self.starts))
    }

    fn address_file(&self) -> PathBuf {
        self.folder.path().join(format!("address-{}", self.starts))
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Already ended is fine.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the last words of {}:\n{}", self.binary, tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}
