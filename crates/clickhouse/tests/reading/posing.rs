//! Servers that pose as replicas. None can be run here, so a way to a server without replicas answers for them what tells a program
//! that it speaks with a cluster, and hands everything else on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What was said, in the order in which it came: to which replica, by which user, which statement.
pub(crate) type Said = Arc<Mutex<Vec<(u16, String, String)>>>;

/// The only replicas of the only shard of a cluster.
pub(crate) struct Replicas {
    listening: BTreeMap<u16, JoinHandle<()>>,
    pub(crate) said: Said,
    /// The error that synchronising is answered with, if it is.
    pub(crate) refusal: Arc<Mutex<Option<&'static str>>>,
    /// The one that takes connections and answers nothing.
    pub(crate) frozen: Arc<Mutex<Option<u16>>>,
}

#[derive(Clone)]
struct Way {
    server: String,
    port: u16,
    ports: Vec<u16>,
    said: Said,
    refusal: Arc<Mutex<Option<&'static str>>>,
    frozen: Arc<Mutex<Option<u16>>>,
}

impl Replicas {
    /// Two of them, in front of the server at this URL.
    pub(crate) async fn two(server: &str) -> Self {
        let listeners =
            [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let (said, refusal, frozen) = (Said::default(), Arc::default(), Arc::default());
        let server = server.strip_prefix("http://").unwrap();
        let way = |port| Way {
            server: server.to_owned(),
            port,
            ports: ports.clone(),
            said: Arc::clone(&said),
            refusal: Arc::clone(&refusal),
            frozen: Arc::clone(&frozen),
        };
        let listening = listeners.into_iter().zip(&ports).map(|(listener, port)| {
            let way = way(*port);
            let listening = tokio::spawn(async move {
                // Connections end with this task.
                let mut running = JoinSet::new();
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    running.spawn(way.clone().hand_on(client));
                }
            });
            (*port, listening)
        });
        Self { listening: listening.collect(), said, refusal, frozen }
    }

    pub(crate) fn ports(&self) -> Vec<u16> {
        self.listening.keys().copied().collect()
    }

    /// One of them is gone.
    pub(crate) fn cut(&self, port: u16) {
        self.listening[&port].abort();
    }

    /// What was said since the last call, but for what tells of the cluster.
    pub(crate) fn said(&self) -> Vec<(u16, String, String)> {
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        said.into_iter()
            .filter(|(_, _, statement)| !statement.contains("system.") && !statement.contains("tcpPort"))
            .collect()
    }
}

impl Drop for Replicas {
    fn drop(&mut self) {
        self.listening.values().for_each(JoinHandle::abort);
    }
}

impl Way {
    /// Hands one request on, and ends the connection with its answer. Where anything breaks off, the client sees that.
    async fn hand_on(self, mut client: TcpStream) {
        if *self.frozen.lock().unwrap() == Some(self.port) {
            return std::future::pending().await;
        }
        let Some((head, body)) = read_request(&mut client).await else { return };
        let body = String::from_utf8(body).unwrap();
        let (before, statement, after) = statement_in(&body);
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let user = header("x-clickhouse-user").unwrap_or_default();
        self.said.lock().unwrap().push((self.port, user, statement.to_owned()));
        let refusal = *self.refusal.lock().unwrap();
        if statement.starts_with("SYSTEM SYNC REPLICA")
            && let Some(refusal) = refusal
        {
            let answer =
                format!("HTTP/1.1 500 No\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{refusal}", refusal.len());
            client.write_all(answer.as_bytes()).await.unwrap();
            return;
        }
        let body = format!("{before}{}{after}", self.instead_of(statement));
        let mut lines = head.lines();
        let mut request = format!("{}\r\n", lines.next().unwrap());
        // Users of tests do not exist in the server.
        let left_out = ["content-length", "transfer-encoding", "connection", "x-clickhouse-user", "x-clickhouse-key"];
        for line in lines.filter(|line| !left_out.iter().any(|name| line.to_ascii_lowercase().starts_with(name))) {
            request.push_str(&format!("{line}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()));
        let mut server = TcpStream::connect(&self.server).await.unwrap();
        server.write_all(request.as_bytes()).await.unwrap();
        // The client may have gone.
        let _ = copy(&mut server, &mut client).await;
    }

    fn instead_of(&self, statement: &str) -> String {
        let format =
            statement.rsplit_once(" FORMAT ").map(|(_, format)| format!(" FORMAT {format}")).unwrap_or_default();
        match () {
            () if statement.contains("FROM system.clusters") => {
                let replicas = self.ports.iter().map(|port| format!("SELECT 'only', '127.0.0.1', toUInt16({port})"));
                format!("SELECT * FROM ({}) {format}", replicas.collect::<Vec<_>>().join(" UNION ALL "))
            }
            () if statement.contains("FROM system.tables") => format!("SELECT 'ReplicatedMergeTree', 1 {format}"),
            () if statement.contains("tcpPort()") => format!("SELECT toUInt16({}) {format}", self.port),
            () if statement.starts_with("SYSTEM SYNC REPLICA") => "SELECT 1 FORMAT Null".to_owned(),
            () => statement.to_owned(),
        }
    }
}

/// The statement within a body, which is all of it, or one field of a form with parameters; and what stands around it.
fn statement_in(body: &str) -> (&str, &str, &str) {
    let Some(field) = body.find("name=\"query\"") else { return ("", body, "") };
    let begin = field + body[field..].find("\r\n\r\n").unwrap() + 4;
    let end = begin + body[begin..].find("\r\n--").unwrap();
    (&body[..begin], &body[begin..end], &body[end..])
}

/// Head and body of the only request of a connection.
async fn read_request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.lines().filter_map(|line| line.split_once(": "));
    let mut length = length.filter(|(key, _)| key.eq_ignore_ascii_case("content-length")).map(|(_, value)| value);
    let length: usize = length.next().expect("statements are sent with their length").parse().unwrap();
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        client.read_buf(&mut body).await.ok().filter(|read| *read > 0)?;
    }
    Some((head, body))
}
