//! A cluster for one test: gateways, writers and query-apis as processes of their own, between a real Kafka and a real
//! ClickHouse, with topics, a group and a database that no other test has.
//!
//! | module | holds |
//! |---|---|
//! | [`process`] | [`ServiceProcess`]: one gateway, writer or query-api |
//! | [`load`] | [`Load`]: tenants that write without a pause, and what became of each sample |
//! | [`verdict`] | what is stored, held against what was written |
//! | [`direct`] | a direct producer: the documented Python program |
//! | [`gate`] | [`Gates`] between a writer and its engines, which hold up one step of its protocol |

use std::ops::Deref;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::engines::{ClickHouse, Kafka, unique_name};
use crate::server::{SECRET, binary, token};

pub mod direct;
pub mod gate;
pub mod load;
pub mod process;
pub mod verdict;

pub use gate::{Gates, Half, Held, Step};
pub use load::{Load, LoadOptions, Written};
pub use process::ServiceProcess;

/// An engine of the test's own, or the one that all tests of the process share.
pub enum Engine<T: 'static> {
    Own(T),
    Shared(&'static T),
}

impl<T> Deref for Engine<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Own(engine) => engine,
            Self::Shared(engine) => engine,
        }
    }
}

/// How a cluster is made.
pub struct ClusterOptions {
    /// The brokers; a test that kills them has its own.
    pub kafka: Engine<Kafka>,
    /// The database server; a test that kills it has its own.
    pub clickhouse: Engine<ClickHouse>,
    /// Partitions of the topic that gateways write.
    pub partitions: u32,
    /// Tenants with topics of their own for direct producers.
    pub direct_tenants: Vec<String>,
    /// What is set beside the tests' own in the section `kafka` of every process.
    pub kafka_section: Value,
    /// What is set beside the tests' own in a writer's configuration.
    pub writer: Value,
    /// What is set beside the tests' own in a query-api's configuration.
    pub query: Value,
    /// What is set beside the tests' own in a gateway's configuration.
    pub gateway: Value,
    /// The section `retention` of gateways and query-apis.
    pub retention: Value,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            kafka: Engine::Shared(Kafka::shared()),
            clickhouse: Engine::Shared(ClickHouse::shared()),
            partitions: 4,
            direct_tenants: Vec::new(),
            kafka_section: json!({}),
            writer: json!({}),
            query: json!({}),
            gateway: json!({}),
            retention: json!({}),
        }
    }
}

/// Engines with topics and tables, and the configuration of processes between them. The processes are the test's.
pub struct Cluster {
    pub kafka: Engine<Kafka>,
    pub clickhouse: Engine<ClickHouse>,
    name: String,
    database: String,
    folder: TempDir,
    gateway: Value,
    writer: Value,
    query: Value,
    doors: Doors,
}

/// Where gateways listen; shared with whoever writes while gateways come and go.
pub type Doors = Arc<Mutex<Vec<String>>>;

impl Cluster {
    /// Makes topics and tables, as an operator would. No service runs yet.
    pub fn prepare(options: ClusterOptions) -> Self {
        let name = unique_name("cluster");
        let database = options.clickhouse.database("cluster");
        let mut kafka = json!({
            "brokers": options.kafka.brokers().split(',').collect::<Vec<_>>(),
            "topics": {
                "samples": format!("luminate.{name}.samples.v1"),
                "tenant": format!("luminate.tenant.{name}-{{tenant}}.samples.v1"),
                "deadLetters": format!("luminate.{name}.deadletters.v1"),
                "partitions": options.partitions, "replication": 1, "minInsyncReplicas": 1,
            },
            "consumer": {
                "group": name, "sessionTimeout": "1500ms", "watchInterval": "500ms", "discoveryInterval": "500ms",
            },
            "librdkafka": {"heartbeat.interval.ms": "300"},
        });
        merge(&mut kafka, &options.kafka_section);
        let clickhouse = options.clickhouse.settings(&database);
        let mut gateway = json!({
            "kafka": kafka, "retention": options.retention,
            "gateway": {"rateLimit": {"requestsPerSecond": 1_000_000, "samplesPerSecond": 100_000_000}},
        });
        merge(&mut gateway, &options.gateway);
        let mut writer = json!({
            "kafka": kafka, "storage": {"clickhouse": clickhouse},
            "writer": {"batch": {"maxAge": "50ms"}, "retry": {"maxDelay": "500ms"}},
        });
        merge(&mut writer, &options.writer);
        let mut query = json!({
            "kafka": kafka, "storage": {"clickhouse": clickhouse}, "retention": options.retention,
            "query": {
                "rateLimit": {"requestsPerSecond": 1_000_000}, "receiptTimeout": "60s", "maxReceiptTimeout": "60s",
            },
        });
        merge(&mut query, &options.query);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (kafka, clickhouse) = (options.kafka, options.clickhouse);
        let cluster =
            Self { kafka, clickhouse, name, database, folder, gateway, writer, query, doors: Doors::default() };
        let mut topics = vec!["topics".to_owned(), "apply".to_owned()];
        topics.extend(options.direct_tenants.iter().map(|tenant| format!("--tenant={tenant}")));
        cluster.operate(&topics.iter().map(String::as_str).collect::<Vec<_>>());
        cluster.operate(&["migrate"]);
        cluster
    }

