//! The read-only user of `deploy/clickhouse` can do what the query-api does, and no more.

use std::sync::Arc;

use luminate_clickhouse::client::Statement;
use luminate_clickhouse::source::ClickHouseSource;
use luminate_clickhouse::{ClickHouseConfig, ClientError, Hosts};
use luminate_query::conformance::{Rounding, compare_rounding};
use luminate_storage::SampleSink as _;
use luminate_storage::conformance::generate::history;
use luminate_storage::conformance::{Dice, INCARNATION};
use luminate_storage::memory::MemoryStore;
use luminate_tests::engines::{ClickHouse, ClickHouseOptions};

use crate::database::{Database, NoSources};

const READER: &str = include_str!("../../../../deploy/clickhouse/users.d/luminate_reader.xml");

const SERVER: &str = include_str!("../../../../deploy/clickhouse/config.d/luminate_reader.xml");

/// What stands between the tags of an element.
fn inside<'x>(xml: &'x str, element: &str) -> &'x str {
    let (_, rest) = xml.split_once(&format!("<{element}>")).unwrap();
    rest.rsplit_once(&format!("</{element}>")).unwrap().0
}

/// A server as it is deployed, and its user who may read.
fn deployed() -> (ClickHouse, ClickHouseConfig) {
    let users = inside(READER, "users");
    let from_environment = r#"<password from_env="LUMINATE_CLICKHOUSE_READER_PASSWORD"/>"#;
    assert!(users.contains(from_environment));
    let server = ClickHouse::start(ClickHouseOptions {
        config: inside(SERVER, "clickhouse").to_owned(),
        users: users.replace(from_environment, "<password>reader's</password>"),
        profiles: inside(READER, "profiles").to_owned(),
        ..ClickHouseOptions::default()
    });
    let config = ClickHouseConfig {
        addresses: vec![server.url().to_owned()],
        database: "luminate".to_owned(),
        username: "luminate_reader".to_owned(),
        password: Some(serde_json::from_value("reader's".into()).unwrap()),
        ..ClickHouseConfig::default()
    };
    (server, config)
}

async fn answer(hosts: &Hosts, statement: Statement) -> Result<String, ClientError> {
    let mut answer = hosts.fetch(&statement, "TSV").await?;
    let mut text = String::new();
    while let Some(bytes) = answer.next().await? {
        text.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    Ok(text.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reader_reads_and_does_nothing_else() {
    let (server, config) = deployed();
    let database = Database::on(&server, 1, "luminate");
    database.create_table(1, "samples");
    let oracle = MemoryStore::of_incarnation(INCARNATION);
    let (batches, _) = history(&mut Dice::new(5), INCARNATION, 2000);
    for batch in batches {
        database.insert_batch(1, "samples", &batch);
        oracle.write(batch).await.unwrap();
    }
    let hosts = Hosts::new(&config).unwrap();
    let source = ClickHouseSource::new(hosts.clone(), &config, Arc::new(NoSources)).unwrap();
    compare_rounding(&source, &oracle, 5, 40, Rounding::DeviationsAndPercentiles).await;

    let refused = |statement: &str| answer(&hosts, Statement::new(statement));
    for statement in [
        "INSERT INTO luminate.samples (value) VALUES (1)",
        "DROP TABLE luminate.samples",
        "ALTER TABLE luminate.samples DELETE WHERE 1",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'CSV', 'a String')",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 100000",
        "SELECT 1 SETTINGS skip_unavailable_shards = 1",
        "SYSTEM STOP MERGES luminate.samples",
        "CREATE USER somebody",
    ] {
        let ended = refused(statement).await;
        assert!(matches!(&ended, Err(ClientError::Server { .. })), "{statement}: {ended:?}");
    }
}

/// Whatever a query asks for: the row policy shows only what belongs to the tenant that the query was made for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_row_policy_hides_other_tenants() {
    let (server, config) = deployed();
    let database = Database::on(&server, 1, "luminate");
    database.create_table(1, "samples");
    let (batches, _) = history(&mut Dice::new(6), INCARNATION, 1000);
    batches.iter().for_each(|batch| database.insert_batch(1, "samples", batch));
    let all: u64 = server.query("SELECT count() FROM luminate.samples").trim().parse().unwrap();
    let of_acme = server.query("SELECT count() FROM luminate.samples WHERE tenant = 'acme'").trim().to_owned();
    assert!(of_acme.parse::<u64>().unwrap() < all);

    let hosts = Hosts::new(&config).unwrap();
    let count = || Statement::new("SELECT count() FROM luminate.samples");
    assert_eq!(answer(&hosts, count()).await.unwrap(), "0", "a query that names no tenant sees nothing");
    assert_eq!(answer(&hosts, count().setting("log_comment", "acme")).await.unwrap(), of_acme);
    let of_beta = Statement::new("SELECT count() FROM luminate.samples WHERE tenant = 'beta'");
    assert_eq!(answer(&hosts, of_beta.setting("log_comment", "acme")).await.unwrap(), "0");
}
