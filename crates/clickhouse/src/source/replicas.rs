//! Replicas that show what was acknowledged, whichever of them is asked.
//!
//! An insert is acknowledged when a quorum of a shard's replicas has it, and a query may be answered by any of them: in a cluster
//! ClickHouse itself chooses one of each shard. So what a receipt stands for is fetched by all replicas first.

use std::time::Duration;

use luminate_storage::StorageError;
use tokio::task::JoinSet;

use crate::client::{ClientError, Hosts, Shard, Statement};
use crate::config::ClickHouseConfig;
use crate::layout::{LayoutCache, Replication};
use crate::migrate::form::local_samples;

/// Time for one replica to fetch what it lacks. Whoever waits for a receipt mostly waits less long.
const LIMIT: Duration = Duration::from_secs(60);

/// One that says nothing for so long is not there, and not slow in fetching.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Brings replicas up to date, as a user who may.
pub(super) struct Replicas {
    config: ClickHouseConfig,
    hosts: Hosts,
    layout: LayoutCache,
}

impl Replicas {
    /// The replicas of the configured servers. Connects to none of them.
    ///
    /// # Errors
    /// [`ClientError::Config`]
    pub(super) fn new(config: &ClickHouseConfig) -> Result<Self, ClientError> {
        let mut config = config.clone();
        if let Some(user) = config.replica_sync.take() {
            (config.username, config.password) = (user.username, user.password);
        }
        Ok(Self { hosts: Hosts::new(&config)?, config, layout: LayoutCache::default() })
    }

    /// Waits until every replica that answers has the rows that any had when this was called; of each shard one has to answer. One
    /// that does not answer now, and does when it is asked, may lack some.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]
    pub(super) async fn catch_up(&self) -> Result<(), StorageError> {
        // One endpoint: what a service behind it does is for it to say (docs/clickhouse.md).
        if self.config.cluster.is_none() {
            return Ok(());
        }
        let layout = self.layout.get(&self.config, &self.hosts).await.map_err(unavailable)?;
        if layout.replication != Replication::Replicated {
            return Ok(());
        }
        for shard in layout.topology.shards() {
            self.catch_up_with(shard).await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn catch_up_with(&self, shard: &Shard) -> Result<(), ClientError> {
        let table = format!("{}.{}", self.config.database, local_samples(&self.config));
        let mut asked = JoinSet::new();
        for host in shard.replicas.all() {
            let (host, table) = (host.clone(), table.clone());
            asked.spawn(async move {
                host.rows::<(u8,)>(Statement::new("SELECT 1").within(ANSWER_WITHIN)).await?;
                Replication::Replicated.catch_up(&host, &table, LIMIT).await
            });
        }
        let mut last = ClientError::Statement(format!("shard `{}` has no replica", shard.name));
        let mut caught_up = false;
        while let Some(done) = asked.join_next().await {
            match done {
                Ok(Ok(())) => caught_up = true,
                Ok(Err(error)) if error.is_of_the_host() => {
                    tracing::debug!(%error, "a replica is not brought up to date");
                    last = error;
                }
                Ok(Err(error)) => return Err(error),
                Err(panicked) => return Err(ClientError::Statement(panicked.to_string())),
            }
        }
        if caught_up { Ok(()) } else { Err(last) }
    }
}

fn unavailable(error: ClientError) -> StorageError {
    StorageError::Unavailable(format!("replicas are not brought up to date: {error}"))
}
