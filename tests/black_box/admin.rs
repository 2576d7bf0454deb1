//! What operators do: dead letters and watermarks, and what they are told when it cannot be done.

use luminate_tests::samples::{SampleMaker, now_ms};
use luminate_tests::server::token;
use luminate_tests::tokens::{now_seconds, signed};
use luminate_tests::{Client, Server, ServerOptions, wait};
use serde_json::{Value, json};

const LETTERS: &str = "/api/v1/admin/dead-letters";

fn server_with(config: &str) -> Server {
    Server::start_with(ServerOptions { config: config.to_owned(), ..ServerOptions::default() })
}

fn operator(server: &Server) -> Client {
    Client::new(server.url(), &signed(&json!({"sub": "op", "exp": now_seconds() + 600, "scopes": ["operator"]})))
}

/// Makes a dead letter of the client's tenant, by using a key twice; returns the letter.
fn make_letter(client: &Client, key: &str) -> Value {
    for value in 0..2 {
        let body =
            json!({"metrics": [{"name": "m", "timestamp": now_ms(), "value": value, "dimensions": {"key": key}}]});
        let answer = client.post_json("/api/v1/write", &[("Idempotency-Key", key)], &body).unwrap();
        assert_eq!(answer.status, 202);
    }
    wait::until("the dead letter", || {
        let letters = client.get(&format!("{LETTERS}?limit=1000")).json()["deadLetters"].clone();
        // The newest of its partition comes last.
        letters.as_array()?.last().cloned()
    })
}

fn path_of(letter: &Value) -> String {
    format!("{LETTERS}/{}", letter["id"].as_str().unwrap().replace('/', "%2F"))
}

#[test]
fn a_letter_is_seen_by_its_tenant_and_by_operators_alone() {
    let server = Server::start();
    let owner = server.admin("owner");
    let letter = make_letter(&owner, "k");
    assert_eq!((&letter["code"], &letter["tenant"]), (&json!("idempotency_conflict"), &json!("owner")));
    let stranger = server.admin("stranger");
    assert_eq!(stranger.get(LETTERS).json()["deadLetters"], json!([]));
    stranger.get(&path_of(&letter)).assert_problem("a stranger looks", 404, "dead_letter_unknown");
    let replay = format!("{}/replay", path_of(&letter));
    let answer = stranger.post_json(&replay, &[], &json!({})).unwrap();
    answer.assert_problem("a stranger replays", 404, "dead_letter_unknown");
    assert_eq!(stranger.post_json(&format!("{LETTERS}/purge"), &[], &json!({})).unwrap().json()["purged"], 0);

    let shown = owner.get(&path_of(&letter)).json();
    assert_eq!((&shown["id"], &shown["cut"]), (&letter["id"], &json!(false)));
    assert_eq!(operator(&server).get(LETTERS).json()["deadLetters"], json!([letter]));
    assert_eq!(operator(&server).get(&format!("{LETTERS}?tenant=stranger")).json()["deadLetters"], json!([]));
    let answer = owner.post_json(&replay, &[], &json!({})).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    let shown = wait::until("the replay is marked", || {
        let shown = owner.get(&path_of(&letter)).json();
        (!shown["replayedAt"].is_null()).then_some(shown)
    });
    assert_eq!(shown["id"], letter["id"]);
    assert_eq!(owner.post_json(&format!("{LETTERS}/purge"), &[], &json!({})).unwrap().status, 200);
    owner.get(&path_of(&letter)).assert_problem("after the purge", 404, "dead_letter_unknown");
}

#[test]
fn a_letter_that_was_cut_cannot_be_replayed() {
    let server = server_with("writer:\n  deadLetters:\n    maxBytes: 10\n");
    let admin = server.admin("acme");
    let letter = make_letter(&admin, "k");
    assert_eq!(letter["cut"], true, "{letter}");
    let answer = admin.post_json(&format!("{}/replay", path_of(&letter)), &[], &json!({})).unwrap();
    answer.assert_problem("ten bytes of it", 409, "dead_letter_cut");
}

