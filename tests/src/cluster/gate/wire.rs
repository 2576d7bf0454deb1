//! The threads of a gate: one that accepts, and those of each connection, which end with it.

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Fate, Watch};

/// A port of our own before an engine's.
pub(super) struct Gate {
    address: String,
    closed: Arc<AtomicBool>,
}

/// One connection through a gate.
pub(super) struct Connection {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
    /// Port of the engine, and ours in place of it.
    pub(super) ports: (u16, u16),
    pub(super) watch: Arc<Watch>,
}

impl Gate {
    /// Opens a gate before `server`; `relay` takes each connection to its end.
    pub(super) fn open(server: &str, watch: &Arc<Watch>, relay: fn(Connection) -> io::Result<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let own = listener.local_addr().expect("an address").port();
        let (_, port) = server.rsplit_once(':').expect("host:port");
        let ports = (port.parse().expect("a port"), own);
        let closed = Arc::new(AtomicBool::new(false));
        let (server, watch, is_closed) = (server.to_owned(), Arc::clone(watch), Arc::clone(&closed));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_closed.load(Ordering::Acquire) {
                    break;
                }
                // An engine that is gone closes the door: the client comes again.
                let Ok(server) = TcpStream::connect(&server) else { continue };
                let connection = Connection { client, server, ports, watch: Arc::clone(&watch) };
                std::thread::spawn(move || {
                    let (client, server) = (connection.client.try_clone(), connection.server.try_clone());
                    // However it ended, both sides are told.
                    let _ended = relay(connection);
                    for side in [client, server].into_iter().flatten() {
                        let _ = side.shutdown(Shutdown::Both);
                    }
                });
            }
        });
        Self { address: format!("127.0.0.1:{own}"), closed }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(&self.address);
    }
}

/// Sends bytes as their fate is; an error where the connection ends with it.
pub(super) fn forward(to: &mut TcpStream, bytes: &[u8], fate: Fate) -> io::Result<()> {
    match fate {
        Fate::Pass => to.write_all(bytes),
        Fate::BreakOff => {
            to.write_all(&bytes[..bytes.len() / 2])?;
            Err(io::Error::from(io::ErrorKind::ConnectionAborted))
        }
        Fate::CutOff => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
    }
}
