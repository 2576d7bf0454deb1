//! A full disk: nothing more is accepted, nothing that was is lost, what is stored can be read, and making room mends it.

use std::time::{Duration, Instant};

use luminate_tests::samples::{SampleMaker, now_ms};
use luminate_tests::server::token;
use luminate_tests::{Answer, Client, Server, ServerOptions, SmallDisk, wait};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

const DISK_MIB: u32 = 96;

/// Little in memory, little in reserve, so that a small disk is a whole one.
const SMALL: &str = "
queue:
  diskReserve: 8MiB
  writeBuffer: 2MiB
writer:
  batch:
    maxAge: 100ms
storage:
  rocksdb:
    cache: 8MiB
    writeBuffer: 8MiB
    log: 8MiB
    ballast: 4MiB
    diskReserve: 4MiB
";

/// The same without anything in reserve: the disk fills up in the middle of a write.
const RECKLESS: &str = "
queue:
  diskReserve: 0MiB
  writeBuffer: 2MiB
writer:
  batch:
    maxAge: 100ms
storage:
  rocksdb:
    cache: 8MiB
    writeBuffer: 8MiB
    log: 8MiB
    ballast: 0MiB
    diskReserve: 0MiB
";

fn start_on(disk: &SmallDisk, config: &str) -> Server {
    Server::start_with(ServerOptions {
        config: config.to_owned(),
        wrapper: disk.wrapper(),
        data: Some(disk.folder().join("data")),
        ..ServerOptions::default()
    })
}

/// About a megabyte that does not shrink.
fn noise(random: &mut StdRng) -> Value {
    let sample = |random: &mut StdRng| {
        let text: String = (0..1500).map(|_| char::from(random.random_range(b' '..b'~'))).collect();
        json!({"name": "noise", "timestamp": now_ms(), "value": random.random::<f64>(), "dimensions": {"text": text}})
    };
    json!({"metrics": (0..600).map(|_| sample(random)).collect::<Vec<_>>()})
}

/// What a server without room must answer a write request.
#[track_caller]
fn assert_no_room(answer: &Answer) {
    answer.assert_problem("no room", 503, "queue_full");
}

/// Writes until nothing has been accepted for a while; returns how many samples were.
fn write_until_full(client: &Client, mut body: impl FnMut() -> Value) -> u64 {
    const FOR_GOOD: Duration = Duration::from_secs(2);
    let mut accepted = 0;
    let mut refused_since: Option<Instant> = None;
    loop {
        let answer = client.write(&body()).expect("a full disk is an answer, not an end");
        if answer.status == 202 {
            accepted += answer.json()["accepted"].as_u64().unwrap();
            refused_since = None;
            assert!(accepted < 600 * 2000, "the disk does not fill");
        } else {
            assert_no_room(&answer);
            if refused_since.get_or_insert_with(Instant::now).elapsed() > FOR_GOOD {
                return accepted;
            }
        }
    }
}

fn wait_for_room(client: &Client, maker: &mut SampleMaker, metric: &str) -> String {
    wait::until("writes are accepted again", || {
        let (body, _) = maker.body(metric, 1);
        let answer = client.write(&body).expect("an answer");
        (answer.status == 202).then(|| answer.json()["receipt"].as_str().unwrap().to_owned())
    })
}

#[test]
fn what_others_filled_up_stops_writes_until_there_is_room_again() {
    let disk = SmallDisk::new(DISK_MIB);
    let mut server = start_on(&disk, SMALL);
    let mut maker = SampleMaker::new(11);
    let client = server.client("acme");
    let (body, kept) = maker.body("kept", 500);
    let receipt = client.write_all(&body);
    assert_eq!(client.count(Some(&receipt), "kept"), kept.end);

    disk.fill(1024);
    let refused = client.write(&maker.body("refused", 5).0).expect("an answer");
    assert_no_room(&refused);
    assert_eq!(client.count(None, "kept"), kept.end, "reading goes on");
    let health = wait::until("health tells of it", || {
        let health = Client::new(server.url(), "").get("/api/v1/health");
        (health.json()["status"] == "degraded").then_some(health)
    });
    assert_eq!(health.status, 200, "it will do its work again by itself, so nobody shall restart it");
    health.assert_nothing_internal("health");
    assert!(!String::from_utf8_lossy(&health.bytes).contains(&disk.folder().display().to_string()));
    assert_eq!(Client::new(server.url(), "").get("/readyz").status, 200);

    // A crash meanwhile loses nothing, and a start does not need room that there is not.
    server.kill();
    server.start_again();
    let client = server.client("acme");
    assert_eq!(client.count(None, "kept"), kept.end);
    assert_no_room(&client.write(&maker.body("refused", 5).0).expect("an answer"));

    disk.make_room();
    let receipt = wait_for_room(&client, &mut maker, "after");
    assert_eq!(client.count(Some(&receipt), "kept"), kept.end);
    assert_eq!(client.count(Some(&receipt), "refused"), 0, "what was refused is there");
    wait::until("health is well again", || {
        (Client::new(server.url(), "").get("/api/v1/health").json()["status"] == "ok").then_some(())
    });
    assert!(server.stop().success());
}

