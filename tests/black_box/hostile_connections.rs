//! Clients that break HTTP, or keep it too slowly: each is answered or cut off, and the others notice nothing.

use std::time::Duration;

use luminate_tests::{Client, Outcome, RawConnection, Server, ServerOptions, process, wait};

use crate::hostile_bodies::assert_well;

/// Little patience, so that losing it is quickly seen.
const IMPATIENT: &str = "
http:
  headerTimeout: 1s
  bodyTimeout: 1s
  idleTimeout: 2s
  writeTimeout: 1s
";

/// Far below any other deadline of a server, far above what a loaded machine takes.
const SOON: Duration = Duration::from_secs(20);

fn impatient_server() -> Server {
    Server::start_with(ServerOptions { config: IMPATIENT.to_owned(), ..ServerOptions::default() })
}

/// The lines of a good write request's head, without the blank one.
fn head(server: &Server) -> String {
    let token = luminate_tests::server::token("hostile", "read,write");
    let host = server.url().trim_start_matches("http://");
    format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    )
}

#[test]
fn half_a_head_is_not_waited_for() {
    let server = impatient_server();
    for half in ["", "P", "POST /api/v1/write HTTP/1.1\r\nHost: x\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut connection = RawConnection::open(server.url());
        connection.send(half.as_bytes());
        let elapsed = connection.until_closed();
        assert!(elapsed < SOON, "{half:?}: closed after {elapsed:?}");
    }
    assert_well(&server, "half a head");
}

#[test]
fn a_head_that_comes_a_byte_at_a_time_is_not_waited_for() {
    let server = impatient_server();
    let mut connection = RawConnection::open(server.url());
    let head = head(&server) + &"X-More: x\r\n".repeat(1000);
    let mut bytes = head.bytes();
    // Each byte is progress, of a kind that would last for minutes.
    let began = std::time::Instant::now();
    while let Some(byte) = bytes.next()
        && connection.send(&[byte])
    {
        std::thread::sleep(Duration::from_millis(50));
        assert!(began.elapsed() < SOON, "the server still listens to one byte at a time");
    }
    assert!(connection.until_closed() < SOON);
    assert_well(&server, "a slow head");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = impatient_server();
    let head = head(&server);
    for (case, start) in [
        ("none of it", format!("{head}Content-Length: 100\r\n\r\n")),
        ("half of it", format!("{head}Content-Length: 100\r\n\r\n{{\"metrics\":[")),
        ("a chunk without its end", format!("{head}Transfer-Encoding: chunked\r\n\r\n10\r\nabc")),
        ("no last chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n")),
    ] {
        let mut connection = RawConnection::open(server.url());
        assert!(connection.send(start.as_bytes()));
        connection.outcome().answer().assert_problem(case, 408, "body_timeout");
        // What comes later is no request: the connection is over.
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        connection.until_closed();
        assert!(!connection.rest().starts_with(b"HTTP/1.1 200"), "{case}: the rest of a body was taken for a request");
    }
    assert_well(&server, "slow bodies");
}

