//! Tables are made once, under a lock, and nothing starts over tables that it does not know.

use luminate_clickhouse::migrate::{MIGRATIONS, Migration};
use luminate_clickhouse::{ClickHouseConfig, MigrateError, check, migrate};
use luminate_tests::engines::ClickHouse;

use super::fixture::{Store, config, one_day};

fn numbers(migrations: &[Migration]) -> Vec<u32> {
    migrations.iter().map(|migration| migration.number).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_migration_finds_nothing_to_do() {
    let config = config(ClickHouse::shared());
    let before = check(&config).await;
    assert!(matches!(before, Err(MigrateError::Missing { number: 1, .. })), "{before:?}");
    let applied = migrate(&config, "first", false).await.unwrap();
    assert_eq!(numbers(&applied), numbers(MIGRATIONS));
    assert!(migrate(&config, "second", false).await.unwrap().is_empty());
    check(&config).await.unwrap();
}

/// A database of a former version gets what is new, and keeps what it has.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_added() {
    let store = Store::shared().await;
    let database = &store.config.database;
    store.query(&format!("DROP TABLE {database}.incarnations SYNC"));
    store.query(&format!("ALTER TABLE {database}.migrations DELETE WHERE number > 1 SETTINGS mutations_sync = 2"));
    store.insert(&one_day(0, 1, 10)).await;
    let before = check(&store.config).await;
    assert!(matches!(before, Err(MigrateError::Missing { number: 2, .. })), "{before:?}");
    let applied = migrate(&store.config, "newer", false).await.unwrap();
    assert_eq!(numbers(&applied), numbers(&MIGRATIONS[1..]));
    check(&store.config).await.unwrap();
    assert_eq!(store.rows(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_changed_or_is_unknown_stops_the_start() {
    let store = Store::shared().await;
    let database = &store.config.database;
    store.query(&format!("INSERT INTO {database}.migrations (number, name, checksum) VALUES (99, 'later', 'x')"));
    for stopped in [check(&store.config).await, migrate(&store.config, "test", false).await.map(|_| ())] {
        assert!(matches!(stopped, Err(MigrateError::Unknown { number: 99, .. })), "{stopped:?}");
    }
    store.query(&format!("TRUNCATE TABLE {database}.migrations"));
    store.query(&format!("INSERT INTO {database}.migrations (number, name, checksum) VALUES (1, 'samples', 'x')"));
    for stopped in [check(&store.config).await, migrate(&store.config, "test", false).await.map(|_| ())] {
        assert!(matches!(stopped, Err(MigrateError::Changed { number: 1, .. })), "{stopped:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_names_its_holder_until_it_is_broken() {
    let engine = ClickHouse::shared();
    let config = config(engine);
    let database = &config.database;
    engine.query(&format!("CREATE DATABASE {database}"));
    engine
        .query(&format!("CREATE TABLE {database}.migration_lock (held UInt8) ENGINE = Memory COMMENT 'dead, host-7'"));
    let locked = migrate(&config, "second", false).await;
    assert!(matches!(&locked, Err(MigrateError::Locked { holder }) if holder == "dead, host-7"), "{locked:?}");
    assert_eq!(migrate(&config, "second", true).await.unwrap().len(), MIGRATIONS.len());
    assert_eq!(engine.query(&format!("EXISTS {database}.migration_lock")).trim(), "0");
}

/// Whoever comes second waits for nobody: it is told, or it finds nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_at_once_one_migrates() {
    let config = config(ClickHouse::shared());
    let all = [(); 4].map(|()| {
        tokio::spawn({
            let config = config.clone();
            async move { migrate(&config, "one of four", false).await }
        })
    });
    let mut applied = 0;
    for one in all {
        match one.await.unwrap() {
            Ok(migrations) => applied += migrations.len(),
            Err(error) => assert!(matches!(error, MigrateError::Locked { .. }), "{error}"),
        }
    }
    assert_eq!(applied, MIGRATIONS.len());
    check(&config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_the_servers_do_not_know_stops_the_start() {
    let store = Store::shared().await;
    let config = ClickHouseConfig { cluster: Some("nowhere".to_owned()), ..store.config.clone() };
    for stopped in [check(&config).await, migrate(&config, "test", false).await.map(|_| ())] {
        let error = stopped.unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        assert_eq!(
            error.to_string(),
            "storage.clickhouse.cluster: the servers know no cluster `nowhere` (see system.clusters)"
        );
    }
}
