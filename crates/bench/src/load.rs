//! Sending the load: as fast as a server takes it, or at a fixed rate.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::latencies::Latencies;
use crate::wire::{Answer, Connection};
use crate::workload::Request;

/// Connections of the load at full speed.
const CONNECTIONS: usize = 4;

/// Connections of the load at a fixed rate: enough that one slow answer does not hold the next request back.
const PACED_CONNECTIONS: usize = 16;

/// Where a server takes samples.
#[derive(Debug, Clone)]
pub struct Door {
    /// The server's name, for messages.
    pub name: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// The path of write requests.
    pub path: &'static str,
    /// The status of a write that was taken whole.
    pub status: u16,
    /// Header lines of a write, each ended by CR LF, by the number of the tenant.
    pub headers: Vec<String>,
}

impl Door {
    /// Writes one request; where the server pushes back, again until it is taken.
    ///
    /// # Errors
    /// Where the server refuses it, or has been pushing back for a minute.
    pub fn write(&self, connection: &mut Connection, request: &Request) -> anyhow::Result<Answer> {
        let headers = self.headers.get(request.tenant as usize).map_or("", String::as_str);
        // A full queue is a server's way to push back: the same request again, a moment later.
        for _ in 0..600 {
            let answer = connection.request("POST", self.path, headers, &request.body)?;
            match answer.status {
                status if status == self.status => return Ok(answer),
                503 | 429 => std::thread::sleep(Duration::from_millis(100)),
                status => {
                    let body = String::from_utf8_lossy(&answer.body);
                    let begin: String = body.chars().take(500).collect();
                    bail!("{} answered a write with {status}: {begin}", self.name)
                }
            }
        }
        bail!("{} refused a write for a minute", self.name)
    }
}

/// Sends all requests as fast as the server takes them; returns how long that took.
///
/// # Errors
/// As [`Door::write`].
pub fn send_all(door: &Door, requests: &[Request]) -> anyhow::Result<Duration> {
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    in_threads(CONNECTIONS, || {
        let mut connection = Connection::open(door.address)?;
        while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
            door.write(&mut connection, request)?;
        }
        Ok(())
    })?;
    Ok(began.elapsed())
}

/// Sends all requests at a fixed rate of samples a second. Each latency counts from the moment at which the request was due,
/// so that a server that falls behind cannot hide it.
///
/// # Errors
/// As [`Door::write`].
pub fn send_paced(door: &Door, requests: &[Request], rate: u64) -> anyhow::Result<Latencies> {
    let mut due = Vec::with_capacity(requests.len());
    let mut samples = 0;
    for request in requests {
        due.push(Duration::from_secs_f64(samples as f64 / rate as f64));
        samples += request.samples;
    }
    let next = AtomicUsize::new(0);
    let latencies = Mutex::new(Vec::with_capacity(requests.len()));
    let began = Instant::now();
    in_threads(PACED_CONNECTIONS, || {
        let mut connection = Connection::open(door.address)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((request, due)) = requests.get(at).zip(due.get(at)) else { return Ok(()) };
            std::thread::sleep(due.saturating_sub(began.elapsed()));
            door.write(&mut connection, request)?;
            let latency = began.elapsed().saturating_sub(*due);
            if let Ok(mut latencies) = latencies.lock() {
                latencies.push(latency);
            }
        }
    })?;
    Ok(Latencies::new(latencies.into_inner().unwrap_or_default()))
}

/// Does the same in so many threads, and waits for all of them.
fn in_threads(threads: usize, work: impl Fn() -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<()>>| {
            thread.join().unwrap_or_else(|_| bail!("a thread of the load panicked"))
        };
        threads.into_iter().try_for_each(join)
    })
}
