//! What of a batch is stored: counted by where its rows come from.
//!
//! Not every row of a slice can be judged. Rows whose retention has passed are removed by the server, by its own clock, some
//! time later; rows of a tenant that was erased since may or may not be gone. So a slice is judged by the rows that nothing
//! can have removed: their number is found whole or not at all, because a slice is one part of the table. Where no row of a
//! slice can be judged so, any row that is found tells that the slice was stored.

use std::collections::BTreeMap;

use luminate_model::time::DAY_MS;
use luminate_model::{Offset, Source};
use luminate_storage::{Permit, StorageError};

use super::failure::unavailable;
use super::insert::time_limit;
use super::plan::{Plan, Slice};
use crate::client::statement::{PARAMETER_BYTES, lists};
use crate::client::{Host, Statement};
use crate::config::InsertConfig;
use crate::layout::Replication;

/// How far the server's clock may be ahead of ours, ms. Rows that expire within are not judged.
const CLOCKS_APART_MS: i64 = 3_600_000;
/// What was found of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is stored.
    Stored,
    /// Nothing of it is stored.
    Missing,
}

/// Where and as of when a batch's rows are counted.
pub(super) struct Counter<'a> {
    pub(super) host: &'a Host,
    pub(super) replication: Replication,
    /// Full name of the table.
    pub(super) table: &'a str,
    pub(super) source: Source,
    pub(super) first: Offset,
    pub(super) next: Offset,
    /// The moment by which retention is judged, ms since 1970: one for both sides of the comparison.
    pub(super) now: i64,
    pub(super) permit: Permit,
    pub(super) config: &'a InsertConfig,
}

impl Counter<'_> {
    /// The verdict on each slice of the plan.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] where a slice is there in part, or more than once.
    pub(super) async fn verdicts(&self, plan: &Plan<'_>) -> Result<Vec<Verdict>, StorageError> {
        if plan.slices.is_empty() {
            return Ok(Vec::new());
        }
        let limit = time_limit(self.config, self.permit)?;
        self.replication.catch_up(self.host, self.table, limit).await.map_err(unavailable)?;
        let kept_after = self.now + CLOCKS_APART_MS;
        let expected: Vec<u64> = plan.slices.iter().map(|slice| judged_rows(plan, slice, kept_after)).collect();
        let judged = self.count(plan, Some(kept_after)).await?;
        // Asked only where a slice has no row that can be judged.
        let any = if expected.contains(&0) { self.count(plan, None).await? } else { BTreeMap::new() };
        let slices = plan.slices.iter().zip(expected);
        slices
            .map(|(slice, expected)| {
                let name = slice.name();
                let found = judged.get(&name).copied().unwrap_or_default();
                match (expected, found) {
                    (0, 0) if any.contains_key(&name) => Ok(Verdict::Stored),
                    (_, 0) => Ok(Verdict::Missing),
                    (expected, found) if expected == found => Ok(Verdict::Stored),
                    (expected, found) => Err(self.in_part(name, expected, found)),
                }
            })
            .collect()
    }

    /// Rows of the batch by slice. With `kept_after` only those that can be judged.
    async fn count(&self, plan: &Plan<'_>, kept_after: Option<i64>) -> Result<BTreeMap<u32, u64>, StorageError> {
        let limit = time_limit(self.config, self.permit)?;
        let judging = kept_after.is_some();
        let mut tenants: Vec<&str> = plan
            .records
            .iter()
            .filter(|record| !(judging && record.is_cut))
            .map(|record| plan.tenants[record.tenant as usize])
            .collect();
        tenants.sort_unstable();
        tenants.dedup();
        let mut conditions = String::from(
            "source = {source:String} AND batch >= {first:UInt64} AND batch < {next:UInt64} \
             AND ts >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND ts <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')",
        );
        let times = || plan.records.iter().flat_map(|record| record.columns.parts().timestamps.iter().copied());
        let mut statement = Statement::new("")
            .text("source", &self.source.to_string())
            .number("first", self.first.0)
            .number("next", self.next.0)
            .number("from", times().min().unwrap_or_default())
            .number("to", times().max().unwrap_or_default());
        // All tenants, however many: rows of others cannot be judged. In one statement, because between two of them an insert
        // that is still on its way may become seen, and would look like a slice that is there in part.
        let mut of_tenants = Vec::new();
        for (at, list) in lists(tenants).into_iter().enumerate() {
            of_tenants.push(format!("tenant IN {{tenants{at}:Array(String)}}"));
            statement = statement.texts(format!("tenants{at}"), list);
        }
        if of_tenants.is_empty() {
            return Ok(BTreeMap::new());
        }
        conditions.push_str(&format!(" AND ({})", of_tenants.join(" OR ")));
        // Metrics only narrow: where they are too many for a parameter, the index does with time and batch.
        if let [metrics] = lists(plan.metrics.iter().copied()).as_slice()
            && metrics.iter().map(|metric| metric.len()).sum::<usize>() <= PARAMETER_BYTES
        {
            conditions.push_str(" AND metric IN {metrics:Array(String)}");
            statement = statement.texts("metrics", metrics.iter().copied());
        }
        if let Some(kept_after) = kept_after {
            conditions.push_str(
                " AND (retention_days = 0 OR \
                 toUnixTimestamp64Milli(ts) + toInt64(retention_days) * 86400000 > {kept_after:Int64})",
            );
            statement = statement.number("kept_after", kept_after);
        }
        statement = self.replication.current(statement);
        let sql =
            format!("SELECT toYYYYMMDD(ts) AS slice, count() FROM {} WHERE {conditions} GROUP BY slice", self.table);
        let rows: Vec<(u32, u64)> = self.host.rows(statement.with_sql(sql).within(limit)).await.map_err(unavailable)?;
        Ok(rows.into_iter().collect())
    }

    fn in_part(&self, slice: u32, expected: u64, found: u64) -> StorageError {
        let Self { source, first, next, table, .. } = self;
        StorageError::Damaged(format!(
            "slice {slice} of batch {first}..{next} of {source} in {table} has {found} rows where {expected} were sent"
        ))
    }
}

/// How many rows of a slice nothing can have removed.
fn judged_rows(plan: &Plan<'_>, slice: &Slice, kept_after: i64) -> u64 {
    let rows = plan.rows_of(slice, 0..slice.len()).filter(|(record, row)| {
        let parts = record.columns.parts();
        let sample = row.sample as usize;
        let days = i64::from(parts.retention_days[parts.sample_metric[sample] as usize]);
        !record.is_cut && (days == 0 || parts.timestamps[sample] + days * DAY_MS > kept_after)
    });
    rows.count() as u64
}