#[test]
fn erasing_a_tenant_mends_a_disk_that_its_samples_filled() {
    let disk = SmallDisk::new(DISK_MIB);
    let mut server = start_on(&disk, SMALL);
    let mut maker = SampleMaker::new(12);
    let mut random = StdRng::seed_from_u64(12);
    let (body, kept) = maker.body("kept", 500);
    let receipt = server.client("modest").write_all(&body);
    assert_eq!(server.client("modest").count(Some(&receipt), "kept"), kept.end);

    let accepted = write_until_full(&server.client("hog"), || noise(&mut random));
    assert!(accepted > 600, "hardly anything was accepted ({accepted}): this run proves nothing");

    // Nothing of what was accepted is lost, also across a crash on the full disk.
    server.kill();
    server.start_again();
    let hog = server.client("hog");
    wait::until("all that was accepted is readable", || (hog.count(None, "noise") == accepted).then_some(()));

    let operator = Client::new(server.url(), &operator_token());
    let erasure = operator.post_json("/api/v1/admin/erase", &[], &json!({"tenant": "hog"})).unwrap();
    assert!(matches!(erasure.status, 200 | 202), "{}", erasure.json());
    let id = erasure.json()["id"].as_str().unwrap().to_owned();
    let erasure = wait::until("the erasure ends", || {
        let erasure = operator.get(&format!("/api/v1/admin/erase/{id}")).json();
        (erasure["status"] != "running").then_some(erasure)
    });
    assert_eq!((&erasure["status"], &erasure["samples"]), (&json!("done"), &json!(accepted)), "{erasure}");

    let modest = server.client("modest");
    let receipt = wait_for_room(&modest, &mut maker, "after");
    assert_eq!(modest.count(Some(&receipt), "kept"), kept.end);
    assert_eq!(server.client("hog").count(None, "noise"), 0);
    assert!(server.stop().success());
}

fn operator_token() -> String {
    luminate_tests::tokens::signed(&json!({
        "sub": "a test", "exp": luminate_tests::tokens::now_seconds() + 3600, "scopes": ["operator"],
    }))
}

#[test]
fn a_disk_that_fills_up_within_a_write_loses_nothing_acknowledged() {
    let disk = SmallDisk::new(DISK_MIB);
    let mut server = start_on(&disk, RECKLESS);
    let mut maker = SampleMaker::new(13);
    let client = Client::new(server.url(), &token("acme", "read,write"));
    disk.fill(3000);
    let mut acknowledged = Vec::new();
    let mut unknown = Vec::new();
    for _ in 0..2000 {
        let (body, numbers) = maker.body("edge", 200);
        match client.write(&body) {
            Ok(answer) if answer.status == 202 => acknowledged.push(numbers),
            Ok(answer) => {
                answer.assert_sound_problem("the edge");
                assert_eq!(answer.status, 503, "{}", answer.json());
                unknown.push(numbers);
                if unknown.len() > 3 {
                    break;
                }
            }
            // It may end, since only a start mends a log that could not be written.
            Err(_) => {
                unknown.push(numbers);
                break;
            }
        }
    }
    assert!(!acknowledged.is_empty() && !unknown.is_empty(), "the disk did not fill: this run proves nothing");
    let ended = server.try_wait_end(Duration::from_secs(15));
    if let Some(status) = ended {
        assert!(!status.success(), "an end that nobody asked for is a failure");
        let log = server.log();
        assert!(
            log.to_lowercase().contains("no space left") || log.contains("disk is full"),
            "no word of the reason: {log}"
        );
    } else {
        server.kill();
    }

    disk.make_room();
    server.start_again();
    let client = server.client("acme");
    let receipt = client.write_all(&maker.body("last", 1).0);
    let stored = client.count_by(Some(&receipt), "edge", "n");
    let times = |number: u64| stored.get(&number.to_string()).copied().unwrap_or_default();
    for number in acknowledged.into_iter().flatten() {
        assert_eq!(times(number), 1, "acknowledged sample {number}");
    }
    for numbers in unknown {
        let all: Vec<u64> = numbers.map(times).collect();
        assert!(all.iter().all(|times| *times == all[0] && *times <= 1), "a record in part or twice: {all:?}");
    }
}
