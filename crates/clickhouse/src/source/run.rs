//! Execution of statements within the limits of a query.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use luminate_storage::{QueryContext, StorageError};

use super::faults;
use crate::client::{Answer, ClientError, Hosts, Statement};

/// How often a query that waits for the server looks at its deadline and cancellation.
const LOOK: Duration = Duration::from_millis(50);

const FORMAT: &str = "RowBinary";

/// What the server holds the samples that a statement reads against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadLimit {
    /// The query's limit.
    Samples,
    /// Nothing: where the server stops early it cannot tell beforehand how much it will read, and would refuse by what there
    /// is. What it has read is counted afterwards.
    Afterwards,
}

/// What a statement is held against beside time and memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// What it may read.
    pub(super) read: ReadLimit,
    /// Most rows of its result.
    pub(super) rows: Option<usize>,
}

/// The whole result of a statement. Its memory is accounted for until it is dropped.
pub(super) struct Whole<'c> {
    bytes: Vec<u8>,
    context: &'c QueryContext,
    reserved: u64,
}

impl Whole<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        // The answer that is made of the bytes takes memory as well.
        let more = 2 * bytes.len() as u64;
        self.context.reserve_memory(more)?;
        self.reserved += more;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        self.context.release_memory(self.reserved);
    }
}

/// Executes a statement whose result is small. The server answers when it is done, so that an error comes in place of the
/// result and what was read is known to the last sample.
pub(super) async fn result<'c>(
    hosts: &Hosts,
    statement: Statement,
    bounds: Bounds,
    context: &'c QueryContext,
) -> Result<Whole<'c>, StorageError> {
    let statement = statement.setting("wait_end_of_query", 1);
    let mut answer = fetch(hosts, statement, bounds, context).await?;
    let (samples, bytes) = answer.read();
    context.counters().bytes_read.fetch_add(bytes, Ordering::Relaxed);
    context.count_samples(samples)?;
    let mut whole = Whole { bytes: Vec::new(), context, reserved: 0 };
    while let Some(bytes) = watched(context, bounds, answer.next()).await? {
        whole.extend(&bytes)?;
    }
    Ok(whole)
}

/// Executes a statement whose result is handed on as it comes, within the query's limits.
pub(super) async fn fetch(
    hosts: &Hosts,
    statement: Statement,
    bounds: Bounds,
    context: &QueryContext,
) -> Result<Answer, StorageError> {
    context.check()?;
    let statement = limited(statement, bounds, context);
    watched(context, bounds, hosts.fetch(&statement, FORMAT)).await
}

/// Waits for the server as long as the query may go on. What is dropped here closes its connection, and the server stops.
pub(super) async fn watched<T>(
    context: &QueryContext,
    bounds: Bounds,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, StorageError> {
    let mut work = pin!(work);
    loop {
        match tokio::time::timeout(LOOK, work.as_mut()).await {
            Ok(done) => return done.map_err(|error| faults::of_query(error, bounds.rows, context)),
            Err(_) => context.check()?,
        }
    }
}

fn limited(statement: Statement, bounds: Bounds, context: &QueryContext) -> Statement {
    let limits = context.limits();
    let seconds = context.remaining().max(Duration::from_millis(1)).as_secs_f64();
    let statement = statement
        // What is read-only is cancelled with its connection, and cannot write whatever its user may.
        .setting("readonly", 1)
        .setting("cancel_http_readonly_queries_on_client_close", 1)
        // A shard that does not answer is an error, never a smaller answer.
        .setting("skip_unavailable_shards", 0)
        .setting("max_execution_time", format!("{seconds:.3}"))
        .setting("max_memory_usage", limits.memory_bytes);
    let statement = match bounds.read {
        ReadLimit::Samples => statement.setting("max_rows_to_read", limits.samples),
        ReadLimit::Afterwards => statement,
    };
    match bounds.rows {
        Some(rows) => statement.setting("max_result_rows", rows),
        None => statement,
    }
}
