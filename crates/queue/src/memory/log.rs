//! The records of one partition.

use std::collections::VecDeque;

use luminate_model::Offset;

use crate::{Committed, ConsumedRecord, Record};

#[derive(Debug, Clone, Default)]
pub(super) struct PartitionLog {
    records: VecDeque<ConsumedRecord>,
    bytes: usize,
    /// The offset of the next record; it stays where it is when records go.
    end: u64,
    last_append_time: Option<i64>,
    pub(super) committed: Committed,
}

impl PartitionLog {
    /// Appends a record at `now`, or at the last append time if that is later; its own offset and time say nothing.
    pub(super) fn append(&mut self, now: i64, record: ConsumedRecord) -> Offset {
        let append_time = self.last_append_time.map_or(now, |last| last.max(now));
        let record = ConsumedRecord { offset: self.end(), append_time, ..record };
        let offset = record.offset;
        self.last_append_time = Some(append_time);
        self.bytes += record.size();
        self.end += 1;
        self.records.push_back(record);
        offset
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first offset that is there, or the end.
    pub(super) fn begin(&self) -> Offset {
        self.records.front().map_or_else(|| self.end(), |record| record.offset)
    }

    pub(super) fn end(&self) -> Offset {
        Offset(self.end)
    }

    pub(super) fn commit(&mut self, next: Offset, metadata: &str) {
        self.committed = Committed { next: Some(next), metadata: metadata.to_owned() };
        while let Some(record) = self.records.pop_front_if(|record| record.offset < next) {
            self.bytes -= record.size();
        }
    }

    /// Records from `next` on: one at least where there is one, and no more when `max_bytes` are reached.
    pub(super) fn read(&self, next: Offset, max_bytes: usize) -> Vec<ConsumedRecord> {
        let skipped = self.records.partition_point(|record| record.offset < next);
        let mut bytes = 0;
        let mut records = Vec::new();
        for record in self.records.iter().skip(skipped) {
            bytes += record.size();
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        records
    }
}

/// A gateway's record as a writer will read it; the log says where it stands.
pub(super) fn as_consumed(key: Vec<u8>, record: Record) -> ConsumedRecord {
    ConsumedRecord { offset: Offset(0), append_time: 0, key: key.into(), headers: record.headers, value: record.value }
}
