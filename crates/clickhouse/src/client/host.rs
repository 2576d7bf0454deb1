//! One server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clickhouse::QuerySummary;
use clickhouse::error::Error as VendorError;
use clickhouse::insert_formatted::InsertFormatted;
use clickhouse::query::BytesCursor;
use clickhouse::{Client, Compression};
use luminate_storage::Permit;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::error::ClientError;
use super::statement::Statement;

/// Rows that [`Host::rows`] reads: small answers of our own statements.
const MAX_SMALL_ANSWER: usize = 64 << 20;
/// A host that failed is left aside for this long, as long as there are others. Longer than health takes to ask twice
/// (`client/health.rs`), so that one that stays away stays aside.
const ASIDE: Duration = Duration::from_secs(10);
/// A host that was silent for less than this is not suspected when a query is given up.
const SUSPICIOUS: Duration = Duration::from_millis(500);

/// One server, spoken to over HTTP. Cheap to clone; clones share connections and state.
#[derive(Clone)]
pub struct Host {
    address: Arc<str>,
    client: Client,
    state: Arc<HostState>,
}

#[derive(Default)]
struct HostState {
    /// Time since boot, ms, until when other hosts are preferred.
    aside_until: AtomicU64,
    /// Time since boot, ms, of its last answer.
    answered_at: AtomicU64,
    /// Why it could not be spoken to the last time; `None` where it could.
    fault: Mutex<Option<String>>,
}

impl Host {
    pub(super) fn new(address: &Address, client: Client) -> Self {
        let url = address.to_string();
        let client = client.with_url(&url).with_compression(Compression::Lz4);
        Self { address: url.into(), client, state: Arc::default() }
    }

    /// The URL of its HTTP interface.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Why it could not be spoken to the last time.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.state.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether others should be tried first.
    pub(super) fn is_aside(&self) -> bool {
        self.state.aside_until.load(Ordering::Relaxed) > now_ms()
    }

    /// Executes a statement that has no result.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn execute(&self, statement: Statement) -> Result<(), ClientError> {
        let limit = statement.limit;
        let executed = async {
            let executed = self.prepare(statement).execute().await;
            executed.map_err(|error| ClientError::of(&self.address, error))
        };
        let executed = self.within(limit, executed).await;
        self.note(executed)
    }

    /// Executes a query and hands its result on in `format` (`Native`, `RowBinary`, ...) as it comes. Waits for the first bytes,
    /// so that an error before them is told here.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn fetch(&self, statement: Statement, format: &str) -> Result<Answer, ClientError> {
        let limit = statement.limit;
        let asked = Unanswered { host: self, since: now_ms() };
        let first_bytes = async {
            let mut cursor = self.prepare(statement).fetch_bytes(format)?;
            let first = cursor.next().await?;
            Ok(Answer { host: self.clone(), cursor, first })
        };
        let fetched = async { first_bytes.await.map_err(|error| ClientError::of(&self.address, error)) };
        let fetched = self.within(limit, fetched).await;
        // It has answered, or `note` says why not.
        std::mem::forget(asked);
        self.note(fetched)
    }

    /// The rows of a small result, each read from the list of its columns' values: `T` is a tuple, or a `Vec` of one type.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn rows<T: DeserializeOwned>(&self, statement: Statement) -> Result<Vec<T>, ClientError> {
        let limit = statement.limit;
        let text = self.within(limit, self.small_answer(statement)).await;
        let text = self.note(text)?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).map_err(|error| self.bad_answer(error.to_string()))).collect()
    }

    async fn small_answer(&self, statement: Statement) -> Result<Vec<u8>, ClientError> {
        let statement = statement.setting("output_format_json_quote_64bit_integers", 0);
        let mut answer = self.fetch(statement, "JSONCompactEachRow").await?;
        let mut text = Vec::new();
        while let Some(bytes) = answer.next().await? {
            text.extend_from_slice(&bytes);
            if text.len() > MAX_SMALL_ANSWER {
                return Err(self.bad_answer(format!("more than {MAX_SMALL_ANSWER} bytes")));
            }
        }
        Ok(text)
    }

    /// The work's result, or [`ClientError::TimedOut`].
    async fn within<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match limit {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(ClientError::TimedOut { host: self.address.to_string(), limit })),
        }
    }

    /// The only row of a small result.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn row<T: DeserializeOwned>(&self, statement: Statement) -> Result<T, ClientError> {
        let mut rows = self.rows(statement).await?;
        match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(self.bad_answer("expected one row".to_owned())),
        }
    }

    /// Begins an `INSERT ... FORMAT ...`: nothing is sent before the first piece. `limit` is the longest time that a piece may
    /// take to be sent, and that the answer may take after the last one.
    #[must_use]
    pub fn begin_insert(&self, statement: Statement, limit: Duration) -> Insert {
        let mut insert = self.client.insert_formatted_with(statement.sql);
        for (name, value) in statement.settings {
            insert = insert.with_setting(name, value);
        }
        Insert { host: self.clone(), insert: insert.with_timeouts(Some(limit), Some(limit)), limit }
    }

    /// Notes what a statement showed of the host.
    pub(super) fn note<T>(&self, result: Result<T, ClientError>) -> Result<T, ClientError> {
        let fault = result.as_ref().err().filter(|error| error.is_of_the_host()).map(ToString::to_string);
        match &fault {
            Some(_) => self.put_aside(),
            None => {
                self.state.answered_at.store(now_ms(), Ordering::Relaxed);
                self.state.aside_until.store(0, Ordering::Relaxed);
            }
        }
        *self.state.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        result
    }

    fn put_aside(&self) {
        self.state.aside_until.store(now_ms() + ASIDE.as_millis() as u64, Ordering::Relaxed);
    }

    fn prepare(&self, statement: Statement) -> clickhouse::query::Query {
        let mut query = self.client.query_raw(&statement.sql);
        for (name, value) in statement.parameters {
            query = query.with_setting(format!("param_{name}"), value);
        }
        for (name, value) in statement.settings {
            query = query.with_setting(name, value);
        }
        query
    }

    fn insert_error(&self, error: VendorError, limit: Duration) -> ClientError {
        match error {
            VendorError::TimedOut => ClientError::TimedOut { host: self.address.to_string(), limit },
            other => ClientError::of(&self.address, other),
        }
    }

    fn bad_answer(&self, fault: String) -> ClientError {
        ClientError::Answer { host: self.address.to_string(), fault }
    }
}

