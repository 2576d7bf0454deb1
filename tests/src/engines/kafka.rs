//! Apache Kafka for tests.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::choice::Choice;
use super::supervisor::Supervisor;

/// How a Kafka cluster is started.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// How many nodes, each a broker and a controller.
    pub nodes: usize,
    /// Names and passwords (SCRAM-SHA-256 and SCRAM-SHA-512). Where there are any, clients must log in; the first may do everything, the
    /// others what [`Kafka::grant`] grants them.
    pub users: Vec<(String, String)>,
    /// Whether clients' connections are encrypted, with certificates of an authority of this cluster's own.
    pub tls: bool,
    /// Settings of the brokers beside the tests' own, as in `server.properties`.
    pub properties: Vec<(String, String)>,
    /// Java's heap of each node, in MiB.
    pub heap_mib: u32,
    /// Whether Java compiles at its first tier alone: nodes start sooner and run slower.
    pub quick: bool,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self { nodes: 1, users: Vec::new(), tls: false, properties: Vec::new(), heap_mib: 256, quick: true }
    }
}

/// PEM files that clients of an encrypted cluster need.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority that has signed the brokers' certificate.
    pub authority: PathBuf,
    /// A certificate of the same authority for a client, which brokers ask for where they are told to.
    pub client: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
}

/// A running Kafka cluster. Nodes are numbered from 1, as in Kafka's own `node.id`.
pub struct Kafka {
    brokers: Vec<String>,
    /// None where the cluster is somebody else's or runs in a container.
    supervisor: Option<Supervisor>,
    /// What holds the container, where there is one.
    _container: Option<Supervisor>,
    /// What runs Kafka's command-line classes where the brokers are not ours: fetched once somebody wants one.
    tools: OnceLock<Supervisor>,
}

impl Kafka {
    /// Starts a cluster and waits until every node serves requests.
    pub fn start(options: KafkaOptions) -> Self {
        let mut arguments = vec![format!("--nodes={}", options.nodes), format!("--heap={}", options.heap_mib)];
        arguments.extend(options.users.iter().map(|(name, password)| format!("--user={name}:{password}")));
        arguments.extend(options.properties.iter().map(|(key, value)| format!("--property={key}={value}")));
        if options.tls {
            arguments.push("--tls".to_owned());
        }
        if options.quick {
            arguments.push("--quick".to_owned());
        }
        let supervisor = Supervisor::start("kafka.py", &arguments);
        Self {
            brokers: supervisor.texts("brokers"),
            supervisor: Some(supervisor),
            _container: None,
            tools: OnceLock::new(),
        }
    }

    /// The one cluster of this test process: that of `LUMINATE_TEST_KAFKA` (brokers, comma separated) where set, else one
    /// node, started now: in a container where Docker answers.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| match Choice::of("LUMINATE_TEST_KAFKA") {
            Choice::Named(brokers) => Self::at(&brokers),
            Choice::Container => {
                let container = Supervisor::start_container("kafka");
                let brokers = container.texts("brokers").join(",");
                Self { _container: Some(container), ..Self::at(&brokers) }
            }
            Choice::Fetched => Self::start(KafkaOptions::default()),
        })
    }

    /// A cluster that runs already; its brokers, comma separated.
    pub(super) fn at(brokers: &str) -> Self {
        let brokers = brokers.split(',').map(str::to_owned).collect();
        Self { brokers, supervisor: None, _container: None, tools: OnceLock::new() }
    }

    /// Where clients connect, as `bootstrap.servers` wants it: comma separated.
    pub fn brokers(&self) -> String {
        self.brokers.join(",")
    }

    /// Where clients connect to one node.
    pub fn broker(&self, node: usize) -> &str {
        &self.brokers[node - 1]
    }

    /// PEM files of a cluster with [`KafkaOptions::tls`].
    pub fn certificates(&self) -> Certificates {
        let files: Vec<PathBuf> = self.supervisor().texts("certificates").into_iter().map(PathBuf::from).collect();
        let [authority, client, client_key] = files.try_into().expect("the cluster was started with TLS");
        Certificates { authority, client, client_key }
    }

    /// Ends a node as a crash would (SIGKILL).
    pub fn kill_node(&self, node: usize) {
        self.supervisor().command("kill", node);
    }

    /// Ends a node gently (SIGTERM): it hands its partitions over.
    pub fn stop_node(&self, node: usize) {
        self.supervisor().command("stop", node);
    }

    /// Starts an ended node again on its ports and data, and waits until it serves requests.
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

    /// The file that a node logs to, kept over its restarts.
    pub fn log_path(&self, node: usize) -> PathBuf {
        self.supervisor().log(node)
    }

    /// Allows `user` an operation (`Write`, `Read`, `Describe`, ...) on a resource: `--topic=NAME`, `--group=NAME`, or
    /// `--cluster`. It takes effect on the brokers a moment later: poll for it.
    pub fn grant(&self, user: &str, operation: &str, resource: &str) {
        let principal = format!("--allow-principal=User:{user}");
        let operation = format!("--operation={operation}");
        self.tool("org.apache.kafka.tools.AclCommand", &["--add", &principal, &operation, resource]);
    }

    /// Runs a command-line class of Kafka as one who may do everything, and returns what it printed; panics where it
    /// fails. A Java machine is started for it, which takes a second.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> String {
        // Brokers of somebody else's have one listener that we know of.
        let brokers = self.supervisor.as_ref().map_or_else(|| self.brokers(), |own| own.texts("internal").join(","));
        let mut command = self.tool_command(class);
        command.args(["--bootstrap-server", &brokers]).args(arguments).stdin(Stdio::null());
        let output = command.output().expect("java runs");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{class}: {text}");
        text
    }

    /// The command that runs a command-line class of Kafka, without its arguments. Where the brokers are somebody else's or run
    /// in a container, Kafka's jars are fetched for it.
    pub fn tool_command(&self, class: &str) -> Command {
        let fetched = || Supervisor::start("kafka.py", &["--tools-only".to_owned(), "--quick".to_owned()]);
        let words = self.supervisor.as_ref().unwrap_or_else(|| self.tools.get_or_init(fetched)).texts("tool");
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(class);
        command
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
        self.supervisor.as_ref().expect("this needs a cluster of the test's own: Kafka::start")
    }
}
