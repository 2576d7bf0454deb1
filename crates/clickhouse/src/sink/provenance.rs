//! What is stored, by where it came from. Digests are computed in the server.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{ProvenanceScope, ProvenanceSource, RowsDigest, StorageError, StoredRow, StoredRows};
use serde::de::DeserializeOwned;

use super::ClickHouseSink;
use super::failure::unavailable;
use super::ledger;
use crate::client::{Shard, Statement};
use crate::layout::Replication;
use crate::migrate::form::local_samples;

/// Time for one question. All rows of a source may have to be looked at.
const LIMIT: Duration = Duration::from_secs(600);

/// Single rows are asked for in so many answers, each with its share of the fingerprints: an answer is bounded in bytes.
const SHARES: u64 = 16;

/// [`luminate_storage::row_fingerprint`] in SQL.
const FINGERPRINT: &str = "xxh3(concat(\
    toString(length(tenant)), ':', tenant, toString(length(metric)), ':', metric, \
    toString(toUnixTimestamp64Milli(ts)), '/', toString(reinterpretAsUInt64(value)), '/', \
    arrayStringConcat(arrayMap((k, v) -> concat(toString(length(k)), ':', k, toString(length(v)), ':', v), \
        mapKeys(dimensions), mapValues(dimensions)))))";

/// Tenants that one parameter names: it may have 128 KiB, and a tenant has at most 64 bytes.
const TENANTS_AT_ONCE: usize = 1000;

/// A batch, its rows and their sum, its cut rows and their sum.
type BatchAnswer = (u64, u64, u64, u64, u64);

impl ClickHouseSink {
    /// Asks one replica of each shard.
    async fn ask_shards<T: DeserializeOwned>(
        &self,
        statement: &Statement,
    ) -> Result<Vec<(String, Vec<T>)>, StorageError> {
        let layout = self.layout().await?;
        let mut answers = Vec::new();
        for shard in layout.topology.shards() {
            answers.push((shard.name.clone(), self.ask(shard, layout.replication, statement).await?));
        }
        Ok(answers)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        shard: &Shard,
        replication: Replication,
        statement: &Statement,
    ) -> Result<Vec<T>, StorageError> {
        let statement = replication.current(statement.clone().within(LIMIT));
        let mut last = StorageError::Unavailable(format!("shard `{}` has no replica", shard.name));
        for host in shard.replicas.in_turn() {
            let asked = async {
                replication.catch_up(host, &self.table(), LIMIT).await?;
                host.rows(statement.clone()).await
            };
            match asked.await {
                Ok(rows) => return Ok(rows),
                Err(error) if error.is_of_the_host() => last = unavailable(error),
                Err(error) => return Err(unavailable(error)),
            }
        }
        Err(last)
    }

    /// The last batch of a source that any shard has rows of.
    pub(super) async fn last_batch_of(&self, source: &Source) -> Result<Option<Offset>, StorageError> {
        let sql = format!("SELECT count(), max(batch) FROM {} WHERE source = {{source:String}}", self.table());
        let statement = Statement::new(sql).text("source", &source.to_string());
        let shards = self.ask_shards::<(u64, u64)>(&statement).await?;
        let batches = shards.into_iter().flat_map(|(_, rows)| rows).filter(|(rows, _)| *rows > 0);
        Ok(batches.map(|(_, batch)| Offset(batch)).max())
    }

    fn table(&self) -> String {
        format!("{}.{}", self.config.database, local_samples(&self.config))
    }

    /// `SELECT columns` of the rows of a scope, then `rest`; `erased_end` may be used.
    fn within(&self, scope: &ProvenanceScope, columns: &str, rest: &str) -> Statement {
        let statement = Statement::new("")
            .text("source", &scope.source.to_string())
            .number("first", scope.first.0)
            .number("next", scope.next.0)
            .number("kept_after", scope.kept_after);
        let (statement, erased_end) = erased_end(statement, &scope.erased);
        statement.with_sql(format!(
            "WITH {erased_end} AS erased_end SELECT {columns} FROM {} WHERE source = {{source:String}} \
             AND batch >= {{first:UInt64}} AND batch < {{next:UInt64}} AND batch >= erased_end AND (retention_days = 0 OR \
             toUnixTimestamp64Milli(ts) + toInt64(retention_days) * 86400000 > {{kept_after:Int64}}) {rest}",
            self.table()
        ))
    }
}

/// An expression of where the erasure of a row's tenant ends, 0 where there is none, and the statement with its parameters.
fn erased_end(statement: Statement, erased: &BTreeMap<TenantId, Offset>) -> (Statement, String) {
    let (mut statement, mut expression) = (statement, "toUInt64(0)".to_owned());
    let erased: Vec<(&str, u64)> = erased.iter().map(|(tenant, end)| (tenant.as_str(), end.0)).collect();
    for (at, some) in erased.chunks(TENANTS_AT_ONCE).enumerate() {
        statement = statement
            .texts(format!("erased_tenants{at}"), some.iter().map(|(tenant, _)| *tenant))
            .numbers(format!("erased_ends{at}"), some.iter().map(|(_, end)| *end));
        expression = format!(
            "transform(toString(tenant), {{erased_tenants{at}:Array(String)}}, {{erased_ends{at}:Array(UInt64)}}, {expression})"
        );
    }
    (statement, expression)
}