    /// Runs a command of an operator, who has a writer's configuration.
    pub fn try_operate(&self, words: &[&str]) -> Output {
        let file = self.folder.path().join("operator.yaml");
        // JSON is YAML.
        std::fs::write(&file, self.writer.to_string()).expect("the configuration is written");
        let output = Command::new(binary()).args(words).arg("--config").arg(file).env("JWT_SECRET", SECRET).output();
        output.expect("the command runs")
    }

    /// The same; it must succeed.
    pub fn operate(&self, words: &[&str]) -> Output {
        let output = self.try_operate(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Starts a gateway and waits until it is ready. Loads write to it from now on.
    pub fn start_gateway(&self) -> ServiceProcess {
        let gateway = ServiceProcess::start("luminate-gateway", &self.gateway);
        self.doors.lock().unwrap().push(gateway.url().to_owned());
        gateway
    }

    /// Starts a gateway with more set beside its configuration. Nobody writes to it but the test.
    pub fn start_gateway_with(&self, more: &Value) -> ServiceProcess {
        let mut config = self.gateway.clone();
        merge(&mut config, more);
        ServiceProcess::start("luminate-gateway", &config)
    }

    /// Kills a gateway as a crash would, and starts another in its place.
    pub fn replace_gateway(&self, mut gateway: ServiceProcess) -> ServiceProcess {
        let door = gateway.url().to_owned();
        gateway.kill();
        self.doors.lock().unwrap().retain(|other| *other != door);
        self.start_gateway()
    }

    /// Starts a writer and waits until it is ready.
    pub fn start_writer(&self) -> ServiceProcess {
        ServiceProcess::start("luminate-writer", &self.writer)
    }

    /// Starts a writer that speaks with its engines through gates.
    pub fn start_gated_writer(&self) -> (ServiceProcess, Gates) {
        let gates = Gates::before(self);
        (self.start_writer_with(&gates.config()), gates)
    }

    /// Starts a writer with more set beside its configuration, and waits until it is ready.
    pub fn start_writer_with(&self, more: &Value) -> ServiceProcess {
        let mut config = self.writer.clone();
        merge(&mut config, more);
        ServiceProcess::start("luminate-writer", &config)
    }

    /// Starts a query-api and waits until it is ready.
    pub fn start_query(&self) -> ServiceProcess {
        ServiceProcess::start("luminate-query", &self.query)
    }

    /// Starts a query-api and does not wait.
    pub fn spawn_query(&self) -> ServiceProcess {
        ServiceProcess::spawn("luminate-query", &self.query)
    }

    /// Starts a writer and does not wait.
    pub fn spawn_writer(&self) -> ServiceProcess {
        ServiceProcess::spawn("luminate-writer", &self.writer)
    }

    /// Where gateways listen.
    pub fn doors(&self) -> Doors {
        Arc::clone(&self.doors)
    }

    /// What the names of this cluster's topics and its group begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The section `kafka` of every process.
    pub fn kafka_section(&self) -> &Value {
        &self.writer["kafka"]
    }

    /// The topic that gateways write.
    pub fn samples_topic(&self) -> String {
        format!("luminate.{}.samples.v1", self.name)
    }
}

/// A client for `tenant` of one process.
pub fn client(process: &ServiceProcess, tenant: &str) -> Client {
    Client::new(process.url(), &token(tenant, "read,write"))
}

/// Puts the keys of `more` into `into`, and those of objects in it into the objects there.
fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}
