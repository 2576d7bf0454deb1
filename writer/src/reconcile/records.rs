//! The records of a source, judged as a writer judges them.

use std::sync::Arc;

use luminate_model::columns::SampleRow;
use luminate_model::{Offset, TenantId};
use luminate_queue::{ConsumedRecord, HistoryReader, SourceHistory};
use luminate_storage::{BatchRecord, row_fingerprint};

use super::{ReconcileError, ReconcileParts};
use crate::decode::RecordDecoder;
use crate::idempotency::{IdempotencyWindow, WINDOW_MS, oldest_in_window};
use crate::judge::{NeedsSchema, Verdict, judge};

/// Offsets that are compared, `[first, next)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetRange {
    pub(super) first: Offset,
    pub(super) next: Offset,
}

/// A record, and what the store should have of it.
pub(super) struct JudgedRecord {
    pub(super) offset: Offset,
    pub(super) expected: Option<BatchRecord>,
    /// Whether it may repeat a record that the queue has no more.
    pub(super) may_be_repeat: bool,
}

/// Records as a writer judges them.
pub(super) struct JudgedRecords<'a> {
    parts: &'a ReconcileParts,
    reader: Box<dyn HistoryReader>,
    /// Records before are read to recognise repeats, and not told.
    first: Offset,
    decoder: RecordDecoder,
    window: IdempotencyWindow,
    /// Records with a key that were appended before this time may repeat others that are gone. Known with the first record.
    window_known_from: Option<i64>,
    /// Whether records before the first one that is read are gone.
    begins_late: bool,
}

impl<'a> JudgedRecords<'a> {
    /// Tells the records of a range. Begins so early that repeats are recognised.
    pub(super) async fn open(
        parts: &'a ReconcileParts,
        partition: &SourceHistory,
        range: OffsetRange,
    ) -> Result<JudgedRecords<'a>, ReconcileError> {
        let source = partition.source;
        let first = match append_time(parts, partition, range).await? {
            Some(time) => parts.history.offset_at(source, oldest_in_window(time)).await?,
            None => range.first,
        };
        let first = first.min(range.first).max(partition.begin);
        Ok(Self {
            parts,
            reader: parts.history.read(source, first, range.next).await?,
            first: range.first,
            decoder: RecordDecoder::new(partition.owner.clone(), Arc::clone(&parts.schemas)),
            window: IdempotencyWindow::new(parts.config.idempotency.max_entries, Vec::new()),
            window_known_from: None,
            begins_late: first == partition.begin && first > Offset(0),
        })
    }

    /// The next record; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<JudgedRecord>, ReconcileError> {
        loop {
            let Some(record) = self.reader.next().await? else { return Ok(None) };
            let judged = self.judged(&record).await?;
            if record.offset >= self.first {
                return Ok(Some(judged));
            }
        }
    }

    async fn judged(&mut self, record: &ConsumedRecord) -> Result<JudgedRecord, ReconcileError> {
        let (offset, append_time) = (record.offset, record.append_time);
        let begins_late = self.begins_late;
        let known_from = || if begins_late { append_time.saturating_add(WINDOW_MS) } else { i64::MIN };
        let known_from = *self.window_known_from.get_or_insert_with(known_from);
        Ok(match self.verdict(record).await? {
            Verdict::Store { tenant, samples, idempotency, .. } => {
                let may_be_repeat = idempotency.is_some() && append_time < known_from;
                JudgedRecord { offset, expected: Some(BatchRecord { tenant, offset, samples }), may_be_repeat }
            }
            Verdict::Repeat { .. } | Verdict::Reject { .. } => {
                JudgedRecord { offset, expected: None, may_be_repeat: false }
            }
        })
    }

    async fn verdict(&mut self, record: &ConsumedRecord) -> Result<Verdict, ReconcileError> {
        loop {
            match judge(&mut self.window, &mut self.decoder, record) {
                Ok(verdict) => return Ok(verdict),
                Err(NeedsSchema(id)) => self.parts.schemas.learn(id).await?,
            }
        }
    }
}

/// When the first record of a range was appended.
async fn append_time(
    parts: &ReconcileParts,
    partition: &SourceHistory,
    range: OffsetRange,
) -> Result<Option<i64>, ReconcileError> {
    let mut reader = parts.history.read(partition.source, range.first, range.next).await?;
    Ok(reader.next().await?.map(|record| record.append_time))
}

/// What a store tells a row by.
pub(super) fn fingerprint(scratch: &mut Vec<u8>, tenant: &TenantId, row: &SampleRow<'_>) -> u64 {
    row_fingerprint(scratch, tenant, row.metric(), (row.timestamp, row.value), row.dimensions())
}
