//! The ordered stop: requests that were accepted are answered, what was acknowledged is stored, and it ends when it should.

use std::os::unix::process::ExitStatusExt as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use luminate_tests::samples::SampleMaker;
use luminate_tests::server::token;
use luminate_tests::{Client, Outcome, RawConnection, Server, ServerOptions, wait};

/// How long a stop takes at most where nothing is in its way; a tenth of what it may take for clients that are.
const PROMPT: Duration = Duration::from_secs(5);

fn server_with(config: &str) -> Server {
    Server::start_with(ServerOptions { config: config.to_owned(), ..ServerOptions::default() })
}

/// A write request in two halves.
struct HalfSent {
    connection: RawConnection,
    rest: Vec<u8>,
}

impl HalfSent {
    fn begin(server: &Server, metric: &str) -> Self {
        let body = SampleMaker::new(7).body(metric, 10).0.to_string().into_bytes();
        let host = server.url().trim_start_matches("http://");
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            token("acme", "read,write"),
            body.len()
        );
        let (first, rest) = body.split_at(body.len() / 2);
        let mut connection = RawConnection::open(server.url());
        assert!(connection.send(&[head.as_bytes(), first].concat()));
        // The server holds the half that it has: now it knows of the request.
        wait::until("half a body is in flight", || {
            (server.metric("luminate_http_body_bytes_in_flight", "") > 0.0).then_some(())
        });
        Self { connection, rest: rest.to_vec() }
    }

    fn finish(mut self) -> Outcome {
        self.connection.send(&self.rest);
        self.connection.outcome()
    }
}

#[test]
fn a_request_that_was_begun_is_finished_and_stored() {
    let mut server = server_with("lifecycle:\n  stopDelay: 1s\n");
    let request = HalfSent::begin(&server, "half");
    server.signal(libc::SIGTERM);
    let probe = Client::new(server.url(), "");
    wait::until("it says that it takes no more", || (probe.get("/readyz").status == 503).then_some(()));
    assert_eq!(probe.get("/healthz").status, 200, "it lives");
    let health = probe.get("/api/v1/health");
    assert_eq!((health.status, health.json()["status"].as_str()), (503, Some("draining")));

    let answer = request.finish().answer();
    assert_eq!(answer.status, 202, "{}", answer.json());
    assert!(server.wait_end().success());
    server.start_again();
    let receipt = answer.json()["receipt"].as_str().unwrap().to_owned();
    assert_eq!(server.client("acme").count(Some(&receipt), "half"), 10);
}

#[test]
fn a_stop_under_load_leaves_nothing_in_doubt_that_was_acknowledged() {
    let mut server = server_with("");
    let maker = Mutex::new(SampleMaker::new(21));
    let acknowledged = Mutex::new(Vec::new());
    let unanswered = Mutex::new(Vec::new());
    let client = server.client("acme");
    let status = std::thread::scope(|scope| {
        for _ in 0..8 {
            let client = client.clone();
            scope.spawn(|| {
                let client = client;
                loop {
                    let (body, numbers) = maker.lock().unwrap().body("load", 40);
                    match client.write(&body) {
                        Ok(answer) if answer.status == 202 => acknowledged.lock().unwrap().push(numbers),
                        // Refused whole.
                        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.json()),
                        Err(_) => {
                            unanswered.lock().unwrap().push(numbers);
                            return;
                        }
                    }
                }
            });
        }
        wait::until("there is load", || (acknowledged.lock().unwrap().len() > 100).then_some(()));
        server.stop()
    });
    assert!(status.success(), "{status}");

    server.start_again();
    let client = server.client("acme");
    let receipt = client.write_all(&maker.lock().unwrap().body("last", 1).0);
    let stored = client.count_by(Some(&receipt), "load", "n");
    let times = |number: u64| stored.get(&number.to_string()).copied().unwrap_or_default();
    for number in acknowledged.into_inner().unwrap().into_iter().flatten() {
        assert_eq!(times(number), 1, "acknowledged sample {number}");
    }
    for numbers in unanswered.into_inner().unwrap() {
        // Each request was answered, or its connection closed before it was read.
        let found: Vec<u64> = numbers.map(times).filter(|times| *times > 0).collect();
        assert!(found.is_empty(), "a request that was stored was not answered");
    }
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let mut server = server_with("");
    let mut idle: Vec<RawConnection> = (0..20).map(|_| RawConnection::open(server.url())).collect();
    for connection in idle.iter_mut().take(10) {
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(connection.outcome().answer().status, 200);
    }
    let began = Instant::now();
    assert!(server.stop().success());
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    for connection in &mut idle {
        connection.until_closed();
    }
}

#[test]
fn a_client_that_never_finishes_holds_it_up_for_a_bounded_time_only() {
    let mut server = server_with("lifecycle:\n  finishRequestsTimeout: 1s\n");
    let receipt = server.client("acme").write_all(&SampleMaker::new(3).body("before", 10).0);
    let mut request = HalfSent::begin(&server, "never");
    let began = Instant::now();
    server.signal(libc::SIGTERM);
    let _ = server.wait_end();
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    assert!(matches!(request.connection.outcome(), Outcome::Closed));
    server.start_again();
    assert_eq!(server.client("acme").count(Some(&receipt), "before"), 10);
    assert_eq!(server.client("acme").count(None, "never"), 0);
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let mut server = server_with("lifecycle:\n  stopDelay: 60s\n");
        let receipt = server.client("acme").write_all(&SampleMaker::new(4).body("before", 10).0);
        server.signal(signal);
        let probe = Client::new(server.url(), "");
        wait::until("it is stopping", || (probe.get("/readyz").status == 503).then_some(()));
        let began = Instant::now();
        server.signal(signal);
        let status = server.wait_end();
        assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
        assert_eq!(status.code().or_else(|| status.signal().map(|signal| 128 + signal)), Some(code));
        server.start_again();
        assert_eq!(server.client("acme").count(Some(&receipt), "before"), 10);
    }
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let server = Server::start();
    let receipt = server.client("acme").write_all(&SampleMaker::new(5).body("mine", 10).0);
    let mut second =
        Server::prepare(ServerOptions { data: Some(server.data().to_owned()), ..ServerOptions::default() });
    second.spawn();
    let status = second.wait_end();
    assert!(!status.success());
    let log = second.log();
    assert!(log.contains(&server.data().display().to_string()), "it does not name the folder: {log}");
    assert_eq!(server.client("acme").count(Some(&receipt), "mine"), 10, "the first is unharmed");
}
