//! A schema registry for tests: the documented calls to register a schema and to read it by id, and ways to misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

/// How the registry answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Answer,
    /// With this status and no schema: 500, 429, ...
    Fail(u16),
    /// As it should, but only after this long.
    Slow(Duration),
    /// It closes the connection without an answer.
    HangUp,
}

/// A running registry; its thread ends when this is dropped.
pub struct SchemaRegistry {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listener: Mutex<Option<Listener>>,
}

struct Listener {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    behaviour: Behaviour,
    /// The schemas' texts by id; ids count from 1.
    schemas: BTreeMap<u32, String>,
    /// Ids of each subject's versions.
    subjects: BTreeMap<String, Vec<u32>>,
    requests: usize,
}

impl SchemaRegistry {
    /// Starts a registry without schemas on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("its address");
        let state = Arc::new(Mutex::new(State::default()));
        let listener = Mutex::new(Some(listen(socket, &state)));
        Self { address, state, listener }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Registers a schema, as the HTTP call does, and returns its id.
    pub fn register(&self, subject: &str, schema: &str) -> u32 {
        lock(&self.state).register(subject, schema)
    }

    /// Changes how it answers from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        lock(&self.state).behaviour = behaviour;
    }

    /// How many requests have come in, whatever was answered.
    pub fn requests(&self) -> usize {
        lock(&self.state).requests
    }

    /// Stops listening: connections are refused until [`come_back`](Self::come_back). Schemas are kept.
    pub fn go_away(&self) {
        if let Some(listener) = lock(&self.listener).take() {
            listener.ends.store(true, Ordering::SeqCst);
            // Wakes the thread, which waits for a connection.
            let _ = TcpStream::connect(self.address);
            let _ = listener.thread.join();
        }
    }

    /// Listens again at the same address.
    pub fn come_back(&self) {
        let mut listener = lock(&self.listener);
        if listener.is_none() {
            let socket = TcpListener::bind(self.address).expect("the registry's port is still free");
            *listener = Some(listen(socket, &self.state));
        }
    }
}

impl Drop for SchemaRegistry {
    fn drop(&mut self) {
        self.go_away();
    }
}

impl State {
    fn register(&mut self, subject: &str, schema: &str) -> u32 {
        let known = self.schemas.iter().find(|(_, text)| *text == schema).map(|(id, _)| *id);
        let id = known.unwrap_or(self.schemas.len() as u32 + 1);
        self.schemas.insert(id, schema.to_owned());
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        if !versions.contains(&id) {
            versions.push(id);
        }
        id
    }

    /// Status and body of the answer to a request.
    fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let path = path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, segments.as_slice()) {
            ("GET", ["schemas", "ids", id]) => {
                let schema = id.parse().ok().and_then(|id: u32| self.schemas.get(&id));
                match schema {
                    Some(schema) => (200, json!({"schema": schema})),
                    None => (404, json!({"error_code": 40403, "message": "Schema not found"})),
                }
            }
            ("POST", ["subjects", subject, "versions"]) => {
                let request: Value = serde_json::from_slice(body).unwrap_or_default();
                match request["schema"].as_str() {
                    Some(schema) => (200, json!({"id": self.register(subject, schema)})),
                    None => (422, json!({"error_code": 42201, "message": "Invalid schema"})),
                }
            }
            _ => (404, json!({"error_code": 404, "message": "HTTP 404 Not Found"})),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(socket: TcpListener, state: &Arc<Mutex<State>>) -> Listener {
    let ends = Arc::new(AtomicBool::new(false));
    let (state, flag) = (Arc::clone(state), Arc::clone(&ends));
    let thread = thread::spawn(move || {
        while let Ok((connection, _)) = socket.accept() {
            if flag.load(Ordering::SeqCst) {
                return;
            }
            let state = Arc::clone(&state);
            // A client that breaks off is its own business.
            thread::spawn(move || drop(serve(&connection, &state)));
        }
    });
    Listener { ends, thread }
}

/// Reads one request, answers it and closes the connection.
fn serve(connection: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;

    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let behaviour = {
        let mut state = lock(state);
        state.requests += 1;
        state.behaviour
    };
    let (status, answer) = match behaviour {
        Behaviour::HangUp => return Ok(()),
        Behaviour::Fail(status) => (status, json!({"error_code": 50001, "message": "Error in the backend data store"})),
        Behaviour::Answer => lock(state).answer(method, path, &body),
        Behaviour::Slow(delay) => {
            thread::sleep(delay);
            lock(state).answer(method, path, &body)
        }
    };
    let answer = answer.to_string();
    let mut connection = connection;
    write!(
        connection,
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )
}
