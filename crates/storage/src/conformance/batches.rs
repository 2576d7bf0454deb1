//! Single batches, by hand.

use luminate_model::{Dimensions, Offset, Sample, SampleColumnsBuilder, Source, TenantId};

use crate::batch::{Batch, BatchRecord, IdempotencyEntry};

/// A sample of no particular value.
#[must_use]
pub fn sample(metric: &str, timestamp: i64, value: f64, dimensions: &[(&str, &str)]) -> Sample {
    let dimensions: Dimensions = dimensions.iter().copied().collect();
    Sample { metric: metric.to_owned(), timestamp, value, dimensions }
}

/// A batch of the offsets from `first` to before `next`, without records yet.
#[must_use]
pub fn batch(source: Source, first: u64, next: u64) -> Batch {
    let (first, next) = (Offset(first), Offset(next));
    Batch { source, first, next, records: Vec::new(), idempotency: Vec::new(), forget_idempotency_before: i64::MIN }
}

impl Batch {
    /// The batch with one record more, whose samples are kept for `retention_days`.
    #[must_use]
    pub fn with_record(mut self, tenant: &TenantId, offset: u64, retention_days: u16, samples: &[Sample]) -> Self {
        let mut columns = SampleColumnsBuilder::new();
        for sample in samples {
            let dimensions: Vec<(&str, &str)> = sample.dimensions.iter().collect();
            columns.push(&sample.metric, retention_days, sample.timestamp, sample.value, &dimensions);
        }
        self.records.push(BatchRecord { tenant: tenant.clone(), offset: Offset(offset), samples: columns.finish() });
        self
    }

    /// The batch with an entry of a keyed record, appended at `append_time`.
    #[must_use]
    pub fn with_entry(mut self, tenant: &TenantId, offset: u64, append_time: i64) -> Self {
        let key = u128::from(offset) << 64 | 7;
        let (tenant, offset) = (tenant.clone(), Offset(offset));
        self.idempotency.push(IdempotencyEntry { tenant, key, part: 1, body: key + 1, append_time, offset });
        self
    }
}
