//! Erasing a tenant: nothing of it can be read, nothing of it is in any file, nothing brings it back, and nobody else notices.

use luminate_tests::samples::now_ms;
use luminate_tests::server::token;
use luminate_tests::tokens::{now_seconds, signed};
use luminate_tests::{Client, Server, ServerOptions, files, wait};
use serde_json::{Value, json};

/// Merges at once, so that what is erased lies in merged blocks as well as in new ones.
const QUICK: &str = "
writer:
  batch:
    maxAge: 100ms
storage:
  rocksdb:
    mergeAfter: 200ms
    idleAfter: 200ms
";

/// Too short for a compressor to shrink when it stands alone, and with nothing in it twice: files show it as it is.
const MARKERS: [&str; 3] = ["Zq7xKj2vWp9sBn4t", "erase_me_Hf3yLc8mRd", "gT6uXo1eVa5iQz0kMb"];

fn server() -> Server {
    Server::start_with(ServerOptions { config: QUICK.to_owned(), ..ServerOptions::default() })
}

/// Samples that carry the markers: as a metric's name, as a key, and as a value.
fn marked(day: i64) -> Value {
    let [name, key, value] = MARKERS;
    let timestamp = now_ms() - day * 86_400_000;
    let of = |metric: &str, dimensions: Value| json!({"name": metric, "timestamp": timestamp, "value": 1, "dimensions": dimensions});
    json!({"metrics": [of(name, json!({})), of("m", json!({key: "v"})), of("m", json!({"k": value}))]})
}

fn plain(count: i64) -> Value {
    let now = now_ms();
    let sample = |n: i64| json!({"name": "m", "timestamp": now - n, "value": n, "dimensions": {"k": format!("v{n}")}});
    json!({"metrics": (0..count).map(sample).collect::<Vec<_>>()})
}

fn raw(metric: &str) -> Value {
    json!({"queryType": "raw", "metricName": metric, "timeRange": {"start": 0, "end": now_ms() + 3_600_000}, "limit": 10_000})
}

/// Everything that a tenant can read, but for costs and watermarks.
fn everything(client: &Client) -> Vec<Value> {
    let mut answers = Vec::new();
    for metric in ["m", MARKERS[0]] {
        answers.push(client.query(None, &raw(metric))["samples"].clone());
    }
    for path in ["/api/v1/metrics", "/api/v1/dimensions", "/api/v1/dimensions/k/values"] {
        let mut answer = client.get(path).json();
        let members = answer.as_object_mut().unwrap();
        members.remove("watermark");
        members.remove("stats");
        answers.push(answer);
    }
    answers
}

/// Erases a tenant and waits until that is done; returns what it says.
fn erase(client: &Client, body: &Value) -> Value {
    let begun = client.post_json("/api/v1/admin/erase", &[], body).unwrap();
    assert!(matches!(begun.status, 200 | 202), "{}", begun.json());
    let path = format!("/api/v1/admin/erase/{}", begun.json()["id"].as_str().unwrap());
    let erasure = wait::until("the erasure ends", || {
        let erasure = client.get(&path).json();
        (erasure["status"] != "running").then_some(erasure)
    });
    assert_eq!(erasure["status"], "done", "{erasure}");
    erasure
}

#[track_caller]
fn assert_in_no_file(server: &Server) {
    for marker in MARKERS {
        let found = files::holding(server.data(), marker);
        assert!(found.is_empty(), "{marker} is still in {found:?}");
    }
}

