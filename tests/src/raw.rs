//! A bare connection: for clients that break the rules of HTTP, or keep them too slowly.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::client::Answer;
use crate::wait::PATIENCE;

/// The most that is read of one answer, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A connection to a server, on which anything may be written.
pub struct RawConnection {
    stream: TcpStream,
    /// What was read and belongs to no answer yet.
    unread: Vec<u8>,
}

/// What came instead of, or as, an answer.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Answered(Answer),
    /// The server closed the connection without another byte of an answer.
    Closed,
}

impl Outcome {
    /// The answer, which must have come.
    pub fn answer(self) -> Answer {
        match self {
            Self::Answered(answer) => answer,
            Self::Closed => panic!("the connection was closed without an answer"),
        }
    }
}

impl RawConnection {
    /// Connects to `http://host:port`.
    pub fn open(url: &str) -> Self {
        let address = url.strip_prefix("http://").expect("an http URL");
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        Self { stream, unread: Vec::new() }
    }

    /// Writes bytes; whether the server still took them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says that nothing more will be written.
    pub fn end_of_requests(&self) {
        // A server that has closed already is seen at the next read.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next answer. Panics where neither an answer nor the end comes.
    pub fn outcome(&mut self) -> Outcome {
        let began = Instant::now();
        loop {
            if let Some(answer) = self.take_answer(false) {
                return Outcome::Answered(answer);
            }
            match self.read_more() {
                Read::Bytes | Read::NothingYet => {}
                Read::End => {
                    return self.take_answer(true).map_or(Outcome::Closed, Outcome::Answered);
                }
            }
            assert!(began.elapsed() < PATIENCE, "neither an answer nor the end after {PATIENCE:?}");
            assert!(self.unread.len() < MAX_ANSWER_BYTES, "an answer without end");
        }
    }

    /// The answer, if it has come by now.
    pub fn answer_so_far(&mut self) -> Option<Answer> {
        let _ = self.read_more();
        self.take_answer(false)
    }

    /// Waits until the server has closed the connection, and returns how long that took.
    pub fn until_closed(&mut self) -> Duration {
        let began = Instant::now();
        while !matches!(self.read_more(), Read::End) {
            assert!(began.elapsed() < PATIENCE, "the connection is still open after {PATIENCE:?}");
        }
        began.elapsed()
    }

    /// Everything that came and was not taken as an answer.
    pub fn rest(&self) -> &[u8] {
        &self.unread
    }

    fn read_more(&mut self) -> Read {
        let mut buffer = [0; 64 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => Read::End,
            Ok(read) => {
                self.unread.extend_from_slice(&buffer[..read]);
                Read::Bytes
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Read::NothingYet,
            Err(error) if error.kind() == ErrorKind::Interrupted => Read::NothingYet,
            // Closed with bytes of ours unread: whatever came before it has been read.
            Err(_) => Read::End,
        }
    }

    /// Takes one whole answer out of what was read; at the end of the connection one without a length is whole too.
    fn take_answer(&mut self, at_end: bool) -> Option<Answer> {
        let head_end = self.unread.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.unread[..head_end]).into_owned();
        let mut lines = head.split("\r\n");
        let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let body_at = head_end + 4;
        if (100..200).contains(&status) {
            // An interim answer: the one that counts comes behind it.
            self.unread.drain(..body_at);
            return self.take_answer(at_end);
        }
        let body_bytes = match headers.get("content-length") {
            Some(length) => length.parse().expect("a length"),
            None if at_end => self.unread.len() - body_at,
            None => return None,
        };
        if self.unread.len() < body_at + body_bytes {
            return None;
        }
        let bytes = self.unread[body_at..body_at + body_bytes].to_vec();
        self.unread.drain(..body_at + body_bytes);
        Some(Answer::new(status, headers, bytes))
    }
}

enum Read {
    Bytes,
    NothingYet,
    End,
}
