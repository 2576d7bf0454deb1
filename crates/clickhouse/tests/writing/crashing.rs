//! A server that was killed at the wrong moment.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use luminate_storage::{IntentSink as _, Permit};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions};
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{Store, one_day, sink};

/// So many rounds, and more of them until a kill has fallen between the token and the rows, which is what this is about.
const ROUNDS: u64 = 8;
const MOST_ROUNDS: u64 = 60;

/// The server notes a token in its log before it renames the part. Killed as soon as that log grows, it has the token and
/// sometimes not the rows; whichever it was, each batch is stored once after it is settled.
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_log_of_tokens_and_the_parts_rename() {
    let engine = ClickHouse::start(ClickHouseOptions::default());
    let mut store = Store::on(&engine).await;
    store.insert(&one_day(0, 1, 10)).await;
    let log = log_of_tokens(&engine.data_path(1)).expect("a log of tokens after the first insert");
    let mut hidden = 0;
    let mut round = 0;
    while round < ROUNDS || (hidden == 0 && round < MOST_ROUNDS) {
        round += 1;
        let batch = one_day(round, round + 1, 50_000);
        let pid = Pid::from_raw(engine.pid(1).unwrap() as i32).unwrap();
        let before = std::fs::metadata(&log).unwrap().len();
        let done = AtomicBool::new(false);
        let target = store.target().await;
        let inserted = std::thread::scope(|scope| {
            scope.spawn(|| {
                let begun = Instant::now();
                while std::fs::metadata(&log).unwrap().len() == before && begun.elapsed() < Duration::from_secs(30) {
                    std::hint::spin_loop();
                }
                kill_process(pid, Signal::KILL).unwrap();
                done.store(true, Ordering::Release);
            });
            let inserted = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(store.sink.insert(&batch, &target, Permit::unlimited()))
            });
            while !done.load(Ordering::Acquire) {
                std::thread::yield_now();
            }
            inserted
        });
        if let Err(error) = &inserted {
            assert!(error.is_retryable(), "{error}");
        }
        // The supervisor learns of the death, and starts it again on the same data.
        engine.kill();
        engine.restart();
        store.sink = sink(&store.config);
        let found = store.rows();
        let stored = (round - 1) * 50_000 + 10;
        assert!(found == stored || found == stored + 50_000, "{found}");
        if found == stored {
            store.insert(&batch).await;
            hidden += u64::from(store.rows() == stored);
        }
        store.sink.settle(&batch, &target, Permit::unlimited()).await.unwrap();
        assert_eq!(store.rows(), stored + 50_000, "round {round}");
    }
    assert!(hidden > 0, "in none of {round} rounds the server knew the token and had no rows: this run proves nothing");
    eprintln!("in {hidden} of {round} rounds the server knew the token and had no rows");
}

/// The server was frozen, and answers after the writer has given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_in_doubt_and_not_doubled() {
    let engine = ClickHouse::start(ClickHouseOptions::default());
    let mut store = Store::on(&engine).await;
    let batch = one_day(0, 1, 1000);
    let target = store.target().await;
    store.config.insert.timeout = Duration::from_secs(1).into();
    store.sink = sink(&store.config);
    store.sink.target(&batch.source).await.unwrap();
    engine.pause_node(1);
    let permit = Permit::from(Permit::now(), Duration::from_secs(3));
    let paused = tokio::time::timeout(Duration::from_secs(20), store.sink.insert(&batch, &target, permit)).await;
    engine.resume_node(1);
    assert!(paused.expect("the insert has an end").is_err_and(|error| error.is_retryable()));
    for _ in 0..2 {
        store.sink.settle(&batch, &target, Permit::unlimited()).await.unwrap();
    }
    assert_eq!(store.rows(), 1000);
}

fn log_of_tokens(folder: &Path) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let is_log = |path: &&PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("deduplication_log_") && std::fs::metadata(path).is_ok_and(|log| log.len() > 0)
    };
    let here = entries.iter().find(is_log).cloned();
    here.or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| log_of_tokens(path)))
}
