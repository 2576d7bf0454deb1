//! ClickHouse for tests.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};
use ureq::Agent;

use super::choice::Choice;
use super::supervisor::Supervisor;
use super::unique_name;

/// The cluster that the nodes of one [`ClickHouse`] form: a shard each, named `shard-1`, `shard-2`, and so on.
pub const CLUSTER: &str = "luminate";

/// How ClickHouse is started.
#[derive(Clone, Debug)]
pub struct ClickHouseOptions {
    /// How many nodes, each a shard of the cluster [`CLUSTER`].
    pub nodes: usize,
    /// More elements of `config.xml`.
    pub config: String,
    /// More elements of `<users>` in `users.xml`; the user `default` is there, without a password.
    pub users: String,
    /// More elements of `<profiles>` in `users.xml`.
    pub profiles: String,
}

impl Default for ClickHouseOptions {
    fn default() -> Self {
        Self { nodes: 1, config: String::new(), users: String::new(), profiles: String::new() }
    }
}

/// Running ClickHouse nodes, numbered from 1.
pub struct ClickHouse {
    urls: Vec<String>,
    username: String,
    password: String,
    agent: Agent,
    /// None where the server is somebody else's or runs in a container.
    supervisor: Option<Supervisor>,
    /// What holds the container, where there is one.
    _container: Option<Supervisor>,
}

impl ClickHouse {
    /// Starts the nodes and waits until each answers.
    pub fn start(options: ClickHouseOptions) -> Self {
        let arguments = [
            format!("--nodes={}", options.nodes),
            format!("--config={}", options.config),
            format!("--users={}", options.users),
            format!("--profiles={}", options.profiles),
        ];
        let supervisor = Supervisor::start("clickhouse.py", &arguments);
        let urls = supervisor.texts("urls");
        Self {
            urls,
            username: "default".to_owned(),
            password: String::new(),
            agent: agent(),
            supervisor: Some(supervisor),
            _container: None,
        }
    }

    /// The one server of this test process: that of `LUMINATE_TEST_CLICKHOUSE` (`http://user:password@host:port`) where set,
    /// else one node, started now: in a container where Docker answers.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ClickHouse> = OnceLock::new();
        SHARED.get_or_init(|| match Choice::of("LUMINATE_TEST_CLICKHOUSE") {
            Choice::Named(url) => Self::at(&url),
            Choice::Container => {
                let container = Supervisor::start_container("clickhouse");
                let [url] = container.texts("urls").try_into().expect("one server");
                Self { _container: Some(container), ..Self::at(&url) }
            }
            Choice::Fetched => Self::start(ClickHouseOptions::default()),
        })
    }

    /// A server that runs already, at `http://[user[:password]@]host:port`.
    pub(super) fn at(url: &str) -> Self {
        let rest = url.strip_prefix("http://").expect("LUMINATE_TEST_CLICKHOUSE is an http:// URL");
        let (credentials, host) = rest.trim_end_matches('/').rsplit_once('@').unwrap_or(("default", rest));
        let (username, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let urls = vec![format!("http://{}", host.trim_end_matches('/'))];
        Self {
            urls,
            username: username.to_owned(),
            password: password.to_owned(),
            agent: agent(),
            supervisor: None,
            _container: None,
        }
    }

    /// The HTTP interface of the first node, without credentials or a slash at the end.
    pub fn url(&self) -> &str {
        &self.urls[0]
    }

    /// The HTTP interface of a node.
    pub fn node_url(&self, node: usize) -> &str {
        &self.urls[node - 1]
    }

    /// A user who may do everything.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// That user's password; empty where there is none.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The section `storage.clickhouse` of whoever speaks with the first node as that user.
    pub fn settings(&self, database: &str) -> Value {
        json!({
            "addresses": [self.url()], "database": database, "username": self.username, "password": self.password,
        })
    }

    /// Makes a database that no other test has (on the first node alone) and returns its name.
    pub fn database(&self, prefix: &str) -> String {
        let name = unique_name(prefix);
        self.query(&format!("CREATE DATABASE {name}"));
        name
    }

    /// Runs a statement on the first node; returns what it answers; panics where it refuses.
    pub fn query(&self, sql: &str) -> String {
        self.query_on(1, sql)
    }

    /// Runs a statement on a node; returns what it answers; panics where it refuses.
    pub fn query_on(&self, node: usize, sql: &str) -> String {
        self.try_query_on(node, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs a statement on a node; `Err` with what it says where it refuses, or where no answer comes.
    pub fn try_query_on(&self, node: usize, sql: &str) -> Result<String, String> {
        let request = self.agent.post(self.node_url(node));
        let request = request.header("X-ClickHouse-User", &self.username).header("X-ClickHouse-Key", &self.password);
        let mut response = request.send(sql).map_err(|error| error.to_string())?;
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string();
        let text = text.map_err(|error| error.to_string())?;
        if response.status().is_success() { Ok(text) } else { Err(text) }
    }

    /// Ends the first node as a crash would (SIGKILL).
    pub fn kill(&self) {
        self.kill_node(1);
    }

    /// Starts the ended first node again on its ports and data, and waits until it answers.
    pub fn restart(&self) {
        self.start_node(1);
    }

    /// Ends a node as a crash would (SIGKILL).
    pub fn kill_node(&self, node: usize) {
        self.supervisor().command("kill", node);
    }

    /// Starts an ended node again on its ports and data, and waits until it answers.
    pub fn start_node(&self, node: usize) {
        self.supervisor().command("start", node);
    }

    /// Stops a node in the middle of whatever it does (SIGSTOP): connections stay, nothing is answered.
    pub fn pause_node(&self, node: usize) {
        self.supervisor().command("pause", node);
    }

    /// Lets a paused node go on.
    pub fn resume_node(&self, node: usize) {
        self.supervisor().command("resume", node);
    }

    /// The process id of a node, where it runs.
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.supervisor().pid(node)
    }

    /// What the first node prints at its start and where it ends by itself, kept over its restarts. This engine writes no
    /// log of its queries: a test that waits for a moment watches [`data_path`](Self::data_path) or `system` tables.
    pub fn log_path(&self) -> PathBuf {
        self.supervisor().log(1)
    }

    /// Where a node keeps its data.
    pub fn data_path(&self, node: usize) -> PathBuf {
        PathBuf::from(&self.supervisor().texts("data")[node - 1])
    }

    /// Ends the process that holds the nodes as a crash would: they must not outlive it. Their folder does.
    #[cfg(test)]
    pub(super) fn kill_supervisor(&self) {
        self.supervisor().kill();
    }

    /// Where all nodes keep what they write; it goes when the engine ends.
    pub fn folder(&self) -> PathBuf {
        self.supervisor().folder()
    }

    fn supervisor(&self) -> &Supervisor {
        self.supervisor.as_ref().expect("this needs a server of the test's own: ClickHouse::start")
    }
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent()
}
