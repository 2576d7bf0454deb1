//! A direct producer: the Python program that the documentation shows, unmodified.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::Cluster;

/// How the program is run.
#[derive(Default)]
pub struct DirectProducer {
    /// User and password (SCRAM) where brokers ask for them.
    pub login: Option<(String, String)>,
    /// The text of the schema; the published one where not given.
    pub schema: Option<String>,
}

/// The published schema of what direct producers write.
pub fn schema_path() -> PathBuf {
    tests_folder().join("../schemas/avro/SampleRows.v1.avsc")
}

fn tests_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl DirectProducer {
    /// Writes samples, one a line as JSON, to a tenant's topic of the cluster.
    pub fn write(&self, cluster: &Cluster, tenant: &str, lines: &str) -> Output {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let schema = match &self.schema {
            None => schema_path(),
            Some(text) => {
                let file = folder.path().join("schema.avsc");
                std::fs::write(&file, text).expect("the schema is written");
                file
            }
        };
        let mut command = Command::new("python3");
        command.arg(tests_folder().join("engines/direct_producer.py"));
        command.args(["--brokers", &cluster.kafka.brokers()]);
        // The program makes the topic's name from the tenant's; the names of this cluster's topics begin with its own.
        command.args(["--tenant", &format!("{}-{tenant}", cluster.name())]).arg("--schema").arg(schema);
        if let Some((user, password)) = &self.login {
            command.args(["--username", user, "--security-protocol", "SASL_PLAINTEXT"]).env("KAFKA_PASSWORD", password);
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("python3 is missing: install it, on Debian with `apt-get install python3`");
        // Where the program ends early, its output says why.
        let _ = child.stdin.take().expect("its input").write_all(lines.as_bytes());
        child.wait_with_output().expect("the program's output")
    }

    /// The same; every record must be acknowledged.
    pub fn write_all(&self, cluster: &Cluster, tenant: &str, lines: &str) {
        let output = self.write(cluster, tenant, lines);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
