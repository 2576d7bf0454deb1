//! Samples, as they come from the server.

use std::sync::atomic::Ordering;

use luminate_model::TimeRange;
use luminate_model::time::END_TIMESTAMP;
use luminate_storage::{ChunkConsumer, Earliest, QueryContext, ScanChunk, ScanColumns, ScanRequest, StorageError};

use super::chunks::Gathered;
use super::conditions;
use super::query::TenantQuery;
use super::row_binary::{RowBinary, Unreadable};
use super::run::{self, Bounds, ReadLimit};
use super::table::{self, Table};
use crate::client::{Hosts, Statement};

/// Rows of a chunk.
const CHUNK_ROWS: usize = 8192;

/// Bytes of rows after which a chunk is handed on even where it has fewer.
const CHUNK_BYTES: u64 = 4 << 20;

/// Bytes that a chunk's sample takes beside the bytes of its row: in a run, in columns, in tables of series.
const SAMPLE_BYTES: u64 = 128;

/// Hands the samples of a request on, from one thread.
pub(super) async fn scan(
    hosts: &Hosts,
    table: &Table,
    request: &ScanRequest,
    context: &QueryContext,
    consumer: &dyn ChunkConsumer,
) -> Result<(), StorageError> {
    context.check()?;
    if request.time.is_empty() {
        return Ok(());
    }
    let statement = statement(table, request);
    let mut rows = Rows { gathered: Gathered::new(request), taken: 0, reserved: 0, context, consumer };
    if request.earliest.is_some() {
        let result = run::result(hosts, statement, Bounds { read: ReadLimit::Afterwards, rows: None }, context).await?;
        let read = rows.take(result.bytes())?;
        return rows.finish(result.bytes().len() - read);
    }
    let bounds = Bounds { read: ReadLimit::Samples, rows: None };
    let mut answer = run::fetch(hosts, statement, bounds, context).await?;
    // What is left of a row whose end is still to come.
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(more) = run::watched(context, bounds, answer.next()).await? {
        context.check()?;
        context.counters().bytes_read.fetch_add(more.len() as u64, Ordering::Relaxed);
        bytes.extend_from_slice(&more);
        let (before, read) = (rows.taken, rows.take(&bytes)?);
        bytes.drain(..read);
        // The server tells what it has read only with the end of a result, so what came of it is counted.
        context.count_samples(rows.taken - before)?;
    }
    rows.finish(bytes.len())
}

fn statement(table: &Table, request: &ScanRequest) -> Statement {
    let mut query = conditions::of_scan(table, request);
    if let Some(wanted) = request.earliest {
        let condition = is_wanted(&mut query, wanted, request.time);
        query.require(condition);
    }
    let columns = columns(&mut query, &request.columns);
    let selection = query.select(&columns, "");
    query.statement(selection)
}

/// Timestamp, value and dimensions, each where it is asked for, in place of it the cheapest of its type.
fn columns(query: &mut TenantQuery<'_>, asked: &ScanColumns) -> String {
    let value = if asked.values { table::VALUE } else { "toFloat64(0)" };
    let dimensions = if asked.all_dimensions || asked.series_ids {
        table::DIMENSIONS.to_owned()
    } else {
        let pairs: Vec<String> = (asked.dimensions.iter())
            .map(|key| {
                let key = query.text(key);
                format!("({key}, {})", table::dimension(&key))
            })
            .collect();
        format!("CAST([{}], 'Array(Tuple(String, String))')", pairs.join(", "))
    };
    format!("{}, {value}, {dimensions}", table::TIMESTAMP)
}

/// Not later than the last one that is wanted, which the server finds in the order of the table, without reading on.
fn is_wanted(query: &mut TenantQuery<'_>, wanted: Earliest, time: TimeRange) -> String {
    let skipped = query.integer(i64::try_from(wanted.samples.saturating_sub(1)).unwrap_or(i64::MAX));
    let end = query.integer(time.end.min(END_TIMESTAMP).saturating_sub(1));
    let clauses = format!("ORDER BY {} LIMIT 1 OFFSET {skipped}", table::TIME);
    let last = match wanted.after {
        Some(after) => {
            let after = query.integer(after);
            let later = format!("AND {} > {} {clauses}", table::TIME, table::moment(&after));
            query.select(table::TIME, &later)
        }
        None => query.select(table::TIME, &clauses),
    };
    format!("{} <= coalesce({}, {})", table::TIME, last.scalar(), table::moment(&end))
}

/// Makes chunks of rows and hands them on. Their memory is accounted for.
struct Rows<'r> {
    gathered: Gathered,
    /// Rows taken in all.
    taken: u64,
    reserved: u64,
    context: &'r QueryContext,
    consumer: &'r dyn ChunkConsumer,
}

impl Rows<'_> {
    /// Takes all rows that are whole, and returns how many bytes they have.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, StorageError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut row = RowBinary::new(rest);
            match self.gathered.take(&mut row) {
                Ok(()) => {}
                Err(Unreadable::Incomplete) => break,
                Err(invalid) => return Err(invalid.into()),
            }
            let size = (rest.len() - row.rest().len()) as u64 + SAMPLE_BYTES;
            rest = row.rest();
            self.taken += 1;
            self.context.reserve_memory(size)?;
            self.reserved += size;
            if self.gathered.rows() >= CHUNK_ROWS || self.reserved >= CHUNK_BYTES {
                self.hand_on()?;
            }
        }
        Ok(bytes.len() - rest.len())
    }

    /// Hands on what is left. No part of a row may be.
    fn finish(&mut self, bytes_left: usize) -> Result<(), StorageError> {
        if bytes_left > 0 {
            return Err(Unreadable::Incomplete.into());
        }
        self.hand_on()
    }

    fn hand_on(&mut self) -> Result<(), StorageError> {
        self.context.check()?;
        let chunk: Option<ScanChunk> = self.gathered.chunk();
        let handed_on = chunk.map_or(Ok(()), |chunk| {
            self.context.counters().series_read.fetch_add(chunk.runs.len() as u64, Ordering::Relaxed);
            self.consumer.consume(0, chunk)
        });
        self.context.release_memory(std::mem::take(&mut self.reserved));
        handed_on
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        self.context.release_memory(self.reserved);
    }
}
