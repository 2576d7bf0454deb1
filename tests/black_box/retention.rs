//! What is older than its retention is not shown, not taken, and gives its disk back.

use luminate_tests::samples::now_ms;
use luminate_tests::{Client, Server, ServerOptions, files, wait};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

const QUICK: &str = "
writer:
  batch:
    maxAge: 100ms
storage:
  rocksdb:
    mergeAfter: 200ms
    idleAfter: 200ms
    expireEvery: 200ms
";

/// One tenant keeps a week, and one of its metrics a month.
const WEEK: &str = "
retention:
  tenants:
    acme:
      defaultDays: 7
      metrics:
        kept_longer: 30
";

fn options(retention: &str) -> ServerOptions {
    ServerOptions { config: format!("{QUICK}{retention}"), ..ServerOptions::default() }
}

/// Samples of `metric`, so many days old, that do not shrink.
fn old(random: &mut StdRng, metric: &str, days: i64, count: usize) -> Value {
    let timestamp = now_ms() - days * DAY_MS;
    let mut sample = |n: i64| {
        let dimensions = json!({"id": format!("{:032x}", random.random::<u128>()), "age": days.to_string()});
        json!({"name": metric, "timestamp": timestamp - n, "value": random.random::<f64>(), "dimensions": dimensions})
    };
    json!({"metrics": (0..count as i64).map(&mut sample).collect::<Vec<_>>()})
}

fn ages(client: &Client, metric: &str) -> Vec<(String, u64)> {
    client.count_by(None, metric, "age").into_iter().collect()
}

fn metrics(client: &Client) -> Vec<String> {
    let answer = client.get("/api/v1/metrics").json();
    answer["metrics"].as_array().unwrap().iter().map(|metric| metric["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_shorter_retention_hides_at_once_and_gives_the_disk_back() {
    let mut random = StdRng::seed_from_u64(31);
    let mut server = Server::start_with(options(""));
    let (acme, other) = (server.client("acme"), server.client("other"));
    for _ in 0..4 {
        for days in [1, 6, 8, 20, 40] {
            acme.write_all(&old(&mut random, "expires", days, if days < 7 { 100 } else { 12_000 }));
        }
        acme.write_all(&old(&mut random, "all_gone", 40, 100));
        acme.write_all(&old(&mut random, "kept_longer", 20, 100));
        acme.write_all(&old(&mut random, "kept_longer", 40, 100));
        other.write_all(&old(&mut random, "expires", 40, 100));
    }
    let receipt = acme.write_all(&old(&mut random, "last", 0, 1));
    assert_eq!(acme.count(Some(&receipt), "expires"), 4 * 36_200, "for ever, unless set");
    assert!(server.stop().success());
    let occupied = files::occupied(server.data());
    let plain_data = 4 * 36_000 * 30;
    assert!(occupied > plain_data, "only {occupied} bytes are there: this run proves nothing");

    // From the first answer on, whatever lies on disk still.
    server.options_mut().config = format!("{QUICK}{WEEK}");
    server.start_again();
    let (acme, other) = (server.client("acme"), server.client("other"));
    let two_ages = [("1".to_owned(), 400), ("6".to_owned(), 400)];
    assert_eq!(ages(&acme, "expires"), two_ages);
    assert_eq!(ages(&acme, "kept_longer"), [("20".to_owned(), 400)]);
    assert_eq!(metrics(&acme), ["expires", "kept_longer", "last"]);
    assert_eq!(other.count(None, "expires"), 400, "another tenant's retention is its own");
    let values = acme.get("/api/v1/dimensions/age/values").json();
    let values: Vec<&str> =
        values["values"].as_array().unwrap().iter().map(|value| value["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["0", "1", "20", "6"]);
    wait::until("the disk has shrunk", || (files::occupied_by_tables(server.data()) < occupied / 4).then_some(()));
    assert_eq!(ages(&acme, "expires"), two_ages);

    // A longer retention shows no more than what is left.
    assert!(server.stop().success());
    // The ballast is there whatever is stored.
    let ballast = std::fs::metadata(server.data().join("store/ballast")).map_or(0, |file| file.len());
    let left = files::occupied(server.data()) - ballast;
    assert!(left < occupied / 2, "{left} bytes are left of {occupied}");
    server.options_mut().config = QUICK.to_owned();
    server.start_again();
    let acme = server.client("acme");
    assert_eq!(ages(&acme, "expires"), two_ages);
    assert_eq!(server.client("other").count(None, "expires"), 400);
}

#[test]
fn what_would_be_dropped_at_once_is_rejected_and_said_to_be() {
    let mut random = StdRng::seed_from_u64(32);
    let server = Server::start_with(options(WEEK));
    let acme = server.client("acme");
    let refused = acme.write(&old(&mut random, "m", 8, 2)).unwrap();
    refused.assert_problem("eight days of seven", 400, "no_valid_samples");
    assert_eq!(refused.json()["errors"][0]["code"], "retention_exceeded");
    for (metric, days) in [("m", 6), ("kept_longer", 8)] {
        acme.write_all(&old(&mut random, metric, days, 1));
    }
    server.client("other").write_all(&old(&mut random, "m", 5000, 1));
    let limits = "gateway:\n  samples:\n    oldestAge: 3d\n    furthestFuture: 1m\n";
    let server = Server::start_with(ServerOptions { config: limits.to_owned(), ..ServerOptions::default() });
    let code = |days: i64| {
        let answer = server.client("acme").write(&old(&mut StdRng::seed_from_u64(1), "m", days, 1)).unwrap();
        answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!((code(4).as_str(), code(2).as_str(), code(-1).as_str()), ("timestamp_too_old", "", "timestamp_too_new"));
}