#[test]
fn a_body_that_breaks_off_or_breaks_its_protocol_is_refused() {
    let server = Server::start();
    let head = head(&server);
    for (case, whole) in [
        ("shorter than announced", format!("{head}Content-Length: 100\r\n\r\n{{}}")),
        ("a chunk size that is none", format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n")),
        (
            "a chunk size beyond 64 bits",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{{}}\r\n"),
        ),
        ("a negative chunk size", format!("{head}Transfer-Encoding: chunked\r\n\r\n-2\r\n{{}}\r\n")),
        ("a chunk without its line end", format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}x0\r\n\r\n")),
        ("no chunk at all", format!("{head}Transfer-Encoding: chunked\r\n\r\n")),
    ] {
        let mut connection = RawConnection::open(server.url());
        assert!(connection.send(whole.as_bytes()), "{case}");
        connection.end_of_requests();
        match connection.outcome() {
            Outcome::Answered(answer) => answer.assert_problem(case, 400, "body_incomplete"),
            // Whoever has hung up may get no answer; but never one that says all is well.
            Outcome::Closed => {}
        }
        assert_well(&server, case);
    }
    assert_eq!(server.client("hostile").get("/api/v1/metrics").json()["metrics"], serde_json::json!([]));
}

#[test]
fn what_is_not_http_gets_400_or_nothing() {
    let server = Server::start();
    let head = head(&server);
    let long = "a".repeat(100_000);
    for (case, bytes) in [
        ("a word", "hello\r\n\r\n".to_owned()),
        ("TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03".repeat(20) + "\r\n\r\n"),
        ("NULs", "\0".repeat(5000)),
        ("HTTP/0.9", "GET /\r\n\r\n".to_owned()),
        ("HTTP/3", "GET / HTTP/3.0\r\n\r\n".to_owned()),
        ("a NUL in a header", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n".to_owned()),
        ("a header without a colon", "GET /healthz HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n".to_owned()),
        ("a space before the colon", format!("{head}Content-Length : 2\r\n\r\n{{}}")),
        ("a length that is none", format!("{head}Content-Length: many\r\n\r\n{{}}")),
        ("a negative length", format!("{head}Content-Length: -1\r\n\r\n")),
        ("a length beyond 64 bits", format!("{head}Content-Length: 99999999999999999999999\r\n\r\n")),
        ("two lengths", format!("{head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}x")),
        ("another transfer encoding", format!("{head}Transfer-Encoding: gzip\r\n\r\n{{}}")),
        ("an endless address", format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        ("an endless header", format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n")),
        ("two thousand headers", format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(2000))),
    ] {
        let mut connection = RawConnection::open(server.url());
        connection.send(bytes.as_bytes());
        connection.end_of_requests();
        if let Outcome::Answered(answer) = connection.outcome() {
            assert!(matches!(answer.status, 400 | 414 | 431 | 505), "{case}: {}", answer.status);
            answer.assert_nothing_internal(case);
        }
        assert_well(&server, case);
    }
}

/// What an early refusal leaves unread must never be taken for the next request.
#[test]
fn no_request_can_hide_in_a_body() {
    let server = impatient_server();
    let hidden = "GET /api/v1/hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let both = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        hidden.len() + 5
    );
    let refused = format!("POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len());
    let no_route = format!("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len());
    for (case, request) in [("both lengths", both), ("a refused token", refused), ("no such path", no_route)] {
        let mut connection = RawConnection::open(server.url());
        assert!(connection.send(request.as_bytes()));
        let mut statuses = Vec::new();
        while let Outcome::Answered(answer) = connection.outcome() {
            statuses.push(answer.status);
        }
        // A transfer encoding beside a length may be obeyed, and then the rest is a second request, or refused.
        let most = if case == "both lengths" { 2 } else { 1 };
        assert!(!statuses.is_empty() && statuses.len() <= most, "{case}: {statuses:?}");
    }
    assert_well(&server, "a hidden request");
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let server = impatient_server();
    let mut connections: Vec<RawConnection> = (0..4).map(|_| RawConnection::open(server.url())).collect();
    let ask = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
    for connection in &mut connections {
        // Answers of some megabytes, none of which is read; the server may stop taking requests.
        connection.send(&ask);
    }
    wait::until("clients that do not read are cut off", || {
        (server.metric("luminate_http_connections", "") <= 2.0).then_some(())
    });
    assert_well(&server, "clients that do not read");
}

#[test]
fn more_connections_than_there_may_be_wait_their_turn() {
    let config = format!("{IMPATIENT}  maxConnections: 8\n");
    let server = Server::start_with(ServerOptions { config, ..ServerOptions::default() });
    let idle: Vec<RawConnection> = (0..40).map(|_| RawConnection::open(server.url())).collect();
    assert_well(&server, "forty idle connections, eight allowed");
    assert!(process::open_files(server.pid()) < 200);
    drop(idle);
}

#[test]
fn paths_and_methods_that_there_are_not() {
    let server = Server::start();
    let client = server.client("acme");
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/write",
        "/api/v1/write/",
        "/api/v1//write",
        "/API/V1/WRITE",
        "/api/v1/../v1/write",
        "/api/v1/write%2f",
        "/api/v1/%00",
        "/%ff%fe",
        "/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/api/v1/admin",
        "/debug/pprof",
    ] {
        client.get(path).assert_problem(path, 404, "not_found");
    }
    for (method, path) in [
        ("GET", "/api/v1/write"),
        ("PUT", "/api/v1/write"),
        ("DELETE", "/api/v1/query"),
        ("POST", "/api/v1/metrics"),
        ("POST", "/metrics"),
        ("DELETE", "/healthz"),
        ("TRACE", "/api/v1/write"),
    ] {
        let answer = client.send(method, path, &[], b"").unwrap();
        answer.assert_problem(&format!("{method} {path}"), 405, "method_not_allowed");
        assert!(answer.headers.contains_key("allow"), "{method} {path}: 405 without Allow");
    }
    // A made-up method must not become a label of a metric.
    let mut connection = RawConnection::open(server.url());
    connection.send(b"FROBNICATE /api/v1/write HTTP/1.1\r\nHost: x\r\n\r\n");
    connection.outcome().answer().assert_problem("a made-up method", 405, "method_not_allowed");
    assert!(server.metric("luminate_http_requests_total", "FROBNICATE") < 1.0);
    assert!(server.metric("luminate_http_requests_total", "passwd") < 1.0, "a raw path is the label of a metric");
}

#[test]
fn ids_of_requests_come_back_and_carry_nothing_else() {
    let server = Server::start();
    let client = Client::new(server.url(), "");
    let id = |sent: &str| client.send("GET", "/nowhere", &[("X-Request-Id", sent)], b"").unwrap();
    let answer = id("my-request.7");
    assert_eq!(answer.headers["x-request-id"], "my-request.7");
    assert_eq!(answer.json()["instance"], "urn:luminate:request:my-request.7");
    for bad in ["<script>alert(1)</script>", "a b", "{\"a\":1}", &"x".repeat(129)] {
        let answer = id(bad);
        assert_ne!(answer.headers["x-request-id"], bad);
        assert!(!String::from_utf8_lossy(&answer.bytes).contains(bad));
    }
    assert!(server.log().lines().all(|line| line.starts_with('{')), "a line of the log is not JSON");
}
