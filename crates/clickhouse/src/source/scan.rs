//! Samples, as they come from the server.

use std::sync::atomic::Ordering;

use luminate_model::time::END_TIMESTAMP;
use luminate_storage::{ChunkConsumer, Earliest, QueryContext, ScanRequest, StorageError};

use super::chunks::Chunks;
use super::conditions;
use super::query::TenantQuery;
use super::row_binary::{RowBinary, Unreadable};
use super::run::{self, ReadLimit};
use super::table::{self, Table};
use crate::client::{Hosts, Statement};

/// Rows of a chunk.
const CHUNK_ROWS: usize = 8192;

/// Bytes of a chunk's rows, after which it is handed on even where it has fewer.
const CHUNK_BYTES: usize = 4 << 20;

/// Hands the samples of a request on.
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
    let shape = Shape::of(request);
    let statement = statement(table, request, shape);
    let mut rows = Rows { request, shape, context, consumer, chunks: Chunks::new(request), reserved: 0 };
    if request.earliest.is_some() {
        let result = run::result(hosts, statement, ReadLimit::Afterwards, context).await?;
        let read = rows.take(result.bytes())?;
        return if read == result.bytes().len() { rows.hand_on() } else { Err(Unreadable::Incomplete.into()) };
    }
    let mut answer = run::fetch(hosts, &statement, ReadLimit::Samples, context).await?;
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(more) = run::watched(context, answer.next()).await? {
        context.check()?;
        context.counters().bytes_read.fetch_add(more.len() as u64, Ordering::Relaxed);
        bytes.extend_from_slice(&more);
        let before = context.counters().samples_read.load(Ordering::Relaxed);
        let read = rows.take(&bytes)?;
        bytes.drain(..read);
        drop(before);
    }
    if bytes.is_empty() { rows.hand_on() } else { Err(Unreadable::Incomplete.into()) }
}
