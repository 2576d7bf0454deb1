//! Direct producers: Kafka's ACLs decide who writes to which tenant's topic, and what cannot be used goes to the dead
//! letters with a clear reason.

use std::collections::BTreeSet;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use luminate_tests::cluster::direct::{DirectProducer, schema_path};
use luminate_tests::cluster::{ClusterOptions, Engine, Half, ServiceProcess, Step, client};
use luminate_tests::engines::{Kafka, KafkaOptions};
use luminate_tests::server::{binary, token};
use luminate_tests::{Client, Cluster, wait};
use rand::Rng as _;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

fn lines(metric: &str, samples: u64) -> String {
    let line = |number| json!({"name": metric, "timestamp": 1_735_603_200_000_i64, "value": number as f64});
    (0..samples).map(|number| format!("{}\n", line(number))).collect()
}

fn wait_count(query: &ServiceProcess, tenant: &str, metric: &str, samples: u64) {
    let reader = client(query, tenant);
    wait::until("the samples are stored", || (reader.count(None, metric) == samples).then_some(()));
}

/// What `luminate dlq list` shows of a tenant's dead letters, once there are so many.
fn dead_letters(writer: &ServiceProcess, tenant: &str, count: usize) -> Vec<Value> {
    wait::until("the dead letters are there", || {
        let mut command = Command::new(binary());
        command.args(["dlq", "list", "--json"]).env("LUMINATE_URL", writer.url());
        let output = command.env("LUMINATE_TOKEN", token(tenant, "admin")).output().expect("luminate dlq runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let page: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let letters = page["deadLetters"].as_array().expect("a list").clone();
        (letters.len() >= count).then_some(letters)
    })
}

fn published_schema() -> Value {
    serde_json::from_slice(&std::fs::read(schema_path()).unwrap()).unwrap()
}

/// A producer that knows a field which no published schema has.
fn of_a_newer_schema() -> DirectProducer {
    let mut newer = published_schema();
    let field = json!({"name": "region", "type": "string", "default": ""});
    newer["fields"].as_array_mut().unwrap().push(field);
    DirectProducer { schema: Some(newer.to_string()), ..DirectProducer::default() }
}

#[test]
fn a_direct_producer_writes_to_its_own_tenants_topic_alone() {
    let users = ["operator", "acme"].map(|user| (user.to_owned(), format!("{user}-password"))).to_vec();
    let kafka = Kafka::start(KafkaOptions { users, ..KafkaOptions::default() });
    let cluster = Cluster::prepare(ClusterOptions {
        kafka: Engine::Own(kafka),
        direct_tenants: vec!["acme".to_owned(), "globex".to_owned()],
        kafka_section: json!({
            "sasl": {"mechanism": "SCRAM-SHA-256", "username": "operator", "password": "operator-password"},
        }),
        ..ClusterOptions::default()
    });
    let topic = format!("--topic=luminate.tenant.{}-acme.samples.v1", cluster.name());
    cluster.kafka.grant("acme", "Write", &topic);
    let query = cluster.start_query();
    let _writer = cluster.start_writer();
    let login = Some(("acme".to_owned(), "acme-password".to_owned()));
    let producer = DirectProducer { login, ..DirectProducer::default() };

    // The grant takes effect a moment after its answer: until then nothing is written.
    wait::until("the grant takes effect", || {
        producer.write(&cluster, "acme", &lines("direct", 2_500)).status.success().then_some(())
    });
    wait_count(&query, "acme", "direct", 2_500);
    let refused = producer.write(&cluster, "globex", &lines("direct", 1));
    assert!(!refused.status.success(), "Kafka took a record for another tenant's topic");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.to_lowercase().contains("authorization"), "{message}");
    assert_eq!(client(&query, "globex").count(None, "direct"), 0);
}