#[test]
fn nothing_of_an_erased_tenant_is_left_anywhere() {
    let mut server = server();
    let (victim, other) = (server.admin("victim"), server.client("other"));
    // Many batches, some of them merged, with samples of both tenants in one block, over several days.
    let mut receipts = Vec::new();
    for day in 0..6 {
        victim.write_all(&marked(day % 3));
        victim.write_all(&plain(200));
        receipts.push((victim.write_all(&marked(day)), other.write_all(&plain(300))));
    }
    let (victims, others) = receipts.last().unwrap();
    assert_eq!((victim.count(Some(victims), "m"), other.count(Some(others), "m")), (6 * 204, 6 * 300));
    wait::until("blocks were merged", || (server.metric("luminate_store_merges_total", "") > 0.0).then_some(()));
    // Once more behind the merges: in a batch of its own, and as a dead letter.
    let keyed = [("Idempotency-Key", "a-key")];
    assert_eq!(victim.post_json("/api/v1/write", &keyed, &plain(1)).unwrap().status, 202);
    assert_eq!(victim.post_json("/api/v1/write", &keyed, &marked(0)).unwrap().status, 202);
    let letters = wait::until("a dead letter is there", || {
        let letters = victim.get("/api/v1/admin/dead-letters").json()["deadLetters"].clone();
        (!letters.as_array().unwrap().is_empty()).then_some(letters)
    });
    let letter = letters[0]["id"].as_str().unwrap().replace('/', "%2F");
    for marker in MARKERS {
        assert!(!files::holding(server.data(), marker).is_empty(), "{marker} is in no file: this run proves nothing");
    }
    let before = everything(&other);

    let erasure = erase(&victim, &json!({"tenant": "victim"}));
    assert_eq!((&erasure["samples"], &erasure["deadLetters"]), (&json!(6 * 206 + 1), &json!(1)), "{erasure}");
    assert_in_no_file(&server);
    assert!(everything(&victim).iter().all(is_empty), "{:?}", everything(&victim));
    assert_eq!(victim.get("/api/v1/admin/dead-letters").json()["deadLetters"], json!([]));
    let replay = victim.post_json(&format!("/api/v1/admin/dead-letters/{letter}/replay"), &[], &json!({})).unwrap();
    replay.assert_problem("a purged letter", 404, "dead_letter_unknown");
    assert_eq!(everything(&other), before, "another tenant has noticed");

    server.kill();
    server.start_again();
    assert_in_no_file(&server);
    let (victim, other) = (server.admin("victim"), server.client("other"));
    assert!(everything(&victim).iter().all(is_empty), "a restart has brought it back");
    assert_eq!(everything(&other), before);

    // The tenant begins anew, and only what it erased is gone.
    let receipt = victim.write_all(&plain(10));
    assert_eq!(victim.count(Some(&receipt), "m"), 10);
    server.kill();
    server.start_again();
    assert_eq!(
        server.client("victim").count(Some(&receipt), "m"),
        10,
        "an erasure that is over took what came after it"
    );
}

/// Whether an answer has nothing in it: no samples, or a page of nothing.
fn is_empty(answer: &Value) -> bool {
    match answer {
        Value::Array(samples) => samples.is_empty(),
        page => page.as_object().unwrap().values().all(|member| member == &json!([]) || member == &json!(false)),
    }
}

#[test]
fn what_waits_in_the_queue_is_erased_too() {
    // A batch that is stored some seconds later: the erasure must wait for that, and not forget it.
    let config = QUICK.replace("maxAge: 100ms", "maxAge: 3s");
    let server = Server::start_with(ServerOptions { config, ..ServerOptions::default() });
    let victim = server.admin("victim");
    victim.write_all(&marked(0));
    let other = server.client("other");
    let receipt = other.write_all(&plain(5));
    erase(&victim, &json!({}));
    assert_in_no_file(&server);
    assert!(everything(&victim).iter().all(is_empty));
    assert_eq!(other.count(Some(&receipt), "m"), 5);
}

/// What is acknowledged after the erasure was answered is not part of it, however long that takes and whatever is merged
/// meanwhile.
#[test]
fn what_is_written_while_an_erasure_runs_stays() {
    let server = server();
    let victim = server.admin("victim");
    for _ in 0..3 {
        for day in 0..4 {
            victim.write_all(&marked(day));
            victim.write_all(&plain(500));
        }
        let begun = victim.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap();
        assert_eq!(begun.status, 202, "{}", begun.json());
        let path = format!("/api/v1/admin/erase/{}", begun.json()["id"].as_str().unwrap());
        let mut kept = 0;
        let mut receipt = String::new();
        wait::until("the erasure ends", || {
            let body = json!({"metrics": [{"name": "kept", "timestamp": now_ms() - kept, "value": kept}]});
            receipt = victim.write_all(&body);
            kept += 1;
            let status = victim.get(&path).json()["status"].clone();
            assert_ne!(status, "failed");
            (status == "done").then_some(())
        });
        assert!(kept > 1, "nothing was written meanwhile: this run proves nothing");
        assert_eq!(victim.count(Some(&receipt), "kept"), kept as u64);
        assert_eq!(victim.count(None, "m"), 0);
        erase(&victim, &json!({}));
    }
}

