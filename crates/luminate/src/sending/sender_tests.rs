#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use clap::Parser;

use super::*;

/// A request as the scripted server saw it.
#[derive(Debug, PartialEq)]
struct Seen {
    key: String,
    body: String,
}

/// Answers one request after the other with the scripted statuses, extra headers and bodies. An empty script entry hangs up
/// without an answer.
fn scripted_server(script: Vec<&'static str>) -> (String, JoinHandle<Vec<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut seen = Vec::new();
        for answer in script {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut key, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end().split_once(": ") {
                    Some((name, value)) if name.eq_ignore_ascii_case("idempotency-key") => key = value.to_owned(),
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.parse().unwrap()
                    }
                    Some(_) => {}
                    None if line.trim_end().is_empty() => break,
                    None => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            seen.push(Seen { key, body: String::from_utf8(body).unwrap() });
            if let Some((head, body)) = answer.split_once('|') {
                let length = body.len();
                let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                (&stream).write_all(answer.as_bytes()).unwrap();
            }
        }
        seen
    });
    (url, server)
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    sending: SendingArgs,
}

fn sender(url: &str, flags: &[&str]) -> (Sender, SendingArgs) {
    let args = Line::parse_from(std::iter::once("send").chain(flags.iter().copied())).sending;
    (Sender::new(ServerClient::new(url, Some("t".to_owned())).unwrap(), &args), args)
}

fn batch(samples: &[&str]) -> Batch {
    let mut batch = Batch::default();
    for (sample, line) in samples.iter().zip(10..) {
        batch.add(sample.as_bytes(), line);
    }
    batch
}

const ACCEPTED: &str = r#"202 Accepted|{"accepted":1,"rejected":0,"errors":[],"receipt":null}"#;

#[test]
fn a_busy_server_and_a_lost_answer_are_repeated_under_the_same_key() {
    let busy = "503 Service Unavailable\r\nRetry-After: 0|{}";
    let (url, server) = scripted_server(vec![ACCEPTED, busy, "", ACCEPTED]);
    let (mut sender, _) = sender(&url, &[]);
    let progress = Progress::new(None);
    sender.send(&batch(&["{1}"]), &progress).unwrap();
    sender.send(&batch(&["{2}"]), &progress).unwrap();
    assert_eq!((sender.accepted, sender.repeated), (2, 2));
    let seen = server.join().unwrap();
    assert_eq!(seen[1..].iter().map(|seen| seen.body.as_str()).collect::<Vec<_>>(), ["{2}\n"; 3]);
    assert!(!seen[1].key.is_empty() && seen[1..].iter().all(|request| request.key == seen[1].key));
    assert_ne!(seen[0].key, seen[1].key);
}

#[test]
fn a_request_without_a_valid_sample_is_all_rejects() {
    let nothing_valid =
        r#"400 Bad Request|{"title":"t","code":"c","errors":[{"index":1,"code":"invalid_name","detail":"d"}]}"#;
    let (url, server) = scripted_server(vec![nothing_valid, ACCEPTED]);
    let (mut sender, args) = sender(&url, &[]);
    let progress = Progress::new(None);
    sender.send(&batch(&["{1}", "{2}"]), &progress).unwrap();
    sender.send(&batch(&["{3}"]), &progress).unwrap();
    server.join().unwrap();
    let failure = sender.finish(&args, 0).unwrap_err();
    assert_eq!((failure.to_string().as_str(), failure.exit_code()), ("2 of 3 samples were rejected", 5));
}

#[test]
fn a_refusal_is_not_repeated() {
    let (url, server) = scripted_server(vec![r#"401 Unauthorized|{"title":"t","code":"token_expired"}"#]);
    let (mut sender, _) = sender(&url, &[]);
    let error = sender.send(&batch(&["{1}"]), &Progress::new(None)).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.exit_code(), 4);
}

#[test]
fn repeating_ends_after_the_time_given() {
    let (url, server) = scripted_server(vec!["503 Service Unavailable\r\nRetry-After: 60|{}"]);
    let (mut sender, _) = sender(&url, &["--retry-for", "1s"]);
    let error = sender.send(&batch(&["{1}"]), &Progress::new(None)).unwrap_err();
    server.join().unwrap();
    assert!(matches!(error, ClientError::Refused { status: 503, .. }), "{error}");
}

#[test]
fn a_server_that_never_answered_is_unreachable_at_once() {
    let url = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (mut sender, _) = sender(&url, &[]);
    let error = sender.send(&batch(&["{1}"]), &Progress::new(None)).unwrap_err();
    assert_eq!(error.exit_code(), 3);
}
