//! Shards and replicas, asked again from time to time, and what it takes to read the newest rows from one of them.

use std::sync::Arc;
use std::time::Duration;

use luminate_storage::Permit;
use tokio::sync::Mutex;

use crate::client::{ClientError, Host, Hosts, Statement, Topology};
use crate::config::ClickHouseConfig;
use crate::migrate::form::local_samples;

/// How long an answer is good for.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// How a table's rows get to other servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replication {
    /// They do not.
    None,
    /// By ClickHouse's replicas.
    Replicated,
    /// By a managed service.
    Shared,
}

impl Replication {
    /// Waits until a server has the rows of a table that other replicas have, where those are fetched from there.
    pub(crate) async fn catch_up(self, host: &Host, table: &str, limit: Duration) -> Result<(), ClientError> {
        match self {
            Self::None | Self::Shared => Ok(()),
            Self::Replicated => {
                let sync = format!("SYSTEM SYNC REPLICA {table} LIGHTWEIGHT");
                host.execute(Statement::new(sync).within(limit)).await
            }
        }
    }

    /// The statement as it sees all that was acknowledged before, where the server itself has to take care of that.
    pub(crate) fn current(self, statement: Statement) -> Statement {
        match self {
            Self::None | Self::Replicated => statement,
            Self::Shared => statement.setting("select_sequential_consistency", 1),
        }
    }
}

/// Shards, and what their servers are capable of.
pub(crate) struct Layout {
    pub(crate) topology: Topology,
    pub(crate) replication: Replication,
    /// Whether the servers have the newer of the two settings that switch deduplication on.
    pub(crate) knows_deduplicate_insert: bool,
}

/// The layout as it was found the last time.
#[derive(Default)]
pub(crate) struct LayoutCache {
    known: Mutex<Option<(Arc<Layout>, Duration)>>,
}

impl LayoutCache {
    /// The layout, read where it is not known or old. An old one that cannot be read again stays good.
    pub(crate) async fn get(&self, config: &ClickHouseConfig, hosts: &Hosts) -> Result<Arc<Layout>, ClientError> {
        let mut known = self.known.lock().await;
        let now = Permit::now();
        if let Some((layout, read_at)) = &*known
            && now.saturating_sub(*read_at) < GOOD_FOR
        {
            return Ok(Arc::clone(layout));
        }
        match (read(config, hosts).await, &mut *known) {
            (Ok(layout), known) => {
                let layout = Arc::new(layout);
                *known = Some((Arc::clone(&layout), now));
                Ok(layout)
            }
            (Err(error), Some((layout, read_at))) => {
                tracing::warn!(%error, "the cluster's layout cannot be read again; the known one is used");
                *read_at = now;
                Ok(Arc::clone(layout))
            }
            (Err(error), None) => Err(error),
        }
    }

    /// The layout as far as it is known.
    pub(crate) fn known(&self) -> Option<Arc<Layout>> {
        self.known.try_lock().ok()?.as_ref().map(|(layout, _)| Arc::clone(layout))
    }
}

async fn read(config: &ClickHouseConfig, hosts: &Hosts) -> Result<Layout, ClientError> {
    let topology = Topology::read(config, hosts).await?;
    let sql = "SELECT (SELECT any(engine) FROM system.tables WHERE database = {database:String} AND name = {table:String}), \
               (SELECT count() FROM system.settings WHERE name = 'deduplicate_insert')";
    let statement = Statement::new(sql)
        .text("database", &config.database)
        .text("table", local_samples(config))
        .within(config.insert.timeout.get());
    let rows: Vec<(Option<String>, u64)> = hosts.rows(&statement).await?;
    let (engine, settings) = rows.into_iter().next().unwrap_or_default();
    let engine = engine.unwrap_or_default();
    let replication = match () {
        () if engine.starts_with("Replicated") => Replication::Replicated,
        () if engine.starts_with("Shared") => Replication::Shared,
        () => Replication::None,
    };
    Ok(Layout { topology, replication, knows_deduplicate_insert: settings > 0 })
}
