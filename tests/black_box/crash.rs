//! What was acknowledged survives `kill -9` at any moment, and is there exactly once.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use luminate_tests::chaos::Rounds;
use luminate_tests::samples::SampleMaker;
use luminate_tests::{Client, Server, ServerOptions};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Batches of a fraction of a second, so that kills fall into stores and merges as well.
const QUICK: &str = "
writer:
  batch:
    maxAge: 100ms
";

/// What became of the samples that were sent.
#[derive(Default)]
struct Fates {
    acknowledged: Vec<Range<u64>>,
    unknown: Vec<Range<u64>>,
}

/// Writes until the server is gone; notes what was acknowledged and what was left open.
fn write_until_gone(client: &Client, maker: &Mutex<SampleMaker>, stop: &AtomicBool, fates: &Mutex<Fates>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    while !stop.load(Ordering::Relaxed) {
        let (body, numbers) = maker.lock().unwrap().body("crash", random.random_range(1..60));
        match client.write(&body) {
            Ok(answer) if answer.status == 202 => fates.lock().unwrap().acknowledged.push(numbers),
            // Refused: nothing of it may be there. It is not asked for below, and a doubled number would be found.
            Ok(answer) => assert_eq!(answer.status, 503, "{}", String::from_utf8_lossy(&answer.bytes)),
            Err(_) => {
                fates.lock().unwrap().unknown.push(numbers);
                return;
            }
        }
    }
}

/// Rounds of load and `kill -9`, then the judgement.
fn survive(mut rounds: Rounds) {
    let seed = rounds.seed();
    let mut server = Server::start_with(ServerOptions { config: QUICK.to_owned(), ..ServerOptions::default() });
    let maker = Mutex::new(SampleMaker::new(seed));
    let fates = Mutex::new(Fates::default());
    while let Some(round) = rounds.next_round() {
        let client = server.client("acme");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (client, maker, stop, fates) = (client.clone(), &maker, &stop, &fates);
                scope.spawn(move || write_until_gone(&client, maker, stop, fates, seed ^ (round << 8) ^ writer));
            }
            std::thread::sleep(Duration::from_millis(rounds.random.random_range(20..600)));
            if rounds.random.random_bool(0.2) {
                // Now and then with the queue empty and nothing under way but what the server does by itself.
                stop.store(true, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(rounds.random.random_range(100..400)));
            }
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        server.start_again();
    }

    let client = server.client("acme");
    let receipt = client.write_all(&maker.lock().unwrap().body("last", 1).0);
    let stored = client.count_by(Some(&receipt), "crash", "n");
    let fates = fates.into_inner().unwrap();
    let acknowledged: u64 = fates.acknowledged.iter().map(|numbers| numbers.end - numbers.start).sum();
    assert!(
        acknowledged > rounds.count(),
        "hardly anything was acknowledged ({acknowledged}): this run proves nothing"
    );
    for numbers in &fates.acknowledged {
        for number in numbers.clone() {
            let times = stored.get(&number.to_string()).copied().unwrap_or_default();
            assert_eq!(times, 1, "acknowledged sample {number} is there {times} times");
        }
    }
    for numbers in &fates.unknown {
        let times: Vec<u64> =
            numbers.clone().map(|number| stored.get(&number.to_string()).copied().unwrap_or_default()).collect();
        assert!(times.iter().all(|times| *times <= 1), "samples {numbers:?} without an answer are doubled: {times:?}");
        assert!(times.windows(2).all(|pair| pair[0] == pair[1]), "a record is stored in part: {numbers:?} {times:?}");
    }
    let unknown: u64 = fates.unknown.iter().map(|numbers| numbers.end - numbers.start).sum();
    let total: u64 = stored.values().sum();
    assert!((acknowledged..=acknowledged + unknown).contains(&total), "{total} stored, {acknowledged} acknowledged");
    rounds.tell(format_args!("{acknowledged} samples acknowledged, {unknown} unknown, {total} stored"));
}

#[test]
fn acknowledged_samples_survive_kills_exactly_once() {
    survive(Rounds::few("single node kills", 12));
}

/// `make chaos`: many more rounds.
#[test]
#[ignore = "long; `make chaos` runs it"]
fn chaos_kills() {
    survive(Rounds::many("single node kills", 50));
}
