//! A repeated request with the same `Idempotency-Key` is stored once, also across a restart and a crash.

use luminate_tests::Server;
use luminate_tests::samples::SampleMaker;
use serde_json::Value;

fn write_keyed(server: &Server, key: &str, body: &Value) -> String {
    let answer = server.client("acme").post_json("/api/v1/write", &[("Idempotency-Key", key)], body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.json());
    answer.json()["receipt"].as_str().unwrap().to_owned()
}

#[test]
fn a_repeat_is_stored_once_also_across_restart_and_crash() {
    let mut server = Server::start();
    // More samples than one record takes, so that the request has several parts.
    let (body, numbers) = SampleMaker::new(1).body("keyed", 12_000);
    write_keyed(&server, "first", &body);
    let receipt = write_keyed(&server, "first", &body);
    assert_eq!(server.client("acme").count(Some(&receipt), "keyed"), numbers.end);

    assert!(server.stop().success());
    server.start_again();
    let receipt = write_keyed(&server, "first", &body);
    assert_eq!(server.client("acme").count(Some(&receipt), "keyed"), numbers.end);

    server.kill();
    server.start_again();
    let receipt = write_keyed(&server, "first", &body);
    assert_eq!(server.client("acme").count(Some(&receipt), "keyed"), numbers.end);

    let receipt = write_keyed(&server, "second", &body);
    assert_eq!(server.client("acme").count(Some(&receipt), "keyed"), 2 * numbers.end, "another key is another request");
}

#[test]
fn the_same_key_with_another_body_goes_to_the_dead_letters() {
    let server = Server::start();
    let mut maker = SampleMaker::new(2);
    write_keyed(&server, "k", &maker.body("keyed", 3).0);
    let receipt = write_keyed(&server, "k", &maker.body("keyed", 3).0);
    assert_eq!(server.client("acme").count(Some(&receipt), "keyed"), 3);
    let letters = server.admin("acme").get("/api/v1/admin/dead-letters").json().to_string();
    assert!(letters.contains("idempotency_conflict"), "{letters}");
}

#[test]
fn keys_of_different_tenants_have_nothing_to_do_with_each_other() {
    let server = Server::start();
    let (body, _) = SampleMaker::new(3).body("keyed", 5);
    for tenant in ["a", "b"] {
        let client = server.client(tenant);
        let answer = client.post_json("/api/v1/write", &[("Idempotency-Key", "k")], &body).unwrap();
        let receipt = answer.json()["receipt"].as_str().unwrap().to_owned();
        assert_eq!(client.count(Some(&receipt), "keyed"), 5, "{tenant}");
    }
}
