//! The threads of a gate: one that accepts, and those of each connection, which end with it.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Fate, Watch};

/// A port of our own before that of an engine's node.
pub(super) struct Gate {
    address: String,
    closed: Arc<AtomicBool>,
}

/// One connection through a gate.
pub(super) struct Connection {
    pub(super) client: TcpStream,
    pub(super) server: TcpStream,
    /// Ports of the engine's nodes, and ours in place of them.
    pub(super) ports: Arc<BTreeMap<u16, u16>>,
    pub(super) watch: Arc<Watch>,
}

impl Gate {
    /// Opens a gate before each of an engine's nodes; `relay` takes each connection to its end.
    pub(super) fn open(nodes: &[&str], watch: &Arc<Watch>, relay: fn(Connection) -> io::Result<()>) -> Vec<Self> {
        let listeners = nodes.iter().map(|node| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let own = listener.local_addr().expect("an address").port();
            let (_, port) = node.rsplit_once(':').expect("host:port");
            (listener, (port.parse().expect("a port"), own))
        });
        let (listeners, ports): (Vec<_>, BTreeMap<u16, u16>) = listeners.unzip();
        let ports = Arc::new(ports);
        let gates = nodes.iter().zip(listeners);
        gates.map(|(node, listener)| Self::before((*node).to_owned(), listener, &ports, watch, relay)).collect()
    }

    fn before(
        node: String,
        listener: TcpListener,
        ports: &Arc<BTreeMap<u16, u16>>,
        watch: &Arc<Watch>,
        relay: fn(Connection) -> io::Result<()>,
    ) -> Self {
        let address = listener.local_addr().expect("an address").to_string();
        let closed = Arc::new(AtomicBool::new(false));
        let (ports, watch, is_closed) = (Arc::clone(ports), Arc::clone(watch), Arc::clone(&closed));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_closed.load(Ordering::Acquire) {
                    break;
                }
                // An engine that is gone closes the door: the client comes again.
                let Ok(server) = TcpStream::connect(&node) else { continue };
                let connection = Connection { client, server, ports: Arc::clone(&ports), watch: Arc::clone(&watch) };
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
        Self { address, closed }
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
