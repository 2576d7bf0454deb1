//! A writer stands still (SIGSTOP) past its session, another takes its partitions, and then it goes on with whatever it had
//! in hand: nothing is stored twice, nothing is lost.

use luminate_tests::chaos::Rounds;
use luminate_tests::cluster::{ClusterOptions, Half, Load, LoadOptions, Step, client};
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Cluster, wait};

const TENANTS: u64 = 6;

fn survive(mut rounds: Rounds) {
    let cluster = Cluster::prepare(ClusterOptions::default());
    let gateway = cluster.start_gateway();
    let query = cluster.start_query();
    let writers = [cluster.start_writer(), cluster.start_writer()];
    let load = Load::start(&cluster, &LoadOptions { tenants: TENANTS, seed: rounds.seed(), ..LoadOptions::default() });
    while let Some(round) = rounds.next_round() {
        let frozen = &writers[round as usize % 2];
        std::thread::sleep(rounds.moment(700));
        frozen.signal(libc::SIGSTOP);
        // Once what was written after the freeze is stored in every tenant's partition, the other one has them all.
        for tenant in 0..TENANTS {
            let tenant = format!("tenant-{tenant}");
            let receipt = client(&gateway, &tenant).write_all(&SampleMaker::new(round).body("probe", 1).0);
            client(&query, &tenant).count(Some(&receipt), "probe");
        }
        frozen.signal(libc::SIGCONT);
        load.wait_more(2_000);
    }
    let verdict = cluster.assert_exactly_once(&query, &load.finish());
    rounds.tell(&verdict);
    assert_eq!(verdict.unknown, 0, "the gateway ran all the time");
}

#[test]
fn a_writer_that_stood_still_past_its_session_stores_nothing_twice() {
    survive(Rounds::few("frozen writers", 4));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_frozen_writers() {
    survive(Rounds::many("frozen writers", 50));
}

/// It stands still with its intent acknowledged and the insert about to be sent. When it wakes, its permission to insert has run
/// out, whether it has heard of that or not.
#[test]
fn a_writer_that_wakes_with_an_insert_in_hand_does_not_send_it() {
    let cluster = Cluster::prepare(ClusterOptions { partitions: 1, ..ClusterOptions::default() });
    let (gateway, query) = (cluster.start_gateway(), cluster.start_query());
    let (frozen, gates) = cluster.start_gated_writer();
    let mut maker = SampleMaker::new(1);
    let mut write = || client(&gateway, "acme").write_all(&maker.body("frozen", 10).0);
    let count = |receipt: &str| client(&query, "acme").count(Some(receipt), "frozen");
    assert_eq!(count(&write()), 10);

    let held = gates.hold(Step::Ledger, Half::Answer);
    let receipt = write();
    held.wait();
    frozen.signal(libc::SIGSTOP);
    held.let_go();
    let _other = cluster.start_writer();
    assert_eq!(count(&receipt), 20, "the other one has settled it");
    let inserts = gates.asked(Step::Insert);
    frozen.signal(libc::SIGCONT);
    wait::until("it knows that the partition is not its own", || frozen.log().contains("let go").then_some(()));
    assert_eq!(count(&write()), 30);
    assert_eq!(gates.asked(Step::Insert), inserts, "it has sent the insert that it had in hand");
    let stored = cluster.stored_numbers("acme", "frozen");
    assert!(stored.len() == 30 && stored.values().all(|times| *times == 1), "{stored:?}");
    cluster.operate(&["reconcile"]);
}
