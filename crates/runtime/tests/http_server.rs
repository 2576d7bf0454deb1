//! The server over real sockets: slow and greedy clients, limits, and the drain.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use luminate_runtime::http::{
    BodyLimits, HttpConfig, HttpServer, MemoryBudget, Problem, probe_routes, read_limited, with_standard_layers,
};
use luminate_runtime::lifecycle::{Identity, Lifecycle, LifecycleConfig, StopReason, StopReport};
use luminate_runtime::telemetry::{Metrics, Process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Long enough for a loaded machine; no test waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A deadline that is met soon.
const SOON: Duration = Duration::from_millis(200);

/// More than sockets buffer, so that a client must read for an answer to be sent.
const LARGE_BYTES: usize = 32 * 1024 * 1024;

#[derive(Clone, Default)]
struct Handlers {
    /// Requests to `/wait` that have come.
    waiting: Arc<AtomicUsize>,
    arrived: Arc<Notify>,
    /// Permits for them to go on.
    may_go: Arc<Gate>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

struct Server {
    address: SocketAddr,
    handlers: Handlers,
    lifecycle: Lifecycle,
    running: JoinHandle<StopReport>,
}

async fn start(configure: impl FnOnce(&mut HttpConfig)) -> Server {
    let mut config = HttpConfig { listen: "127.0.0.1:0".to_owned(), ..HttpConfig::default() };
    configure(&mut config);
    let limits = BodyLimits { max_bytes: 1000, deadline: config.body_timeout.get() };
    let metrics = Metrics::new(&[Process::Gateway]).unwrap();
    let identity = Identity { service: "test", version: "0" };
    let lifecycle = Lifecycle::new(identity, LifecycleConfig::default(), metrics.clone());
    let handlers = Handlers::default();
    let routes = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/wait", get(wait))
        .route("/large", get(|| async { Body::from(vec![b'x'; LARGE_BYTES]) }))
        .route("/body", post(move |headers: HeaderMap, body: Body| body_size(headers, body, limits)))
        .with_state(handlers.clone())
        .merge(probe_routes(&lifecycle));
    let server = HttpServer::bind(&config).await.unwrap();
    let address = server.local_addr();
    server.start(with_standard_layers(routes, &metrics), &lifecycle);
    lifecycle.set_ready();
    let running = tokio::spawn({
        let lifecycle = lifecycle.clone();
        async move { lifecycle.run_until_stopped().await }
    });
    Server { address, handlers, lifecycle, running }
}

async fn wait(State(handlers): State<Handlers>) -> &'static str {
    handlers.waiting.fetch_add(1, Ordering::SeqCst);
    handlers.arrived.notify_one();
    handlers.may_go.0.acquire().await.unwrap().forget();
    "done"
}

async fn body_size(headers: HeaderMap, body: Body, limits: BodyLimits) -> Result<String, Problem> {
    let read = read_limited(&headers, body, &limits, &MemoryBudget::new(10_000)).await?;
    Ok(format!("{} bytes", read.bytes.len()))
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn stop(&self) {
        self.lifecycle.request_stop(StopReason::Requested("test".to_owned()));
    }

    async fn refuses_connections(&self) {
        timeout(PATIENCE, async {
            while TcpStream::connect(self.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("new connections are refused");
    }

    async fn ended(self) -> StopReport {
        timeout(PATIENCE, self.running).await.expect("the server ends").unwrap()
    }
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Everything until the server closes. A reset counts as closing: unread bytes of ours turn a close into one.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match timeout(PATIENCE, stream.read(&mut buffer)).await.expect("the server closes") {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// One answer whose body is this text, over a connection that stays open.
async fn read_answer(stream: &mut TcpStream, body: &str) -> String {
    read_until(stream, &format!("\r\n\r\n{body}")).await
}

/// What comes until it ends so.
async fn read_until(stream: &mut TcpStream, ending: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(ending) {
        let mut buffer = [0; 4096];
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an answer").unwrap();
        assert_ne!(count, 0, "closed after: {text}");
        text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    text
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_cut() {
    let server = start(|config| config.header_timeout = SOON.into()).await;
    for beginning in ["", "G", "GET / HTTP/1.1\r\nho", "PRI * HTTP/2.0\r\n"] {
        let began = Instant::now();
        let mut stream = server.connect().await;
        send(&mut stream, beginning).await;
        let answer = read_to_end(&mut stream).await;
        assert!(!answer.contains("200 OK"), "{beginning:?}: {answer}");
        assert!(began.elapsed() >= SOON, "{beginning:?} was cut at once");
    }
}

#[tokio::test]
async fn one_byte_at_a_time_buys_no_time() {
    let server = start(|config| config.header_timeout = SOON.into()).await;
    let stream = server.connect().await;
    let (mut reading, mut writing) = stream.into_split();
    let trickle = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SOON / 10);
        for byte in format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(10_000)).bytes() {
            ticks.tick().await;
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = Vec::new();
    // Whether it ends with a close or a reset does not matter; that it ends does.
    let _ = timeout(PATIENCE, reading.read_to_end(&mut buffer)).await.expect("it is cut");
    assert!(buffer.is_empty());
    trickle.abort();
}

#[tokio::test]
async fn a_second_head_must_come_soon_as_well() {
    let server = start(|config| config.header_timeout = SOON.into()).await;
    let mut stream = server.connect().await;
    send(&mut stream, GET).await;
    read_answer(&mut stream, "hello").await;
    // It idles for longer than a head may take, which is allowed, and begins one then.
    tokio::time::sleep(3 * SOON).await;
    send(&mut stream, "GET / HT").await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time_and_not_before() {
    let server = start(|config| {
        config.header_timeout = (SOON / 4).into();
        config.idle_timeout = SOON.into();
    })
    .await;
    let mut stream = server.connect().await;
    send(&mut stream, GET).await;
    read_answer(&mut stream, "hello").await;
    let idle_since = Instant::now();
    assert_eq!(read_to_end(&mut stream).await, "");
    assert!(idle_since.elapsed() >= SOON / 2, "idling is allowed longer than a head");
}

#[tokio::test]
async fn a_slow_body_is_answered_408() {
    let server = start(|config| config.body_timeout = SOON.into()).await;
    let mut stream = server.connect().await;
    send(&mut stream, "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\"code\":\"body_timeout\""), "{answer}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_413_before_it_is_sent() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    send(&mut stream, "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n").await;
    let answer = read_until(&mut stream, "\"}").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"limit\":1000") && answer.contains("\"size\":1001"), "{answer}");
}

#[tokio::test]
async fn a_client_that_sends_first_and_listens_then_still_learns_why() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    let size = 8 * 1024 * 1024;
    send(&mut stream, &format!("POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n")).await;
    // More than sockets buffer: it can only be sent if somebody reads it.
    stream.write_all(&vec![b'x'; size]).await.unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let answers = read_to_end(&mut stream).await;
    assert!(answers.starts_with("HTTP/1.1 413 "), "{answers}");
    assert!(answers.ends_with("hello"), "the connection goes on: {answers}");
}

#[tokio::test]
async fn a_client_that_asks_first_sends_nothing() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    let head = "POST /body HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5000\r\n\r\n";
    send(&mut stream, head).await;
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    send(&mut stream, "POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await;
    drop(stream);
    let mut stream = server.connect().await;
    send(&mut stream, GET).await;
    read_answer(&mut stream, "hello").await;
}

#[tokio::test]
async fn connections_over_the_cap_wait_for_one_to_end() {
    let server = start(|config| config.max_connections = NonZeroU32::new(1).unwrap()).await;
    let mut first = server.connect().await;
    send(&mut first, GET).await;
    read_answer(&mut first, "hello").await;
    let mut second = server.connect().await;
    send(&mut second, "GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    // Time in which the second would be served if it could.
    for _ in 0..50 {
        send(&mut first, GET).await;
        read_answer(&mut first, "hello").await;
    }
    assert_eq!(server.handlers.waiting.load(Ordering::SeqCst), 0);
    server.handlers.may_go.0.add_permits(1);
    drop(first);
    assert!(read_to_end(&mut second).await.ends_with("done"));
    assert_eq!(server.handlers.waiting.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_drain_finishes_the_requests_that_were_accepted() {
    let server = start(|_| {}).await;
    let mut idle = server.connect().await;
    send(&mut idle, GET).await;
    read_answer(&mut idle, "hello").await;
    let mut busy = server.connect().await;
    send(&mut busy, "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    timeout(PATIENCE, server.handlers.arrived.notified()).await.unwrap();

    server.stop();
    server.refuses_connections().await;
    assert_eq!(read_to_end(&mut idle).await, "", "an idle connection is closed at once");
    assert!(!server.running.is_finished(), "a request is in flight");
    server.handlers.may_go.0.add_permits(1);
    let answer = read_to_end(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("done"), "{answer}");
    assert_eq!(server.ended().await.failures, Vec::<String>::new());
}

#[tokio::test]
async fn a_drain_waits_for_answers_to_be_read() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    server.stop();
    server.refuses_connections().await;
    // Longer than a connection without requests gets to say goodbye.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let answer = read_to_end(&mut stream).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), LARGE_BYTES);
    assert_eq!(server.ended().await.failures, Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_given_up() {
    let server = start(|config| {
        config.write_timeout = SOON.into();
        config.max_connections = NonZeroU32::new(1).unwrap();
    })
    .await;
    let mut greedy = server.connect().await;
    send(&mut greedy, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // It holds the only connection until it is cut.
    let mut other = server.connect().await;
    send(&mut other, GET).await;
    read_answer(&mut other, "hello").await;
    drop(greedy);
}

#[tokio::test]
async fn http2_is_served_and_drained() {
    let server = start(|_| {}).await;
    let stream = TokioIo::new(server.connect().await);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let uri = |path: &str| format!("http://{}{path}", server.address);
    let request = |path: &str| http::Request::get(uri(path)).body(Empty::<Bytes>::new()).unwrap();
    let answer = client.send_request(request("/")).await.unwrap();
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");

    let waiting = tokio::spawn(client.send_request(request("/wait")));
    timeout(PATIENCE, server.handlers.arrived.notified()).await.unwrap();
    server.stop();
    server.refuses_connections().await;
    server.handlers.may_go.0.add_permits(1);
    let answer = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "done");
    timeout(PATIENCE, driving).await.expect("the connection ends").unwrap().unwrap();
    assert_eq!(server.ended().await.failures, Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    timeout(PATIENCE, server.handlers.arrived.notified()).await.unwrap();
    let left = server.lifecycle.metrics().http_requests.with(["499", "/wait", "GET"]);
    assert_eq!(left.get(), 0);
    drop(stream);
    let handler_is_dropped = async {
        while left.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, handler_is_dropped).await.expect("the handler does not go on for nobody");
}

#[tokio::test]
async fn open_connections_are_counted() {
    let server = start(|_| {}).await;
    let mut stream = server.connect().await;
    send(&mut stream, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let scraped = read_to_end(&mut stream).await;
    assert!(scraped.contains("\nluminate_http_connections 1\n"), "{scraped}");
    let connections = server.lifecycle.metrics().http_connections.clone();
    server.stop();
    server.ended().await;
    assert!(connections.get().abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_advice() {
    let server = start(|_| {}).await;
    let bind_error = async |listen: String| {
        let config = HttpConfig { listen, ..HttpConfig::default() };
        HttpServer::bind(&config).await.unwrap_err().to_string()
    };
    let taken = bind_error(server.address.to_string()).await;
    assert!(taken.contains(&server.address.to_string()) && taken.contains("another process has the port"), "{taken}");
    let nonsense = bind_error("nonsense".to_owned()).await;
    assert!(nonsense.contains("`nonsense` is not an address with a port"), "{nonsense}");
}
