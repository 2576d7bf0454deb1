//! ClickHouse is killed under load, or gone for a while: writes go on being accepted, and writers catch up.

use std::time::{Duration, Instant};

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Engine, Half, Load, LoadOptions, ServiceProcess, Step};
use luminate_tests::engines::{ClickHouse, ClickHouseOptions};
use luminate_tests::process::is_stopped;
use luminate_tests::{Cluster, wait};
use serde_json::json;

fn cluster_with_its_own_store() -> Cluster {
    let clickhouse = Engine::Own(ClickHouse::start(ClickHouseOptions::default()));
    Cluster::prepare(ClusterOptions { clickhouse, ..ClusterOptions::default() })
}

/// At least `enough` rounds, and more of them until a kill has interrupted an insert, which is what this is about.
fn survive(mut rounds: Rounds, enough: u64) {
    let cluster = cluster_with_its_own_store();
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let ((first, first_gates), (second, second_gates)) = (cluster.start_gated_writer(), cluster.start_gated_writer());
    let (writers, gates) = ([first, second], [first_gates, second_gates]);
    let load = Load::start(&cluster, &LoadOptions { seed: rounds.seed(), ..LoadOptions::default() });
    let stored = || writers.iter().map(|writer| writer.metric("luminate_samples_stored_total", "")).sum::<f64>();
    let mut interrupted = 0;
    while let Some(round) = rounds.next_round() {
        // Kills fall into inserts only where there are some.
        let before = stored();
        wait::until("the writers store", || (stored() > before).then_some(()));
        std::thread::sleep(rounds.moment(400));
        cluster.clickhouse.kill();
        // The server has had these, and whoever sent them was never told.
        interrupted = gates.iter().map(|gates| gates.asked(Step::Insert) - gates.answered(Step::Insert)).sum::<u64>();
        cluster.clickhouse.restart();
        if round + 1 >= enough && interrupted > 0 {
            break;
        }
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(format_args!("{interrupted} inserts were interrupted; {verdict}"));
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
    assert!(interrupted > 0, "no kill fell into an insert: this run proves nothing");
}

#[test]
fn acknowledged_samples_are_stored_exactly_once_whenever_the_store_dies() {
    survive(Rounds::few("store kills", 30), 6);
}

/// How often a writer was given a partition since it was started.
fn assigned(writer: &ServiceProcess) -> usize {
    writer.log().matches("a partition was assigned").count()
}

/// How often writers have handed a partition over.
fn handed_over(writers: &[ServiceProcess]) -> usize {
    writers.iter().map(|writer| writer.log().matches("a partition was let go").count()).sum()
}

/// Waits until the group has settled: each of two writers has half of the four partitions.
fn wait_until_shared(writers: &[ServiceProcess]) {
    let owns = |writer: &ServiceProcess| {
        let log = writer.log();
        log.matches("a partition was assigned").count() - log.matches("a partition was let go").count()
    };
    wait::until("each writer has its share", || writers.iter().all(|writer| owns(writer) == 2).then_some(()));
}

/// Records that writers say are not stored.
fn lag(writers: &[ServiceProcess]) -> f64 {
    writers.iter().map(|writer| writer.metric("luminate_consumer_lag_records", "")).sum()
}

/// Their session is so long that a busy machine ends none.
fn cluster_with_its_own_store_and_long_sessions() -> Cluster {
    let clickhouse = Engine::Own(ClickHouse::start(ClickHouseOptions::default()));
    let kafka_section = json!({"consumer": {"sessionTimeout": "20s"}});
    Cluster::prepare(ClusterOptions { clickhouse, kafka_section, ..ClusterOptions::default() })
}

#[test]
fn writes_are_accepted_while_the_store_is_gone_and_writers_catch_up() {
    let cluster = cluster_with_its_own_store_and_long_sessions();
    let gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let mut writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions::default());
    load.wait_more(2_000);
    wait_until_shared(&writers);
    let before = handed_over(&writers);
    cluster.clickhouse.kill();
    wait::until("a writer says that its store is away", || {
        let down = |health: &serde_json::Value| health["status"] == "degraded";
        writers.iter().any(|writer| down(&writer.health())).then_some(())
    });
    load.wait_more(20_000);
    assert_eq!(load.refused(), 0, "a request was refused while the store was away");
    assert_eq!(gateway.health()["status"], "ok", "{}", gateway.health());
    wait::until("writers say how far they are behind", || (lag(&writers) > 100.0).then_some(()));
    // The store's absence is no reason to hand partitions over.
    assert_eq!(handed_over(&writers), before, "a writer let a partition go");
    // A writer that dies meanwhile leaves an intent that nobody can settle yet.
    writers[0].kill();
    cluster.clickhouse.restart();
    writers[0].start_again();
    load.wait_more(1_000);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
    wait::until("writers say that they have caught up", || (lag(&writers) == 0.0).then_some(()));
}

