//! The records between two stored batches, and what the store has of them.

use std::collections::BTreeSet;

use luminate_model::Offset;
use luminate_model::columns::SampleRow;
use luminate_storage::{BatchRecord, ProvenanceScope, RowsDigest, StoredRows};

use crate::reconcile::records::fingerprint;

/// A segment that grows beyond this many samples is closed: many batches are missing there, and a batch is never so large.
const MAX_SAMPLES: usize = 4_000_000;
/// The same in bytes of decoded samples.
const MAX_BYTES: usize = 512 << 20;

/// A record that the store should have.
pub(super) struct ExpectedRecord {
    pub(super) record: BatchRecord,
    /// Whether the store may rightly have nothing of it.
    pub(super) is_doubtful: bool,
}

/// The offsets from one stored batch to the next. Between them whole batches may be missing.
pub(super) struct Segment {
    pub(super) first: Offset,
    /// Known when it is closed.
    pub(super) next: Offset,
    pub(super) records: Vec<ExpectedRecord>,
    pub(super) expected: RowsDigest,
    pub(super) found: RowsDigest,
    /// Shards that hold rows of it.
    pub(super) shards: BTreeSet<String>,
    samples: usize,
    bytes: usize,
}

impl Segment {
    pub(super) fn new(first: Offset) -> Self {
        let nothing = RowsDigest::default();
        let (records, shards) = (Vec::new(), BTreeSet::new());
        Self { first, next: first, records, expected: nothing, found: nothing, shards, samples: 0, bytes: 0 }
    }

    /// Takes a record that the store should have, unless it is erased.
    pub(super) fn expect(&mut self, scope: &ProvenanceScope, record: BatchRecord, may_be_repeat: bool) {
        if scope.is_erased(&record.tenant, record.offset) {
            return;
        }
        // Samples that were stored before the erasure was noted went with those of the same batch before its end.
        let is_cut = scope.erased.get(&record.tenant).is_some_and(|end| *end > self.first);
        self.samples += record.samples.len();
        self.bytes += record.samples.memory_bytes();
        let mut expected = self.expected;
        for_each_row(scope, &record, |_, fingerprint| expected.add(fingerprint, 1));
        self.expected = expected;
        self.records.push(ExpectedRecord { record, is_doubtful: is_cut || may_be_repeat });
    }

    /// Takes what the store has.
    pub(super) fn find(&mut self, stored: StoredRows) {
        self.found.merge(stored.rows);
        self.found.merge(stored.cut);
        self.shards.extend(stored.shards);
    }

    /// Whether it must be closed before it takes more.
    pub(super) fn is_full(&self) -> bool {
        self.samples >= MAX_SAMPLES || self.bytes >= MAX_BYTES
    }

    /// Whether the store has what it should.
    pub(super) fn is_right(&self) -> bool {
        self.expected == self.found
    }

    /// Whether the store has rows here that may be those of the records that follow: a row with a batch of its own in the middle
    /// of another batch makes two segments of it.
    pub(super) fn may_hold_more(&self) -> bool {
        let times = self.found.rows.checked_div(self.expected.rows).unwrap_or_default();
        let Self { expected, .. } = self;
        let repeated = RowsDigest { rows: expected.rows * times, checksum: expected.checksum.wrapping_mul(times) };
        self.found.rows > self.expected.rows && repeated != self.found
    }
}

/// Shows the rows of a record that the store should have, with their fingerprints.
pub(super) fn for_each_row(scope: &ProvenanceScope, record: &BatchRecord, mut visit: impl FnMut(&SampleRow<'_>, u64)) {
    let mut scratch = Vec::new();
    for row in record.samples.rows().filter(|row| scope.is_kept(row.timestamp, row.retention_days())) {
        let fingerprint = fingerprint(&mut scratch, &record.tenant, &row);
        visit(&row, fingerprint);
    }
}
