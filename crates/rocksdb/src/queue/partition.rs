//! Where a partition begins and ends, in memory.

use std::sync::{Mutex, PoisonError};

use luminate_model::{Offset, Source};
use luminate_queue::{Committed, QueueError};
use rocksdb::WriteBatch;
use tokio::sync::watch;

use super::layout::{self, META, PartitionEnd, RECORDS};
use super::log::QueueLog;

/// Consumed records are removed when they have come to so many bytes: every removal of a range is something that reads must
/// look at.
const TRIM_BYTES: u64 = 8 << 20;

pub(super) struct Partition {
    number: u32,
    /// What is durable; only the appender moves it.
    end: watch::Sender<PartitionEnd>,
    begin: Mutex<Begin>,
}

/// How far a partition was committed, and how far its records were removed.
#[derive(Debug, Clone)]
struct Begin {
    committed: Committed,
    /// Everything before is committed.
    next: u64,
    /// Everything from here on may be read, also what is committed already.
    keep: u64,
    /// Bytes that were appended before `next`.
    bytes_before: u64,
    /// Everything before is removed.
    trimmed: u64,
    /// Bytes that were appended before `trimmed`.
    trimmed_bytes: u64,
}

impl Partition {
    /// Finds what the database knows of a partition, and that it makes sense.
    pub(super) fn recover(log: &QueueLog, number: u32) -> Result<Self, QueueError> {
        let end = log.end(number)?;
        let (committed, keep) = log.committed(number)?;
        let next = committed.next.unwrap_or_default().0;
        let keep = keep.map_or(next, |keep| keep.0.min(next));
        let last = log.last_record(number)?;
        if next > end.next || last.is_some_and(|last| last >= end.next) {
            return Err(QueueError::Damaged(format!(
                "partition {number} ends at {}, is committed up to {next}, and its last record is {last:?}",
                end.next
            )));
        }
        let bytes_before = if next == end.next { end.appended_bytes } else { log.bytes_before(number, next)? };
        // Where earlier removals ended is not known, so the next one begins at 0 and happens soon; it costs the same.
        let begin = Begin { committed, next, keep, bytes_before, trimmed: 0, trimmed_bytes: 0 };
        Ok(Self { number, end: watch::Sender::new(end), begin: Mutex::new(begin) })
    }

    pub(super) fn end(&self) -> Offset {
        Offset(self.end.borrow().next)
    }

    pub(super) fn full_end(&self) -> PartitionEnd {
        *self.end.borrow()
    }

    pub(super) fn watch_end(&self) -> watch::Receiver<PartitionEnd> {
        self.end.subscribe()
    }

    /// Shows readers what was made durable.
    pub(super) fn advance(&self, end: PartitionEnd) {
        self.end.send_replace(end);
    }

    /// The first record that may be read.
    pub(super) fn begin(&self) -> Offset {
        Offset(self.lock().keep)
    }

    pub(super) fn committed(&self) -> Committed {
        self.lock().committed.clone()
    }

    /// Records that are not committed.
    pub(super) fn held_records(&self) -> u64 {
        let begin = self.lock().next;
        self.end.borrow().next - begin
    }

    /// Bytes of records that are not committed.
    pub(super) fn held_bytes(&self) -> u64 {
        let begin = self.lock().bytes_before;
        self.end.borrow().appended_bytes - begin
    }

    /// Notes that everything before `next` is done, and removes it when it has come to something; what lies at or after `keep`
    /// stays.
    pub(super) fn commit(
        &self,
        log: &QueueLog,
        source: Source,
        next: Offset,
        keep: Option<Offset>,
        metadata: &str,
    ) -> Result<(), QueueError> {
        let mut begin = self.lock();
        let end = self.full_end();
        if next.0 < begin.next || next.0 > end.next {
            return Err(QueueError::OutOfRange { place: source, wanted: next, begin: Offset(begin.next) });
        }
        let bytes_before = if next.0 == end.next { end.appended_bytes } else { log.bytes_before(self.number, next.0)? };
        let mut batch = WriteBatch::default();
        let key = layout::committed_key(self.number);
        batch.put_cf(log.family(META)?, key, layout::encode_committed(next, keep, metadata));
        let mut moved = begin.clone();
        // What was given up may be gone already.
        moved.keep = keep.map_or(next.0, |keep| keep.0.min(next.0)).max(begin.keep);
        moved.committed = Committed { next: Some(next), metadata: metadata.to_owned() };
        moved.next = next.0;
        moved.bytes_before = bytes_before;
        if bytes_before - begin.trimmed_bytes >= TRIM_BYTES {
            self.trim(log, &mut batch, &mut moved)?;
        }
        // An intent is durable before anything is stored by it; all else may be found out again.
        if metadata.is_empty() {
            log.write_unsynced(batch)?
        } else {
            log.write_synced(batch)?
        }
        *begin = moved;
        Ok(())
    }

    /// Removes whatever is committed.
    pub(super) fn trim_all(&self, log: &QueueLog) -> Result<(), QueueError> {
        let mut begin = self.lock();
        if begin.trimmed == begin.keep {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        let mut moved = begin.clone();
        self.trim(log, &mut batch, &mut moved)?;
        log.write_unsynced(batch)?;
        *begin = moved;
        Ok(())
    }

    /// The commit that allows it stands in the log before or beside it, so after a crash there is none without the other.
    fn trim(&self, log: &QueueLog, batch: &mut WriteBatch, begin: &mut Begin) -> Result<(), QueueError> {
        let (from, to) = (layout::record_key(self.number, begin.trimmed), layout::record_key(self.number, begin.keep));
        batch.delete_range_cf(log.family(RECORDS)?, from, to);
        begin.trimmed = begin.keep;
        begin.trimmed_bytes = begin.bytes_before;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Begin> {
        self.begin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
