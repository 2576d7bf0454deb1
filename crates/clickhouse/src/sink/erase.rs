//! Removing what the ledger covers.

use std::collections::BTreeSet;
use std::time::Duration;

use luminate_model::{Offset, Source, TenantId};
use luminate_storage::{NotedErasure, StorageError};

use super::failure::unavailable;
use super::ledger::SOURCES_AT_ONCE;
use crate::client::{ClientError, Host, Shard, Statement};
use crate::layout::Replication;

/// Time between two looks at whether files are gone.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time for such a look.
const LOOK_LIMIT: Duration = Duration::from_secs(60);
/// Time to find a tenant's rows.
const SEARCH_LIMIT: Duration = Duration::from_secs(600);
/// Time that a mutation may take, and that files of replaced parts may take to go. A repeat goes on.
const LONGEST: Duration = Duration::from_secs(3600);

/// Where and whose rows are removed.
pub(super) struct Eraser<'a> {
    pub(super) shard: &'a Shard,
    pub(super) replication: Replication,
    pub(super) database: &'a str,
    /// Name of the table of one server's rows.
    pub(super) table: &'a str,
}

impl Eraser<'_> {
    /// The end of each source of which the shard has rows of a tenant.
    pub(super) async fn stored_ends(&self, tenant: &TenantId) -> Result<Vec<(Source, Offset)>, StorageError> {
        let table = self.full_name();
        let sql = format!("SELECT source, max(batch) FROM {table} WHERE tenant = {{tenant:String}} GROUP BY source");
        let statement = Statement::new(sql).text("tenant", tenant.as_str()).within(SEARCH_LIMIT);
        let host = self.caught_up().await.map_err(unavailable)?;
        let rows: Vec<(String, u64)> = host.rows(self.replication.current(statement)).await.map_err(unavailable)?;
        let parse = |source: &str| {
            source.parse().map_err(|_| StorageError::Damaged(format!("rows of the source `{source}`, which cannot be")))
        };
        rows.into_iter().map(|(source, batch)| Ok((parse(&source)?, Offset(batch).next()))).collect()
    }

    /// Removes the rows and waits until their files are gone; returns how many there were.
    pub(super) async fn remove(&self, erasure: &NotedErasure) -> Result<u64, StorageError> {
        let mut rows = 0;
        for condition in covered(erasure) {
            rows += self.remove_rows(&condition).await?;
        }
        for host in self.shard.replicas.all() {
            self.wait_for_files(host).await?;
        }
        Ok(rows)
    }

    /// Removes the rows that meet the condition; returns how many there were.
    async fn remove_rows(&self, condition: &str) -> Result<u64, StorageError> {
        let table = self.full_name();
        let count = Statement::new(format!("SELECT count() FROM {table} WHERE {condition}")).within(SEARCH_LIMIT);
        // One server for all of it: it knows of every row before it is asked, and of the deletion afterwards.
        let host = self.caught_up().await.map_err(unavailable)?;
        let rows = self.count(host, &count).await?;
        if rows > 0 {
            let delete = Statement::new(format!("ALTER TABLE {table} DELETE WHERE {condition}"))
                .setting("mutations_sync", 2)
                .setting("max_execution_time", LONGEST.as_secs())
                .within(LONGEST);
            host.execute(delete).await.map_err(unavailable)?;
            let left = self.count(host, &count).await?;
            if left > 0 {
                return Err(StorageError::Unavailable(format!("{left} rows are left of those that are to be erased")));
            }
        }
        Ok(rows)
    }

    async fn count(&self, host: &Host, statement: &Statement) -> Result<u64, StorageError> {
        let rows: Vec<(u64,)> = host.rows(self.replication.current(statement.clone())).await.map_err(unavailable)?;
        Ok(rows.first().map_or(0, |(count,)| *count))
    }

    /// A server of the shard that has what every other one has acknowledged.
    async fn caught_up(&self) -> Result<&Host, ClientError> {
        let mut last = ClientError::Statement(format!("shard `{}` has no replica", self.shard.name));
        for host in self.shard.replicas.in_turn() {
            // A plain server has to answer as well, so that one that is away is passed over.
            let asked = async {
                self.replication.catch_up(host, &self.full_name(), SEARCH_LIMIT).await?;
                host.rows::<(u8,)>(Statement::new("SELECT 1").within(LOOK_LIMIT)).await
            };
            match asked.await {
                Ok(_) => return Ok(host),
                Err(error) if error.is_of_the_host() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn full_name(&self) -> String {
        format!("{}.{}", self.database, self.table)
    }

    /// Waits until the parts that are replaced now, the tenant's among them, are deleted.
    async fn wait_for_files(&self, host: &Host) -> Result<(), StorageError> {
        let sql = "SELECT name FROM system.parts WHERE database = {database:String} AND table = {table:String} AND NOT active";
        let statement =
            Statement::new(sql).text("database", self.database).text("table", self.table).within(LOOK_LIMIT);
        let replaced = async || -> Result<BTreeSet<String>, StorageError> {
            let rows: Vec<(String,)> = host.rows(statement.clone()).await.map_err(unavailable)?;
            Ok(rows.into_iter().map(|(name,)| name).collect())
        };
        let mut waiting_for = replaced().await?;
        let looks = LONGEST.as_secs() / LOOK_EVERY.as_secs();
        for _ in 0..looks {
            if waiting_for.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
            let still = replaced().await?;
            waiting_for.retain(|name| still.contains(name));
        }
        Err(StorageError::Unavailable(format!("{} parts of before the erasure are not deleted yet", waiting_for.len())))
    }
}

/// The conditions on rows that the erasure covers: as many as a text holds, because texts have a limit. Tenants and sources are of
/// a few plain characters by their types: they can stand in the text, and in a mutation, which is kept as text, they must.
fn covered(erasure: &NotedErasure) -> impl Iterator<Item = String> {
    let tenant = erasure.tenant.as_str();
    erasure.up_to.chunks(SOURCES_AT_ONCE).map(move |some| {
        let sources = some.iter().map(|(source, next)| format!("(source = '{source}' AND batch < {next})"));
        let sources: Vec<String> = sources.collect();
        format!("tenant = '{tenant}' AND ({})", sources.join(" OR "))
    })
}

#[cfg(test)]
mod tests {
    use luminate_model::Incarnation;

    use super::*;

    #[test]
    fn conditions_fit_into_statements() {
        let source = |partition| Source { incarnation: Incarnation([0; 16]), partition: u32::MAX - partition };
        #[allow(clippy::disallowed_methods, clippy::unwrap_used)]
        let tenant = TenantId::parse(&"t".repeat(64)).unwrap();
        let up_to = (0..10_000).map(|partition| (source(partition), Offset(u64::MAX))).collect();
        let conditions: Vec<String> = covered(&NotedErasure { tenant, up_to }).collect();
        // `max_query_size` of a server is 256 KiB unless told.
        assert!(conditions.iter().all(|condition| condition.len() < 200 << 10));
        assert_eq!(conditions.iter().map(|condition| condition.matches("source =").count()).sum::<usize>(), 10_000);
    }

    #[test]
    fn the_condition_names_every_source() {
        let source = |partition| Source { incarnation: Incarnation([0; 16]), partition };
        #[allow(clippy::disallowed_methods, clippy::unwrap_used)]
        let tenant = TenantId::parse("acme").unwrap();
        let erasure = NotedErasure { tenant, up_to: vec![(source(0), Offset(7)), (source(1), Offset(9))] };
        assert_eq!(
            covered(&erasure).collect::<Vec<_>>(),
            ["tenant = 'acme' AND ((source = 'AAAAAAAAAAAAAAAAAAAAAA/0' AND batch < 7) OR \
              (source = 'AAAAAAAAAAAAAAAAAAAAAA/1' AND batch < 9))"]
        );
    }
}