#[async_trait]
impl ProvenanceSource for ClickHouseSink {
    async fn stored_sources(&self) -> Result<Vec<Source>, StorageError> {
        let sql = format!("SELECT DISTINCT source FROM {}", self.table());
        let mut sources = Vec::new();
        for (_, rows) in self.ask_shards::<(String,)>(&Statement::new(sql)).await? {
            for (source,) in rows {
                let unknown = |_| StorageError::Damaged(format!("rows of the source `{source}`, which cannot be"));
                sources.push(source.parse().map_err(unknown)?);
            }
        }
        sources.sort_unstable();
        sources.dedup();
        Ok(sources)
    }

    async fn erased_ends(&self, source: &Source) -> Result<BTreeMap<TenantId, Offset>, StorageError> {
        let mut last = StorageError::Unavailable("there is no server".to_owned());
        for host in self.hosts.in_turn() {
            match ledger::ends(host, &self.config.database, source, Offset(0), LIMIT).await {
                Err(error) if error.is_retryable() => last = error,
                read => return read,
            }
        }
        Err(last)
    }

    async fn last_batch(&self, scope: &ProvenanceScope) -> Result<Option<Offset>, StorageError> {
        let statement = self.within(scope, "max(batch), count()", "AND batch != erased_end");
        let answers = self.ask_shards::<(u64, u64)>(&statement).await?;
        let found = answers.into_iter().flat_map(|(_, rows)| rows).filter(|(_, rows)| *rows > 0);
        Ok(found.map(|(batch, _)| Offset(batch)).max())
    }

    async fn batches(&self, scope: &ProvenanceScope, limit: usize) -> Result<Vec<StoredRows>, StorageError> {
        let cut = "erased_end > 0 AND batch = erased_end";
        let columns = format!(
            "batch, countIf(NOT ({cut})), sumIf({FINGERPRINT}, NOT ({cut})), countIf({cut}), sumIf({FINGERPRINT}, {cut})"
        );
        let statement =
            self.within(scope, &columns, "GROUP BY batch ORDER BY batch LIMIT {limit:UInt64}").number("limit", limit);
        let answers = self.ask_shards::<BatchAnswer>(&statement).await?;
        Ok(merged(answers, limit))
    }

    async fn rows(&self, scope: &ProvenanceScope) -> Result<Vec<StoredRow>, StorageError> {
        // Rounded down by hand: conversions to days end in 1970 or in 2149.
        let day = "toInt64(floor(toUnixTimestamp64Milli(ts) / 86400000))";
        let columns = format!("batch, {day} AS day, {FINGERPRINT} AS fingerprint, count()");
        let group = "GROUP BY batch, day, fingerprint HAVING fingerprint % {shares:UInt64} = {share:UInt64}";
        let mut rows = Vec::new();
        for share in 0..SHARES {
            let statement = self.within(scope, &columns, group).number("shares", SHARES).number("share", share);
            for (_, answer) in self.ask_shards::<(u64, i64, u64, u64)>(&statement).await? {
                rows.extend(answer.into_iter().map(|(batch, day, fingerprint, count)| StoredRow {
                    batch: Offset(batch),
                    day,
                    fingerprint,
                    count,
                }));
            }
        }
        Ok(rows)
    }
}

/// The batches of all shards. Where one has more than it has told, what the others have beyond its last is left for later.
fn merged(answers: Vec<(String, Vec<BatchAnswer>)>, limit: usize) -> Vec<StoredRows> {
    let cut_off = answers.iter().filter(|(_, rows)| rows.len() >= limit).filter_map(|(_, rows)| rows.last());
    let complete_to = cut_off.map(|row| row.0).min().unwrap_or(u64::MAX);
    let mut batches = BTreeMap::<u64, StoredRows>::new();
    for (shard, rows) in answers {
        for (batch, rows, checksum, cut_rows, cut_checksum) in rows.into_iter().filter(|row| row.0 <= complete_to) {
            let nothing = RowsDigest::default();
            let stored = batches.entry(batch).or_insert_with(|| StoredRows {
                batch: Offset(batch),
                rows: nothing,
                cut: nothing,
                shards: Vec::new(),
            });
            stored.rows.merge(RowsDigest { rows, checksum });
            stored.cut.merge(RowsDigest { rows: cut_rows, checksum: cut_checksum });
            stored.shards.push(shard.clone());
        }
    }
    batches.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_batch_is_told_before_all_shards_have_told_theirs() {
        let of =
            |shard: &str, batches: &[u64]| (shard.to_owned(), batches.iter().map(|at| (*at, 1, 5, 0, 0)).collect());
        let batches = merged(vec![of("a", &[0, 4]), of("b", &[4, 9]), of("c", &[2])], 2);
        let told: Vec<_> =
            batches.iter().map(|stored| (stored.batch.0, stored.rows.rows, stored.shards.len())).collect();
        assert_eq!(told, [(0, 1, 1), (2, 1, 1), (4, 2, 2)]);
    }
}