/// Asks nothing of the server but whether something of the victim is left, until there is nothing.
fn wait_until_gone(server: &Server) {
    let victim = server.admin("victim");
    wait::until("the erasure goes on by itself", || {
        let letters = victim.get("/api/v1/admin/dead-letters").json()["deadLetters"] == json!([]);
        let in_no_file = || MARKERS.iter().all(|marker| files::holding(server.data(), marker).is_empty());
        (letters && everything(&victim).iter().all(is_empty) && in_no_file()).then_some(())
    });
}

/// 202 is a promise: a crash right after it must not bring back what was to be erased, and nobody has to ask again.
#[test]
fn an_erasure_that_was_answered_is_finished_after_a_crash() {
    // What is in the queue when the server is killed is stored by the next one, which must know of the erasure.
    for batches in [QUICK.to_owned(), QUICK.replace("maxAge: 100ms", "maxAge: 3s")] {
        let mut server = Server::start_with(ServerOptions { config: batches.clone(), ..ServerOptions::default() });
        let (victim, other) = (server.admin("victim"), server.client("other"));
        let at_once = batches == QUICK;
        let keyed = [("Idempotency-Key", "a-key")];
        assert_eq!(victim.post_json("/api/v1/write", &keyed, &plain(100)).unwrap().status, 202);
        assert_eq!(victim.post_json("/api/v1/write", &keyed, &marked(0)).unwrap().status, 202);
        let receipts = (victim.write_all(&marked(0)), other.write_all(&plain(5)));
        if at_once {
            assert_eq!(victim.count(Some(&receipts.0), "m"), 102);
        }
        for marker in MARKERS {
            assert!(
                !files::holding(server.data(), marker).is_empty(),
                "{marker} is in no file: this run proves nothing"
            );
        }
        let begun = victim.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap();
        server.kill();
        assert_eq!(begun.status, 202);
        server.start_again();
        wait_until_gone(&server);
        assert_eq!(server.client("other").count(Some(&receipts.1), "m"), 5);
        let receipt = server.client("victim").write_all(&plain(7));
        server.kill();
        server.start_again();
        assert_eq!(server.client("victim").count(Some(&receipt), "m"), 7, "it took what came after it");
    }
}

/// Between two requests to erase, samples are acknowledged: the second one takes them too.
#[test]
fn a_second_erasure_takes_what_came_after_the_first() {
    let server = server();
    let victim = server.admin("victim");
    for _ in 0..5 {
        victim.write_all(&plain(300));
        let begin = || {
            let begun = victim.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap();
            assert_eq!(begun.status, 202);
            begun.json()["id"].as_str().unwrap().to_owned()
        };
        let first = begin();
        victim.write_all(&marked(0));
        let second = begin();
        assert_ne!(first, second);
        let path = format!("/api/v1/admin/erase/{second}");
        wait::until("the second erasure ends", || (victim.get(&path).json()["status"] == "done").then_some(()));
        assert!(everything(&victim).iter().all(is_empty));
        assert_in_no_file(&server);
    }
}

#[test]
fn erasing_twice_or_nobody_harms_nobody() {
    let server = server();
    let operator = signed(&json!({"sub": "op", "exp": now_seconds() + 600, "scopes": ["operator"]}));
    let operator = Client::new(server.url(), &operator);
    let other = server.client("other");
    let receipt = other.write_all(&plain(50));
    assert_eq!(other.count(Some(&receipt), "m"), 50);
    for tenant in ["nobody", "nobody", "other-", "othe", "others"] {
        assert_eq!(erase(&operator, &json!({"tenant": tenant}))["samples"], 0, "{tenant}");
    }
    assert_eq!(other.count(None, "m"), 50);
    assert_eq!(erase(&operator, &json!({"tenant": "other"}))["samples"], 50);
    assert_eq!(erase(&operator, &json!({"tenant": "other"}))["samples"], 0);
    let missing = operator.get("/api/v1/admin/erase/none");
    missing.assert_problem("an unknown erasure", 404, "erasure_unknown");
    let bad = operator.post_json("/api/v1/admin/erase", &[], &json!({"tenant": "a/b"})).unwrap();
    bad.assert_problem("no tenant's name", 400, "admin_request_invalid");
}

#[test]
fn one_tenants_erasures_are_nobody_elses_business() {
    let server = server();
    let victim = server.admin("victim");
    let erasure = erase(&victim, &json!({}));
    let path = format!("/api/v1/admin/erase/{}", erasure["id"].as_str().unwrap());
    let stranger = Client::new(server.url(), &token("stranger", "admin"));
    stranger.get(&path).assert_problem("another tenant's erasure", 404, "erasure_unknown");
}