#[test]
fn what_admins_ask_for_must_make_sense() {
    let server = Server::start();
    let admin = server.admin("acme");
    for path in [
        "?limit=many",
        "?limit=-1",
        "?after=nothing",
        "?tenant=a%2Fb",
        "?unknown=1",
        "/nothing",
        "/00000000000000000000000000000000%2F0%2F0%2Fx",
        "/%ff",
    ] {
        admin.get(&format!("{LETTERS}{path}")).assert_problem(path, 400, "admin_request_invalid");
    }
    let unknown = "/00000000000000000000000000000000%2F0%2F0%2F-";
    let answer = admin.get(&format!("{LETTERS}{unknown}"));
    assert!(matches!(answer.code().as_str(), "dead_letter_unknown" | "admin_request_invalid"), "{}", answer.json());
    for body in [json!([]), json!("acme"), json!({"tenant": 7}), json!({"tenant": "acme", "all": true})] {
        for path in [&format!("{LETTERS}/purge"), "/api/v1/admin/erase"] {
            let answer = admin.post_json(path, &[], &body).unwrap();
            answer.assert_problem(&format!("{path} {body}"), 400, "admin_request_invalid");
        }
    }
    let huge = json!({"tenant": "t".repeat(100_000)});
    admin.post_json("/api/v1/admin/erase", &[], &huge).unwrap().assert_problem("100 KB", 413, "body_too_large");
}

/// A server whose batches stay open, so that erasures wait for them.
fn patient_server() -> Server {
    server_with("writer:\n  batch:\n    maxAge: 60s\nlifecycle:\n  drainTimeout: 2s\n")
}

#[test]
fn while_a_tenant_is_erased_none_of_its_letters_is_replayed() {
    let config = "writer:\n  batch:\n    maxAge: 3s\n";
    let server = server_with(config);
    let admin = server.admin("acme");
    let letter = make_letter(&admin, "k");
    admin.write_all(&SampleMaker::new(1).body("m", 1).0);
    let begun = admin.post_json("/api/v1/admin/erase", &[], &json!({})).unwrap();
    assert_eq!(begun.status, 202, "{}", begun.json());
    let answer = admin.post_json(&format!("{}/replay", path_of(&letter)), &[], &json!({})).unwrap();
    answer.assert_problem("meanwhile", 409, "erasure_running");
    let path = format!("/api/v1/admin/erase/{}", begun.json()["id"].as_str().unwrap());
    wait::until("the erasure ends", || (admin.get(&path).json()["status"] == "done").then_some(()));
    assert_eq!(admin.get(LETTERS).json()["deadLetters"], json!([]));
}

#[test]
fn erasures_that_run_are_bounded_in_number() {
    let server = patient_server();
    server.client("acme").write_all(&SampleMaker::new(1).body("m", 1).0);
    let operator = operator(&server);
    let refused = (0..1000).find_map(|number| {
        let answer = operator.post_json("/api/v1/admin/erase", &[], &json!({"tenant": format!("t{number}")})).unwrap();
        (answer.status != 202).then_some((number, answer))
    });
    let (number, answer) = refused.expect("some number is too many");
    answer.assert_problem(&format!("{number} erasures"), 503, "erasures_too_many");
}

#[test]
fn watermarks_say_how_far_the_writer_is() {
    let server = Server::start();
    let admin = server.admin("acme");
    let receipt = admin.write_all(&SampleMaker::new(1).body("m", 10).0);
    assert_eq!(admin.count(Some(&receipt), "m"), 10);
    // A query sees what the store has a moment before the writer takes note of it.
    let sources = wait::until("nothing lags", || {
        let sources = admin.get("/api/v1/admin/watermarks").json()["sources"].as_array().unwrap().clone();
        sources.iter().all(|source| source["lag"] == 0 && source["stopped"] == false).then_some(sources)
    });
    assert_eq!(sources.iter().filter(|source| source["stored"] == 1).count(), 1, "one record was written: {sources:?}");
    let nobody = Client::new(server.url(), &token("acme", "read,write"));
    nobody.get("/api/v1/admin/watermarks").assert_problem("without the scope", 403, "scope_missing");
}
