use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use apache_avro::Schema;
use apache_avro::headers::{HeaderBuilder, RabinFingerprintHeader};
use apache_avro::writer::datum::GenericDatumWriter;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Serialize;

const SAMPLE_ROWS: &str = include_str!("SampleRows.v1.avsc");

#[derive(Serialize)]
struct SampleRows {
    tenant: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Serialize)]
struct Sample {
    name: String,
    timestamp: i64,
    value: f64,
    dimensions: BTreeMap<String, String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", std::env::var("KAFKA_BROKERS")?)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .create()?;
    let schema = Schema::parse_str(SAMPLE_ROWS)?;

    let now = SystemTime::UNIX_EPOCH.elapsed()?.as_millis() as i64;
    let dimensions = BTreeMap::from([("endpoint".to_owned(), "/api/users".to_owned())]);
    let sample = Sample { name: "api_latency".to_owned(), timestamp: now, value: 145.5, dimensions };
    let rows = SampleRows { tenant: None, samples: vec![sample] };

    // C3 01 and the schema's fingerprint, then the datum.
    let mut value = RabinFingerprintHeader::from_schema(&schema).build_header();
    GenericDatumWriter::builder(&schema).build()?.write_ser(&mut value, &rows)?;

    let record = FutureRecord::<(), _>::to("luminate.tenant.acme.samples.v1").payload(&value);
    let delivered = producer.send(record, Duration::from_secs(10)).await;
    let place = delivered.map_err(|(error, _)| error)?;
    println!("acknowledged: partition {}, offset {}", place.partition, place.offset);
    Ok(())
}