#[test]
fn records_that_cannot_be_used_go_to_the_dead_letters_with_their_reason() {
    let options = ClusterOptions { direct_tenants: vec!["acme".to_owned()], ..ClusterOptions::default() };
    let cluster = Cluster::prepare(options);
    let (query, writer) = (cluster.start_query(), cluster.start_writer());
    let published = published_schema();

    // Defaults are no part of a schema's fingerprint, so this is the published one, and fills in a tenant.
    let mut foreign = published.clone();
    foreign["fields"][0]["default"] = json!("globex");
    let foreign = DirectProducer { schema: Some(foreign.to_string()), ..DirectProducer::default() };
    foreign.write_all(&cluster, "acme", &lines("foreign", 3));

    of_a_newer_schema().write_all(&cluster, "acme", &lines("newer", 3));

    DirectProducer::default().write_all(&cluster, "acme", &lines("good", 3));
    wait_count(&query, "acme", "good", 3);
    let letters = dead_letters(&writer, "acme", 2);
    let mut codes: Vec<_> = letters.iter().map(|letter| letter["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["record_schema_unknown", "tenant_mismatch"], "{letters:?}");
    assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0, "the partition went on");
    for (tenant, metric) in [("acme", "foreign"), ("globex", "foreign"), ("acme", "newer")] {
        assert_eq!(client(&query, tenant).count(None, metric), 0, "{tenant} has samples of {metric}");
    }
}

/// Longer than any sample is, and not to be compressed.
const LARGE: usize = 2 << 20;

/// Kept whole, however long it is, so that a newer writer can have it.
#[test]
fn a_large_record_of_a_newer_schema_is_kept_whole_and_replayed() {
    let options = ClusterOptions { direct_tenants: vec!["acme".to_owned()], ..ClusterOptions::default() };
    let cluster = Cluster::prepare(options);
    let writer = cluster.start_writer();
    let mut record = vec![0; LARGE];
    rand::rng().fill(record.as_mut_slice());
    // Single-object encoding, by a schema that nobody knows.
    record[..10].copy_from_slice(b"\xc3\x01newerone");
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.kafka.brokers())
        .set("message.max.bytes", (4 << 20).to_string())
        .create()
        .unwrap();
    let topic = format!("luminate.tenant.{}-acme.samples.v1", cluster.name());
    producer.send(BaseRecord::<(), _>::to(&topic).payload(&record)).map_err(|(error, _)| error).unwrap();
    producer.flush(wait::PATIENCE).unwrap();

    let letter = dead_letters(&writer, "acme", 1).remove(0);
    assert_eq!(
        (&letter["code"], &letter["size"], &letter["cut"]),
        (&json!("record_schema_unknown"), &json!(LARGE), &json!(false))
    );
    let admin = Client::new(writer.url(), &token("acme", "admin"));
    let path = format!("/api/v1/admin/dead-letters/{}", letter["id"].as_str().unwrap().replace('/', "%2F"));
    let kept = STANDARD.decode(admin.get(&path).json()["bytes"].as_str().unwrap()).unwrap();
    assert!(kept == record, "{} bytes are kept, and not those that were written", kept.len());
    let answer = admin.post_json(&format!("{path}/replay"), &[], &json!({})).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    // This writer knows the schema no better.
    let again = dead_letters(&writer, "acme", 2);
    assert!(again.iter().all(|letter| letter["size"] == LARGE && letter["cut"] == false), "{again:?}");
}

/// A dead letter is durable before its record is passed: killed before Kafka has it, or before it knows that Kafka has it, a
/// writer leaves it to the next one.
#[test]
fn a_writer_killed_with_a_dead_letter_in_hand_loses_and_doubles_none() {
    let options = ClusterOptions { direct_tenants: vec!["acme".to_owned()], ..ClusterOptions::default() };
    let cluster = Cluster::prepare(options);
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let (mut writer, gates) = cluster.start_gated_writer();
    for half in [Half::Request, Half::Answer] {
        let held = gates.hold(Step::DeadLetters, half);
        of_a_newer_schema().write_all(&cluster, "acme", &lines("newer", 1));
        held.wait();
        // Another partition goes on; in the same time this one would have passed the record, if it did not wait.
        let body = json!({"metrics": [{"name": "other", "timestamp": 1_735_603_200_000_i64, "value": 1}]});
        let receipt = client(&gateway, "globex").write_all(&body);
        assert!(client(&query, "globex").count(Some(&receipt), "other") > 0);
        writer.kill();
        drop(held);
        writer.start_again();
    }
    DirectProducer::default().write_all(&cluster, "acme", &lines("good", 1));
    wait_count(&query, "acme", "good", 1);
    let letters = dead_letters(&writer, "acme", 2);
    let ids: BTreeSet<String> = letters.iter().map(|letter| letter["id"].to_string()).collect();
    assert!(letters.len() == 2 && ids.len() == 2, "{letters:?}");
}
