//! Commands of operators.

use crate::server::Server;
use crate::writing::samples;

#[test]
fn health_is_asked_without_a_token() {
    let server = Server::start();
    let health =
        crate::server::run(crate::server::luminate(&["health", "--url", server.url(), "--json"]), "").done().json();
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["dependencies"]["queue"]["status"], "up", "{health}");
    assert_eq!(health["dependencies"]["storage"]["status"], "up", "{health}");
}

#[test]
fn erasing_takes_one_tenants_data_and_leaves_the_others() {
    let server = Server::start();
    let other = server.token("other", "read,write,admin");
    server.run(&["write", "--wait"], &samples(50)).done();
    server.run_as(&other, &["write", "--wait"], &samples(7)).done();

    let unasked = server.run(&["erase", "--tenant", "acme"], "");
    assert_eq!(unasked.code, 2, "without a terminal nobody can be asked: {unasked:?}");
    let forbidden = server.run(&["erase", "--tenant", "other", "--yes"], "");
    assert_eq!(forbidden.code, 4, "an admin rules its own tenant: {forbidden:?}");
    let erased = server.run(&["erase", "--tenant", "acme", "--yes", "--json"], "").done().json();
    assert_eq!((&erased["status"], &erased["samples"]), (&"done".into(), &50.into()), "{erased}");

    let left = server.run(&["metrics", "--json"], "").done().json();
    assert_eq!(left["metrics"].as_array().unwrap().len(), 0, "{left}");
    let others = server.run_as(&other, &["metrics", "--json"], "").done().json();
    assert_eq!(others["metrics"][0]["samples"], 7, "{others}");
}

#[test]
fn conflicting_requests_become_dead_letters_that_can_be_listed_shown_and_purged() {
    let server = Server::start();
    let token = server.token("acme", "write");
    // Two bodies under one key: the second is a conflict, which the writer finds.
    for value in ["1", "2"] {
        let body = samples(1).replace("\"value\":0", &format!("\"value\":{value}"));
        let mut request = ureq::post(format!("{}/api/v1/write", server.url()))
            .header("Authorization", format!("Bearer {token}"))
            .header("Idempotency-Key", "one");
        request = request.content_type("application/x-ndjson");
        assert_eq!(request.send(body.as_str()).unwrap().status(), 202);
    }
    // Something that comes later in the same queue is stored, so the conflict has been judged.
    server.run(&["write", "--wait"], &samples(1)).done();
    let began = std::time::Instant::now();
    let letters = loop {
        let list = server.run(&["dlq", "list", "--json"], "").done().json();
        let letters = list["deadLetters"].as_array().unwrap().clone();
        if !letters.is_empty() {
            break letters;
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "no dead letter came");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(letters[0]["code"], "idempotency_conflict");
    let id = letters[0]["id"].as_str().unwrap();
    let table = server.run(&["dlq", "list", "--code", "idempotency_conflict"], "").done();
    assert!(table.data.contains(id), "{table:?}");
    let shown = server.run(&["dlq", "show", id], "").done().json();
    assert_eq!((&shown["id"], &shown["tenant"]), (&id.into(), &"acme".into()));
    let unknown = server.run(&["dlq", "show", &id.replace("/-", "/7")], "");
    assert_eq!(unknown.code, 1, "{unknown:?}");
    let purged = server.run(&["dlq", "purge", "--yes"], "").done();
    assert_eq!(purged.messages, "removed 1 dead letters\n");
    let left = server.run(&["dlq", "list", "--json"], "").done().json();
    assert_eq!(left["deadLetters"].as_array().unwrap().len(), 0, "{left}");
}
