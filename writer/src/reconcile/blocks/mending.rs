//! Storing again what is missing: those samples of a record alone, in blocks of their own.
//!
//! Whoever mends has the database to itself, so that nothing that was missing a moment ago can be there now.

use hashbrown::HashMap;
use luminate_model::{Offset, SampleColumnsBuilder};
use luminate_storage::{Batch, BatchRecord};

use super::Comparison;
use super::expectation::{ExpectedRecord, ExpectedRecords};
use super::faults::Faults;
use super::share::Missing;
use crate::reconcile::ReconcileError;
use crate::reconcile::records::OffsetRange;

/// How many samples with the same contents a record misses, by range, offset and fingerprint.
type Wanted = HashMap<(usize, Offset, u64), u32>;

/// Records that are stored together, all of one range.
#[derive(Default)]
struct Mended {
    range: usize,
    records: Vec<BatchRecord>,
}

impl Comparison<'_> {
    /// Stores the missing samples.
    pub(super) async fn mend(&self, missing: Vec<Missing>, faults: &mut Faults) -> Result<(), ReconcileError> {
        let mut wanted = Wanted::new();
        for sample in &missing {
            *wanted.entry((sample.range, sample.offset, sample.fingerprint)).or_default() += 1;
        }
        let max_samples = self.parts.config.batch.max_samples;
        let mut open = Mended::default();
        let mut records = ExpectedRecords::of(self, stretches(&missing));
        while let Some(expected) = records.next().await? {
            let Some(record) = take(&expected, &mut wanted) else { continue };
            let samples: usize = open.records.iter().map(|record| record.samples.len()).sum();
            // A block's range holds no record that it has nothing of: another fault is told more exactly then.
            let continues = open.records.last().is_some_and(|last| last.offset.next() == record.offset);
            if open.range != expected.range || !continues || samples >= max_samples {
                self.restore(std::mem::take(&mut open), faults).await?;
            }
            open.range = expected.range;
            open.records.push(record);
        }
        self.restore(open, faults).await
    }

    async fn restore(&self, mended: Mended, faults: &mut Faults) -> Result<(), ReconcileError> {
        let Mended { range, records } = mended;
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        let counts: Vec<(Offset, u64)> =
            records.iter().map(|record| (record.offset, record.samples.len() as u64)).collect();
        let batch = Batch {
            source: self.ranges.ranges[range].partition.source,
            first: first.offset,
            next: last.offset.next(),
            records,
            idempotency: Vec::new(),
            forget_idempotency_before: i64::MIN,
        };
        self.store.restore(batch).await?;
        for (offset, samples) in counts {
            faults.add_mended(range, offset, samples);
        }
        Ok(())
    }
}

/// For each range the offsets from the first record to the last that something is missing of.
fn stretches(missing: &[Missing]) -> Vec<(usize, OffsetRange)> {
    let mut stretches: Vec<(usize, OffsetRange)> = Vec::new();
    // They are in the order in which records are read.
    for sample in missing {
        let next = sample.offset.next();
        match stretches.last_mut() {
            Some((range, stretch)) if *range == sample.range => stretch.next = next,
            _ => stretches.push((sample.range, OffsetRange { first: sample.offset, next })),
        }
    }
    stretches
}

/// The missing samples of a record, as a record.
fn take(expected: &ExpectedRecord<'_>, wanted: &mut Wanted) -> Option<BatchRecord> {
    let record = expected.record.as_ref()?;
    let mut missing = SampleColumnsBuilder::new();
    expected.for_each_row(|row, fingerprint| {
        let Some(count) = wanted.get_mut(&(expected.range, record.offset, fingerprint)) else { return };
        if *count > 0 {
            *count -= 1;
            let dimensions: Vec<(&str, &str)> = row.dimensions().collect();
            missing.push(row.metric(), row.retention_days(), row.timestamp, row.value, &dimensions);
        }
    });
    let samples = missing.finish();
    (!samples.is_empty()).then(|| BatchRecord { tenant: record.tenant.clone(), offset: record.offset, samples })
}
