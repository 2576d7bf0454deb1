//! A server behind TLS is spoken to where a known authority has signed its certificate for its name, and nowhere else.

use std::path::PathBuf;
use std::sync::Arc;

use luminate_clickhouse::client::Statement;
use luminate_clickhouse::{ClickHouseConfig, ClickHouseSink, ClientError, Hosts, migrate};
use luminate_storage::SampleSink as _;
use luminate_storage::conformance::generate::history;
use luminate_storage::conformance::{Dice, INCARNATION, NOW};
use luminate_tests::certificates::Authority;
use luminate_tests::engines::{ClickHouse, unique_name};

use crate::relay::Relay;

/// The configuration of a server at this address, with what is trusted.
fn at(address: String, ca_file: Option<PathBuf>) -> ClickHouseConfig {
    let config: ClickHouseConfig = serde_json::from_value(ClickHouse::shared().settings("default")).unwrap();
    ClickHouseConfig { addresses: vec![address], ca_file, ..config }
}

/// What a question to the server comes to.
async fn ask(address: String, ca_file: Option<PathBuf>) -> Result<Vec<(u32,)>, ClientError> {
    Hosts::new(&at(address, ca_file)).unwrap().rows(&Statement::new("SELECT toUInt32(7)")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let (ours, another) = (Authority::make(), Authority::make());
    let relay = Relay::with_tls(ClickHouse::shared().url(), &ours.certificate_for("localhost")).await;
    let url = |host: &str| format!("https://{host}:{}", relay.port());
    assert_eq!(ask(url("localhost"), Some(ours.file())).await.unwrap(), [(7,)]);

    let refused = |asked: Result<Vec<(u32,)>, ClientError>| match asked {
        // Nothing was sent: whoever waits for the server tries again.
        Err(ClientError::Unreachable { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    for unknown in [Some(another.file()), None] {
        let cause = refused(ask(url("localhost"), unknown).await);
        assert!(cause.contains("invalid peer certificate") && cause.contains("storage.clickhouse.caFile"), "{cause}");
    }
    let cause = refused(ask(url("127.0.0.1"), Some(ours.file())).await);
    assert!(cause.contains("certificate not valid for name \"127.0.0.1\"") && cause.contains("localhost"), "{cause}");
    let asked = ask(format!("http://localhost:{}", relay.port()), Some(ours.file())).await;
    assert!(asked.is_err_and(|error| error.is_of_the_host()), "without TLS nothing is answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_and_batches_stored_over_tls() {
    let authority = Authority::make();
    let relay = Relay::with_tls(ClickHouse::shared().url(), &authority.certificate_for("localhost")).await;
    let database = unique_name("https");
    let config = ClickHouseConfig {
        database: database.clone(),
        ..at(format!("https://localhost:{}", relay.port()), Some(authority.file()))
    };
    migrate(&config, "test", false).await.unwrap();
    let server = ClickHouse::shared();
    // The history has a clock of its own, long before the server's.
    server.query(&format!("SYSTEM STOP TTL MERGES {database}.samples"));
    let sink = ClickHouseSink::new(config, Arc::new(|| NOW)).unwrap();
    let (batches, _) = history(&mut Dice::new(3), INCARNATION, 500);
    let mut samples = 0;
    for batch in batches {
        samples += sink.write(batch).await.unwrap().samples;
    }
    assert!(samples > 0);
    let stored = server.query(&format!("SELECT count() FROM {database}.samples"));
    assert_eq!(stored.trim(), samples.to_string());
    server.query(&format!("DROP DATABASE {database} SYNC"));
}

#[test]
fn a_file_that_names_no_authority_is_refused() {
    for file in ["/nowhere/ca.pem", "/dev/null"] {
        let refused = Hosts::new(&at("https://localhost".to_owned(), Some(file.into()))).err().unwrap();
        let text = refused.to_string();
        assert!(text.starts_with("storage.clickhouse.caFile: ") && text.contains(file), "{text}");
    }
}
