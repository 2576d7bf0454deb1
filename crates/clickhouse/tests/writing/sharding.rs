//! Two shards and one distributed table. Replicas cannot run here: the tables are those of a cluster, with engines that do not
//! replicate.

use std::time::Duration;

use luminate_clickhouse::ClickHouseConfig;
use luminate_clickhouse::migrate::{Form, MIGRATIONS};
use luminate_storage::{IntentSink as _, Permit};
use luminate_tests::engines::clickhouse::CLUSTER;
use luminate_tests::engines::{ClickHouse, ClickHouseOptions};

use super::fixture::{config, one_day, sink};

/// Makes a cluster's tables on both nodes.
fn make_tables(engine: &ClickHouse, config: &ClickHouseConfig) {
    let form = Form::Cluster(CLUSTER.to_owned());
    for node in [1, 2] {
        engine.query_on(node, &format!("CREATE DATABASE {}", config.database));
        for migration in MIGRATIONS {
            for statement in form.render(migration.text, &config.database) {
                let here = statement.replace(&form.on_cluster(), "");
                let (before, after) = here.split_once("ReplicatedMergeTree(").unwrap_or((&here, ""));
                let local = match after.split_once("')") {
                    Some((_, rest)) => format!("{before}MergeTree{rest} , non_replicated_deduplication_window = 1000"),
                    None => here.clone(),
                };
                let local = local.replacen("non_replicated_deduplication_window = 100000,", "", 1);
                engine.query_on(node, &local);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_spread_over_shards_by_name() {
    let engine = ClickHouse::start(ClickHouseOptions { nodes: 2, ..ClickHouseOptions::default() });
    let mut config = config(&engine);
    make_tables(&engine, &config);
    config.cluster = Some(CLUSTER.to_owned());
    config.addresses = vec![engine.node_url(1).to_owned(), engine.node_url(2).to_owned()];
    config.connect_timeout = Duration::from_secs(1).into();
    let forward = sink(&config);
    config.addresses.reverse();
    let backward = sink(&config);
    let mut shards = Vec::new();
    for partition in 0..4 {
        let mut batch = one_day(0, 1, 100);
        batch.source.partition = partition;
        let target = forward.target(&batch.source).await.unwrap();
        assert_eq!(target, backward.target(&batch.source).await.unwrap(), "whatever the order of the hosts");
        assert_eq!(target.table, "samples_local");
        assert_eq!(forward.insert(&batch, &target, Permit::unlimited()).await.unwrap().samples, 100);
        assert!(backward.settle(&batch, &target, Permit::unlimited()).await.unwrap().already);
        shards.push((batch, target));
    }
    let database = &config.database;
    for node in [1, 2] {
        assert_eq!(engine.query_on(node, &format!("SELECT count() FROM {database}.samples_local")).trim(), "200");
        assert_eq!(engine.query_on(node, &format!("SELECT count() FROM {database}.samples")).trim(), "400");
    }

    // Noted while there were other shards: where a new batch would go today is not asked.
    let (mut noted, mut elsewhere) = (one_day(1, 2, 100), shards[0].1.clone());
    noted.source.partition = 0;
    elsewhere.shard =
        shards.iter().map(|(_, target)| target.shard.clone()).find(|name| *name != elsewhere.shard).unwrap();
    assert_eq!(forward.insert(&noted, &elsewhere, Permit::unlimited()).await.unwrap().samples, 100);
    assert!(backward.settle(&noted, &elsewhere, Permit::unlimited()).await.unwrap().already);
    let node = if elsewhere.shard == "shard-1" { 1 } else { 2 };
    let there = format!("SELECT count() FROM {database}.samples_local WHERE batch = 1");
    assert_eq!(engine.query_on(node, &there).trim(), "100", "where the intent says");

    engine.kill_node(2);
    for (batch, target) in &shards {
        let settled = forward.settle(batch, target, Permit::unlimited()).await;
        match target.shard.as_str() {
            "shard-1" => assert!(settled.unwrap().already),
            _ => assert!(settled.is_err_and(|error| error.is_retryable())),
        }
    }
    assert!(luminate_storage::SampleSink::writable(&forward).is_err());
    engine.start_node(2);
    for (batch, target) in &shards {
        assert!(forward.settle(batch, target, Permit::unlimited()).await.unwrap().already);
    }
}
