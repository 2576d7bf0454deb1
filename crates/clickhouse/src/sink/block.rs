//! A slice as one block of the table of samples, column by column.

use std::ops::Range;

use super::native::{IndexWidth, NativeBytes};
use super::plan::{Plan, RecordRows, Row, Slice};

/// Names of the columns, for the statement that inserts.
pub(super) const COLUMN_NAMES: &str = "tenant, metric, ts, value, dimensions, retention_days, source, batch";
const COLUMNS: usize = 8;

/// What a block consists of, in this order: columns, of which the map has three parts (it is written as an array of pairs: ends
/// of the rows, then all keys, then all values).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Tenant,
    Metric,
    Time,
    Value,
    DimensionEnds,
    DimensionKeys,
    DimensionValues,
    RetentionDays,
    Source,
    Batch,
}

const PARTS: [Part; 10] = [
    Part::Tenant,
    Part::Metric,
    Part::Time,
    Part::Value,
    Part::DimensionEnds,
    Part::DimensionKeys,
    Part::DimensionValues,
    Part::RetentionDays,
    Part::Source,
    Part::Batch,
];

/// Pieces of a block are about this long: one is compressed and sent before the next one is made.
const PIECE_BYTES: usize = 1 << 20;
/// Rows between two looks at the length of a piece.
const ROWS_A_LOOK: usize = 4096;

/// Writes one slice as one block, in pieces. The same slice gives the same bytes.
pub(super) struct BlockEncoder<'p> {
    plan: &'p Plan<'p>,
    slice: &'p Slice,
    source: &'p str,
    out: NativeBytes,
    /// Place in [`PARTS`].
    part: usize,
    /// The next row of that part.
    row: usize,
    /// Dimensions of the rows whose ends were written.
    dimensions: u64,
    /// Of the dictionary that the part brought last.
    width: IndexWidth,
}

impl<'p> BlockEncoder<'p> {
    /// At the beginning of the block.
    pub(super) fn new(plan: &'p Plan<'p>, slice: &'p Slice, source: &'p str) -> Self {
        let mut out = NativeBytes::default();
        out.begin_block(COLUMNS, slice.len());
        Self { plan, slice, source, out, part: 0, row: 0, dimensions: 0, width: IndexWidth::One }
    }

    /// The next piece; `None` at the end.
    pub(super) fn next_piece(&mut self) -> Option<Vec<u8>> {
        while self.out.len() < PIECE_BYTES {
            let Some(&part) = PARTS.get(self.part) else { break };
            if self.row == 0 {
                self.begin(part);
            }
            let end = (self.row + ROWS_A_LOOK).min(self.slice.len());
            self.write(part, self.row..end);
            self.row = end;
            if end == self.slice.len() {
                self.part += 1;
                self.row = 0;
            }
        }
        // Looks at the length are far apart: the last one finds it a little over.
        (self.out.len() > 0).then(|| self.out.take(PIECE_BYTES + PIECE_BYTES / 4))
    }

    /// What comes before the rows of a part.
    fn begin(&mut self, part: Part) {
        match part {
            Part::Tenant => self.begin_low_cardinality("tenant", &self.plan.tenants),
            Part::Metric => self.begin_low_cardinality("metric", &self.plan.metrics),
            Part::Source => self.begin_low_cardinality("source", &[self.source]),
            Part::Time => self.out.begin_column("ts", "DateTime64(3, 'UTC')"),
            Part::Value => self.out.begin_column("value", "Float64"),
            Part::RetentionDays => self.out.begin_column("retention_days", "UInt16"),
            Part::Batch => self.out.begin_column("batch", "UInt64"),
            Part::DimensionEnds => {
                self.out.begin_column("dimensions", "Map(LowCardinality(String), String)");
                self.out.low_cardinality_version();
            }
            // A column of keys without keys has no dictionary.
            Part::DimensionKeys if self.dimensions > 0 => {
                self.width = self.out.low_cardinality_dictionary(&self.plan.keys, self.dimensions as usize);
            }
            Part::DimensionKeys | Part::DimensionValues => {}
        }
    }

    fn begin_low_cardinality(&mut self, name: &str, dictionary: &[&str]) {
        self.out.begin_column(name, "LowCardinality(String)");
        self.out.low_cardinality_version();
        self.width = self.out.low_cardinality_dictionary(dictionary, self.slice.len());
    }

    /// Rows of a part.
    fn write(&mut self, part: Part, rows: Range<usize>) {
        let (out, width) = (&mut self.out, self.width);
        let rows = self.plan.rows_of(self.slice, rows);
        match part {
            Part::Tenant => rows.for_each(|(record, _)| out.index(width, record.tenant)),
            Part::Metric => rows.for_each(|(record, row)| out.index(width, record.metrics[metric(record, row)])),
            Part::Time => {
                rows.for_each(|(record, row)| out.i64(record.columns.parts().timestamps[row.sample as usize]))
            }
            Part::Value => {
                rows.for_each(|(record, row)| out.f64(record.columns.parts().sample_values[row.sample as usize]))
            }
            Part::DimensionEnds => rows.for_each(|(record, row)| {
                self.dimensions += shape(record, row).len() as u64;
                out.u64(self.dimensions);
            }),
            Part::DimensionKeys => rows.for_each(|(record, row)| {
                shape(record, row).iter().for_each(|key| out.index(width, record.keys[*key as usize]));
            }),
            Part::DimensionValues => rows.for_each(|(record, row)| {
                let parts = record.columns.parts();
                let from = row.values as usize;
                for value in &parts.dimension_values[from..from + shape(record, row).len()] {
                    out.string(parts.values.get(*value).unwrap_or_default());
                }
            }),
            Part::RetentionDays => {
                rows.for_each(|(record, row)| out.u16(record.columns.parts().retention_days[metric(record, row)]));
            }
            Part::Source => rows.for_each(|_| out.index(width, 0)),
            Part::Batch => rows.for_each(|(record, _)| out.u64(record.batch)),
        }
    }
}

/// The record's metric of a row.
fn metric(record: &RecordRows<'_>, row: Row) -> usize {
    record.columns.parts().sample_metric[row.sample as usize] as usize
}

/// The keys of a row's dimensions, as places among the record's keys.
fn shape<'a>(record: &RecordRows<'a>, row: Row) -> &'a [u32] {
    record.columns.shape(record.columns.parts().sample_shape[row.sample as usize])
}
