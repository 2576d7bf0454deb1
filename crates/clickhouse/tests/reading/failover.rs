//! Where one of several servers is gone, another one answers.

use std::sync::Arc;
use std::time::Duration;

use luminate_clickhouse::client::Statement;
use luminate_clickhouse::source::ClickHouseSource;
use luminate_clickhouse::{ClickHouseConfig, ClientError, Hosts, MigrateError, check};
use luminate_storage::conformance::NOW;
use luminate_storage::conformance::batches::sample;
use luminate_storage::conformance::generate::tenant;
use luminate_storage::{
    AggregateFunction, AggregateRequest, QueryContext, QueryLimits, SampleSource as _, ScanRequest, StorageError,
};
use luminate_tests::engines::ClickHouse;
use tokio::net::TcpListener;

use crate::database::{Database, NoSources};
use crate::relay::Relay;

fn hosts(ways: &[&Relay]) -> Hosts {
    let config: ClickHouseConfig = serde_json::from_value(ClickHouse::shared().settings("default")).unwrap();
    let addresses = ways.iter().map(|way| format!("127.0.0.1:{}", way.port())).collect();
    Hosts::new(&ClickHouseConfig { addresses, ..config }).unwrap()
}

async fn ask(hosts: &Hosts) -> Result<(), ClientError> {
    let rows = hosts.rows::<(u32,)>(&Statement::new("SELECT toUInt32(7)")).await?;
    assert_eq!(rows, [(7,)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_is_enough_whichever_it_is_and_whenever_the_other_goes() {
    let server = ClickHouse::shared().url();
    let (first, second) = (Relay::plain(server).await, Relay::plain(server).await);
    first.cut();
    let both = hosts(&[&first, &second]);
    for _ in 0..4 {
        ask(&both).await.unwrap();
    }
    assert!(both.reachable().is_ok() && second.connections() > 0);

    // One that answered before goes between two questions.
    let third = Relay::plain(server).await;
    let both = hosts(&[&third, &second]);
    for _ in 0..2 {
        ask(&both).await.unwrap();
    }
    assert!(third.connections() > 0, "they are asked in turn");
    third.cut();
    for _ in 0..4 {
        ask(&both).await.unwrap();
    }

    second.cut();
    let gone = ask(&both).await.unwrap_err();
    assert!(gone.is_of_the_host(), "{gone}");
    assert!(both.reachable().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_whose_server_goes_before_it_answers_is_asked_again() {
    let server = ClickHouse::shared().url();
    let (first, second) = (Relay::plain(server).await, Relay::plain(server).await);
    let both = hosts(&[&first, &second]);
    let asked = tokio::spawn(async move {
        let slow = Statement::new("SELECT toUInt32(7 + sleep(1))");
        both.rows::<(u32,)>(&slow).await
    });
    let started = std::time::Instant::now();
    while first.connections() == 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "the first is asked first");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.cut();
    assert_eq!(asked.await.unwrap().unwrap(), [(7,)]);
    assert_eq!(second.connections(), 1);
}

/// A server that is frozen (SIGSTOP): the kernel takes its connections, and nobody answers.
struct Frozen(TcpListener);

impl Frozen {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_a_frozen_server_kept_is_the_last_one_it_keeps() {
    let frozen = Frozen::new().await;
    let database = Database::new();
    database.insert(&tenant("acme"), &[sample("m", NOW - 1, 1.0, &[])]);
    let mut config = database.config();
    config.addresses.insert(0, frozen.address());
    let source = ClickHouseSource::new(Hosts::new(&config).unwrap(), &config, Arc::new(NoSources)).unwrap();
    let request = AggregateRequest::new(ScanRequest::new(tenant("acme"), "m", NOW), AggregateFunction::Avg);
    let limits = |timeout| QueryLimits { timeout, memory_bytes: 1 << 30, samples: u64::MAX >> 1, workers: 1 };
    let kept = source.aggregate(&request, &QueryContext::new(limits(Duration::from_secs(1)))).await;
    assert!(matches!(kept, Err(StorageError::Timeout { .. })), "the frozen one is asked first: {kept:?}");
    for _ in 0..4 {
        source.aggregate(&request, &QueryContext::new(limits(Duration::from_secs(5)))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_goes_past_a_frozen_server() {
    let frozen = Frozen::new().await;
    let database = Database::new();
    let mut config = database.config();
    config.addresses.insert(0, frozen.address());
    let checked = tokio::time::timeout(Duration::from_secs(60), check(&config)).await.expect("it has an end");
    assert!(matches!(checked, Err(MigrateError::Missing { number: 1, .. })), "{checked:?}");
}
