//! ClickHouse's HTTP interface: one request after the other on a connection, each read whole before it goes on.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::TcpStream;

use super::wire::{Connection, forward};
use super::{Fate, Half, Step};

/// Takes a connection to its end.
pub(super) fn relay(connection: Connection) -> io::Result<()> {
    let Connection { mut client, mut server, watch, .. } = connection;
    let (mut requests, mut answers) = (BufReader::new(client.try_clone()?), BufReader::new(server.try_clone()?));
    while let Some(request) = message(&mut requests)? {
        let step = step(&request);
        let admit = |half| step.map_or(Fate::Pass, |step| watch.admit(step, half));
        forward(&mut server, &request, admit(Half::Request))?;
        let answer = message(&mut answers)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        forward(&mut client, &answer, admit(Half::Answer))?;
    }
    Ok(())
}

/// Which step of the protocol a writer's request is. An insert's statement stands in its first line, a query's in its body.
fn step(request: &[u8]) -> Option<Step> {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let line = head.lines().next().unwrap_or_default();
    if line.contains("INSERT") && line.contains(".samples") {
        return Some(Step::Insert);
    }
    match body {
        _ if body.contains(" AS slice") => Some(Step::Count),
        _ if body.contains(".erasures") => Some(Step::Ledger),
        _ => None,
    }
}

/// The next request or answer, whole; none where the connection has ended.
fn message(from: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let start = message.len();
        if from.read_until(b'\n', &mut message)? == 0 {
            return if message.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let line = String::from_utf8_lossy(&message[start..]).trim().to_ascii_lowercase();
        if let Some(("content-length", value)) = line.split_once(": ") {
            length = value.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        }
        is_chunked |= line == "transfer-encoding: chunked";
        if line.is_empty() {
            break;
        }
    }
    if is_chunked {
        while read_chunk(from, &mut message)? {}
    } else {
        read_bytes(from, &mut message, length)?;
    }
    Ok(Some(message))
}

/// The next chunk; false after the last one.
fn read_chunk(from: &mut BufReader<TcpStream>, message: &mut Vec<u8>) -> io::Result<bool> {
    let start = message.len();
    from.read_until(b'\n', message)?;
    let size = String::from_utf8_lossy(&message[start..]).trim().to_owned();
    let size = usize::from_str_radix(&size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
    // Its end has two bytes, as has the end of all chunks.
    read_bytes(from, message, size + 2)?;
    Ok(size > 0)
}

fn read_bytes(from: &mut BufReader<TcpStream>, message: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let start = message.len();
    message.resize(start + count, 0);
    from.read_exact(&mut message[start..])
}
