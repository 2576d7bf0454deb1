//! What tests rely on of Kafka.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use super::{Kafka, KafkaOptions, unique_name};
use crate::{process, wait};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

fn create_topic(kafka: &Kafka, topic: &str) {
    kafka.tool(TOPICS, &["--create", "--topic", topic, "--partitions", "1"]);
}

/// How many replicas of the one partition are in sync.
fn replicas_in_sync(kafka: &Kafka, topic: &str) -> usize {
    let text = kafka.tool(TOPICS, &["--describe", "--topic", topic]);
    let (_, rest) = text.split_once("Isr: ").unwrap_or_else(|| panic!("no Isr in {text}"));
    rest.split_whitespace().next().map_or(0, |nodes| nodes.split(',').count())
}

#[test]
fn a_cluster_keeps_its_topics_while_a_node_is_killed_and_takes_it_back() {
    let kafka = Kafka::start(KafkaOptions { nodes: 3, ..KafkaOptions::default() });
    assert_eq!(kafka.brokers().split(',').count(), 3);
    create_topic(&kafka, "samples");
    assert_eq!(replicas_in_sync(&kafka, "samples"), 3);

    let pid = kafka.pid(2).expect("it runs");
    kafka.kill_node(2);
    assert!(!process::is_running(pid));
    wait::until("the others notice", || (replicas_in_sync(&kafka, "samples") == 2).then_some(()));

    kafka.start_node(2);
    wait::until("the node is back in sync", || (replicas_in_sync(&kafka, "samples") == 3).then_some(()));

    let pids: Vec<u32> = (1..=3).map(|node| kafka.pid(node).expect("it runs")).collect();
    let folder = kafka.folder();
    kafka.kill_supervisor();
    for pid in pids {
        wait::until("no node outlives its supervisor", || (!process::is_running(pid)).then_some(()));
    }
    fs::remove_dir_all(folder).expect("the folder is still there");
}

#[test]
fn a_user_writes_where_it_was_granted_and_nowhere_else() {
    let users = [("admin", "an admin's secret"), ("tenant", "a tenant's secret")];
    let users = users.map(|(name, password)| (name.to_owned(), password.to_owned())).to_vec();
    let kafka = Kafka::start(KafkaOptions { users, ..KafkaOptions::default() });
    for topic in ["own", "foreign"] {
        create_topic(&kafka, topic);
    }
    kafka.grant("tenant", "Write", "--topic=own");

    wait::until("the grant takes effect", || produce(&kafka, "a tenant's secret", "own").is_empty().then_some(()));
    let foreign = produce(&kafka, "a tenant's secret", "foreign");
    assert!(foreign.contains("TopicAuthorizationException"), "{foreign}");
    let stranger = produce(&kafka, "a wrong secret", "own");
    assert!(stranger.contains("SaslAuthenticationException"), "{stranger}");
}

/// Writes a record as the user `tenant`; gives what went wrong, nothing where nothing did.
fn produce(kafka: &Kafka, password: &str, topic: &str) -> String {
    let login = format!(
        "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"tenant\" password=\"{password}\";"
    );
    let mut command = kafka.tool_command("org.apache.kafka.tools.ConsoleProducer");
    command.args(["--bootstrap-server", &kafka.brokers(), "--topic", topic, "--sync"]);
    for property in ["security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-256", "retries=0", &login] {
        command.args(["--command-property", property]);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("java");
    // It may have ended already, because it was refused.
    let _ = child.stdin.take().expect("its input").write_all(b"a record\n");
    let output = child.wait_with_output().expect("its output");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).replace('>', "").trim().to_owned()
}

#[test]
fn tests_share_a_cluster_and_brokers_take_settings() {
    assert!(std::ptr::eq(Kafka::shared(), Kafka::shared()));
    assert_ne!(unique_name("topic"), unique_name("topic"));

    let properties = vec![("message.max.bytes".to_owned(), "4321".to_owned())];
    let kafka = Kafka::start(KafkaOptions { properties, ..KafkaOptions::default() });
    let text = kafka.tool("kafka.admin.ConfigCommand", &["--describe", "--all", "--broker", "1"]);
    assert!(text.contains("message.max.bytes=4321"), "{text}");

    // The same brokers as somebody else's, as `LUMINATE_TEST_KAFKA` names them: operators' tools are there too.
    let named = Kafka::at(&kafka.brokers());
    create_topic(&named, "named");
    assert_eq!(kafka.tool(TOPICS, &["--list"]).trim(), "named");
}
