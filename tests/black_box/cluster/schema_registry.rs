//! Records that name their schema by a number of a schema registry (the Confluent wire format): while the registry is away they wait,
//! and nothing of them is lost, doubled or thrown to the dead letters.

use luminate_tests::cluster::direct::schema_path;
use luminate_tests::cluster::{ClusterOptions, ServiceProcess, client};
use luminate_tests::engines::{Behaviour, SchemaRegistry};
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Cluster, wait};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::json;

const TENANT: &str = "acme";
const METRIC: &str = "framed";
/// Samples of a record.
const SAMPLES: u64 = 20;

/// Avro's whole numbers: zigzag, then seven bits a byte.
fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A record of `SampleRows` as a client of a registry frames it; its values count from `first`.
fn framed(schema: u32, first: u64) -> Vec<u8> {
    let mut record = [&[0][..], &schema.to_be_bytes()].concat();
    // No tenant, and one block of samples.
    record.extend([long(0), long(SAMPLES as i64)].concat());
    for value in first..first + SAMPLES {
        record.extend([long(METRIC.len() as i64), METRIC.as_bytes().to_vec(), long(1_735_603_200_000)].concat());
        record.extend((value as f64).to_le_bytes());
        // No dimensions.
        record.extend(long(0));
    }
    // No more blocks.
    record.extend(long(0));
    record
}

/// Writes as many records to the tenant's own topic.
fn produce(cluster: &Cluster, schema: u32, records: std::ops::Range<u64>) {
    let brokers = cluster.kafka.brokers();
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let topic = format!("luminate.tenant.{}-{TENANT}.samples.v1", cluster.name());
    for record in records {
        let value = framed(schema, record * SAMPLES);
        producer.send(BaseRecord::<(), _>::to(&topic).payload(&value)).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(wait::PATIENCE).unwrap();
    assert_eq!(producer.in_flight_count(), 0);
}

/// Records wait for the registry; what came by gateways does not.
fn assert_waits(cluster: &Cluster, writer: &ServiceProcess, others: (&ServiceProcess, &ServiceProcess), stored: u64) {
    wait::until("records wait for their schema", || {
        let health = writer.health();
        let registry = &health["dependencies"]["schema_registry"]["status"];
        (registry == "down" && writer.log().contains("records wait for their schema")).then_some(())
    });
    let (gateway, query) = others;
    let receipt = client(gateway, "globex").write_all(&SampleMaker::new(1).body("other", 3).0);
    assert!(client(query, "globex").count(Some(&receipt), "other") >= 3);
    assert_eq!(cluster.stored_numbers(TENANT, METRIC).len() as u64, stored);
    assert_eq!(writer.metric("luminate_dead_letters_total", ""), 0.0);
    assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0);
}

#[test]
fn records_wait_for_a_registry_that_is_away_also_across_a_writers_death() {
    let registry = SchemaRegistry::start();
    let schema = registry.register("samples-value", &std::fs::read_to_string(schema_path()).unwrap());
    let writer = json!({"schemaRegistry": {"url": registry.url(), "timeout": "2s"}});
    let direct_tenants = vec![TENANT.to_owned()];
    let cluster = Cluster::prepare(ClusterOptions { writer, direct_tenants, ..ClusterOptions::default() });
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let mut writer = cluster.start_writer();
    let stored = |records: u64| {
        wait::until("the records are stored", || {
            (client(&query, TENANT).count(None, METRIC) == records * SAMPLES).then_some(())
        });
        let numbers = cluster.stored_numbers(TENANT, METRIC);
        assert!(numbers.len() as u64 == records * SAMPLES && numbers.values().all(|times| *times == 1), "{numbers:?}");
    };

    registry.go_away();
    produce(&cluster, schema, 0..10);
    assert_waits(&cluster, &writer, (&gateway, &query), 0);
    writer.kill();
    writer.start_again();
    assert_waits(&cluster, &writer, (&gateway, &query), 0);
    registry.come_back();
    stored(10);

    // Known once, it need not be there; to a new writer a registry that fails is as good as away.
    registry.behave(Behaviour::Fail(500));
    produce(&cluster, schema, 10..20);
    stored(20);
    assert!(writer.stop().success(), "{}", writer.log());
    produce(&cluster, schema, 20..30);
    writer.start_again();
    assert_waits(&cluster, &writer, (&gateway, &query), 20 * SAMPLES);
    registry.behave(Behaviour::Answer);
    stored(30);
    assert_eq!(writer.metric("luminate_dead_letters_total", ""), 0.0);

    // That a number is not registered is an answer: nobody waits for it.
    produce(&cluster, schema + 1, 30..31);
    produce(&cluster, schema, 31..32);
    wait::until("the next one is stored", || {
        (cluster.stored_numbers(TENANT, METRIC).len() as u64 == 31 * SAMPLES).then_some(())
    });
    assert_eq!(writer.metric("luminate_dead_letters_total", "record_schema_unknown"), 1.0);
    cluster.operate(&["reconcile"]);
}
