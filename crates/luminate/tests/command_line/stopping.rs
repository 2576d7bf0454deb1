//! Starting and stopping.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::server::{Server, luminate, run};

#[test]
fn a_second_server_on_the_same_folder_says_so_and_ends() {
    let server = Server::start();
    let mut command = luminate(&["serve", "--listen", "127.0.0.1:0"]);
    command.arg("--data").arg(server.data());
    let ran = run(command, "");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.messages.contains("in use by another process"), "{ran:?}");
}

#[test]
fn a_second_server_on_the_same_port_touches_no_data() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = luminate(&["serve", "--listen", server.url().trim_start_matches("http://")]);
    command.arg("--data").arg(&data);
    let ran = run(command, "");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.messages.contains("another process has the port"), "{ran:?}");
    assert!(!data.exists());
}

#[test]
fn a_stop_is_orderly_and_what_was_acknowledged_is_there_again() {
    let server = Server::start();
    server.run(&["write"], &crate::writing::samples(1000)).done();
    let data = server.data();
    let kept = tempfile::tempdir().unwrap();
    let (status, log) = server.stop_and(|| std::fs::rename(&data, kept.path().join("data")).unwrap());
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("\"stopped\"") && !log.contains("\"level\":\"ERROR\""), "{log}");

    // A store that was closed in order opens again, with everything.
    let mut command = luminate(&["serve", "--listen", "127.0.0.1:0"]);
    let address = kept.path().join("address");
    command.arg("--data").arg(kept.path().join("data")).arg("--address-file").arg(&address);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let address = loop {
        if let Ok(address) = std::fs::read_to_string(&address) {
            break address;
        }
        assert!(child.try_wait().unwrap().is_none(), "the server ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let mut token = luminate(&["token", "--tenant", "acme"]);
    token.arg("--data").arg(kept.path().join("data"));
    let token = run(token, "").done().data;
    let mut query = luminate(&["query", "-m", "m", "-a", "count", "--last", "52w", "--json"]);
    query.env("LUMINATE_URL", format!("http://{}", address.trim())).env("LUMINATE_TOKEN", token.trim());
    let counted = run(query, "").done();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(counted.json()["results"][0]["value"], 1000, "{counted:?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = Server::start();
    // A request whose body does not come keeps the first, orderly stop waiting.
    let mut stream = std::net::TcpStream::connect(server.url().trim_start_matches("http://")).unwrap();
    let token = server.token("acme", "write");
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 10\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    server.wait_for_log("ready");
    server.terminate();
    server.wait_for_log("finishing requests");
    server.terminate();
    let began = Instant::now();
    let status = server.wait();
    assert_eq!(status.code(), Some(143), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
}
