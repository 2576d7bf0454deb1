//! Rows under a batch that is not theirs. Near their batch no record has them; whether one far away does is found out by reading all
//! of them again, once.

use hashbrown::HashSet;
use luminate_queue::SourceHistory;
use luminate_storage::StoredRow;

use crate::reconcile::records::{JudgedRecords, OffsetRange, fingerprint};
use crate::reconcile::report::SourceReport;
use crate::reconcile::{ReconcileError, ReconcileParts};

/// More different rows than this are not looked into: they stay foreign, and nothing of the source is mended.
const MAX_STRAYS: usize = 1_000_000;

/// Rows that nothing near their batch needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extra {
    /// Days since 1970.
    pub(super) day: i64,
    /// What tells the rows.
    pub(super) fingerprint: u64,
    /// How many there are.
    pub(super) count: u64,
    /// Whether no record near their batch has such a row.
    pub(super) foreign: bool,
}

impl Extra {
    pub(super) fn foreign(row: StoredRow) -> Self {
        Self { day: row.day, fingerprint: row.fingerprint, count: row.count, foreign: true }
    }
}

/// The extra rows of one source, each with the place of its fault in the report.
#[derive(Default)]
pub(super) struct Strays {
    rows: Vec<(Option<usize>, Extra)>,
    contents: HashSet<u64>,
    overflowed: bool,
}

impl Strays {
    /// Takes the extra rows of a fault.
    pub(super) fn take(&mut self, extra: &[Extra], listed: Option<usize>) {
        if self.rows.len() + extra.len() > MAX_STRAYS {
            self.overflowed |= !extra.is_empty();
            return;
        }
        self.rows.extend(extra.iter().map(|row| (listed, *row)));
        self.contents.extend(extra.iter().map(|row| row.fingerprint));
    }

    /// Whether a row with these contents is where it should not be, or may be.
    pub(super) fn hold(&self, fingerprint: u64) -> bool {
        self.overflowed || self.contents.contains(&fingerprint)
    }

    /// Reads all records that the queue has of the source, and reports those foreign rows as doubled that one of them has.
    pub(super) async fn recognise(
        &self,
        parts: &ReconcileParts,
        partition: &SourceHistory,
        report: &mut SourceReport,
    ) -> Result<(), ReconcileError> {
        let foreign = || self.rows.iter().filter(|(_, row)| row.foreign);
        let mut wanted: HashSet<u64> = foreign().map(|(_, row)| row.fingerprint).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let everything = OffsetRange { first: partition.begin, next: partition.end };
        let mut records = JudgedRecords::open(parts, partition, everything).await?;
        let mut scratch = Vec::new();
        while let Some(record) = records.next().await? {
            let Some(record) = record.expected else { continue };
            for row in record.samples.rows() {
                wanted.remove(&fingerprint(&mut scratch, &record.tenant, &row));
            }
        }
        for (listed, row) in foreign().filter(|(_, row)| !wanted.contains(&row.fingerprint)) {
            report.turn_out_doubled(*listed, row.day, row.count);
        }
        Ok(())
    }
}
