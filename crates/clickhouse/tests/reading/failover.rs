//! Where one of several servers is gone, another one answers.

use std::time::Duration;

use luminate_clickhouse::client::Statement;
use luminate_clickhouse::{ClickHouseConfig, ClientError, Hosts};
use luminate_tests::engines::ClickHouse;

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