/// `make chaos`: gone for a minute. Writers keep their partitions meanwhile: the store's absence is no reason to hand them over.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_a_store_gone_for_a_minute() {
    let cluster = cluster_with_its_own_store_and_long_sessions();
    let gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions::default());
    load.wait_more(2_000);
    wait_until_shared(&writers);
    let before = handed_over(&writers);
    cluster.clickhouse.kill();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(60) {
        load.wait_more(1_000);
    }
    assert_eq!(load.refused(), 0, "a request was refused while the store was away");
    assert_eq!(gateway.health()["status"], "ok", "{}", gateway.health());
    assert_eq!(handed_over(&writers), before, "a writer let a partition go");
    cluster.clickhouse.restart();
    load.wait_more(2_000);
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    eprintln!("a store gone for a minute: {verdict}");
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
    for writer in &writers {
        assert_eq!(writer.metric("luminate_partitions_stopped", ""), 0.0, "{}", writer.log());
    }
}

/// ClickHouse stands still (SIGSTOP) with an insert of a writer in hand; meanwhile the writer dies. Then the server goes on with what
/// it was given. In turn an insert that it has not begun with, and is longer in hand than the writer may store, so that the other
/// writer takes over; and one that it may be at, for a time of any length.
fn survive_stillness(mut rounds: Rounds) {
    let cluster = cluster_with_its_own_store();
    let _gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let ((first, first_gates), (second, second_gates)) = (cluster.start_gated_writer(), cluster.start_gated_writer());
    let (mut writers, gates) = ([first, second], [first_gates, second_gates]);
    let load = Load::start(&cluster, &LoadOptions { seed: rounds.seed(), ..LoadOptions::default() });
    let still = || wait::until("it stands still", || is_stopped(cluster.clickhouse.pid(1)?).then_some(()));
    let (mut late, mut taken_over) = (0, 0);
    while let Some(round) = rounds.next_round() {
        load.wait_more(500);
        wait_until_shared(&writers);
        let (victim, other) = (round as usize / 2 % 2, (round as usize / 2 + 1) % 2);
        let is_begun = round % 2 == 1;
        let before = assigned(&writers[other]);
        let held = gates[victim].hold(Step::Insert, Half::Request);
        held.wait();
        if is_begun {
            held.let_go();
            std::thread::sleep(rounds.moment(4));
            cluster.clickhouse.pause_node(1);
            still();
        } else {
            cluster.clickhouse.pause_node(1);
            still();
            held.let_go();
        }
        writers[victim].kill();
        // Nobody sends more through these gates until the writer is back.
        let sent = gates[victim].asked(Step::Insert);
        if is_begun {
            std::thread::sleep(rounds.moment(3000));
        } else {
            // The session of the dead writer, and the permit that came with it, have ended.
            let takes_over = || (assigned(&writers[other]) > before).then_some(());
            wait::until("the other writer takes over", takes_over);
            taken_over += 1;
        }
        let answered = gates[victim].answered(Step::Insert);
        assert!(is_begun || sent > answered, "a server that stands still has answered");
        cluster.clickhouse.resume_node(1);
        wait::until("the server finishes what it had in hand", || {
            (gates[victim].answered(Step::Insert) >= sent).then_some(())
        });
        late += sent - answered;
        writers[victim].start_again();
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(format_args!(
        "{late} inserts were finished late, of {taken_over} dead writers by then replaced; {verdict}"
    ));
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
    assert!(late > 0 && taken_over > 0, "no insert was finished late: this run proves nothing");
}

#[test]
fn inserts_that_a_store_finishes_late_are_stored_once() {
    survive_stillness(Rounds::few("store stillness", 4));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_store_kills() {
    let rounds = Rounds::many("store kills", 50);
    let enough = rounds.count();
    survive(rounds, enough);
}

/// The same with a store that stands still.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_store_stillness() {
    survive_stillness(Rounds::many("store stillness", 50));
}