/// A query whose answer has not begun. Dropped by a caller whose time is over, it puts the host aside if that has answered
/// nothing else meanwhile: it may be frozen, and the next query should not find out again. Where it is only slow, nothing is lost,
/// because this is a preference.
struct Unanswered<'h> {
    host: &'h Host,
    /// Time since boot, ms, when it was asked.
    since: u64,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let waited = now_ms().saturating_sub(self.since);
        let answered_at = self.host.state.answered_at.load(Ordering::Relaxed);
        if answered_at <= self.since && waited >= SUSPICIOUS.as_millis() as u64 {
            self.host.put_aside();
        }
    }
}

/// An insert whose data is being sent. Dropped before [`Insert::end`], it is broken off, and the server stores nothing unless it
/// has everything already.
pub struct Insert {
    host: Host,
    insert: InsertFormatted,
    limit: Duration,
}

impl Insert {
    /// Compresses and sends a piece; waits while the server takes its time.
    ///
    /// # Errors
    /// [`ClientError`]; nothing more can be sent.
    pub async fn send(&mut self, piece: Vec<u8>) -> Result<(), ClientError> {
        let sent = self.insert.send(piece.into()).await;
        self.host.note(sent.map_err(|error| self.host.insert_error(error, self.limit)))
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// [`ClientError`]; after any but [`ClientError::Unreachable`] the data may be stored.
    pub async fn end(self) -> Result<(), ClientError> {
        let Self { host, insert, limit } = self;
        let ended = insert.end().await;
        host.note(ended.map_err(|error| host.insert_error(error, limit)))
    }
}

/// A result as it comes. Dropped before its end, it closes the connection, and with `cancel_http_readonly_queries_on_client_close`
/// the server stops.
pub struct Answer {
    host: Host,
    cursor: BytesCursor,
    first: Option<Bytes>,
}

impl Answer {
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError`], also where the server failed in the middle of the result.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let next = self.cursor.next().await;
        self.host.note(next.map_err(|error| ClientError::of(&self.host.address, error)))
    }

    /// How many rows and bytes (uncompressed) the server has read for it. The server says so in the head of its answer, so it is
    /// the truth only with the setting `wait_end_of_query`, which holds the head back.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        let summary = self.cursor.summary();
        let rows = summary.and_then(QuerySummary::read_rows).unwrap_or_default();
        (rows, summary.and_then(QuerySummary::read_bytes).unwrap_or_default())
    }

    /// The server that answers.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }
}

fn now_ms() -> u64 {
    Permit::now().as_millis() as u64
}
