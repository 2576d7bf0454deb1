//! Storing batches.
//!
//! A server cannot make samples and next offset durable in one step, and its deduplication tokens were seen to lose rows that
//! were acknowledged. So every row says where it comes from (`source`, `batch`), a writer notes an intent before it inserts,
//! and after any doubt the rows are counted. The token guards the race with an insert that is still on its way; the count is
//! the truth.
//!
//! | module | holds |
//! |---|---|
//! | `plan` | a batch as rows, sorted and cut into slices |
//! | `block` | a slice as one block of columns |
//! | `native` | the primitives of the Native format |
//! | `insert` | one slice, one insert, one token |
//! | `settle` | what of a batch is stored, by count |
//! | `ledger` | which records are erased |
//! | `erase` | removing what the ledger covers |
//! | `incarnations` | from which incarnations of a topic samples were taken |
//! | `provenance` | what is stored, for comparing it with the queue |
//! | `refusal` | whether batches were refused lately, for health |
//! | `failure` | a statement's error as the store's |

mod block;
mod erase;
mod failure;
mod incarnations;
mod insert;
mod ledger;
mod native;
mod plan;
mod provenance;
mod refusal;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Incarnation, Offset, Source, TenantId};
use luminate_runtime::clock::Clock;
use luminate_storage::{
    Batch, Erased, IntentSink, NotedErasure, Permit, Resume, SampleSink, StorageError, StoreTarget, Stored,
};

use self::erase::Eraser;
use self::failure::unavailable;
use self::incarnations::Incarnations;
use self::insert::{Inserter, time_limit};
use self::plan::{ErasedEnds, Plan};
use self::refusal::LastRefusals;
use self::settle::{Counter, Verdict};
use crate::client::{ClientError, Host, Hosts, Shard, Statement};
use crate::config::{ClickHouseConfig, is_plain_name};
use crate::layout::{Layout, LayoutCache};
use crate::migrate::form::local_samples;

/// How rows are cut into slices and named, as intents have it.
const FORMAT: u32 = 1;
/// How many tokens of one slice are tried. Each that a server drops without having the rows was left by a crash.
const MAX_ATTEMPTS: u32 = 10;

/// Time for the whole cluster to have what was noted.
const SYNC_LIMIT: Duration = Duration::from_secs(600);

/// Stores batches in ClickHouse. Opens no connection before it is used.
pub struct ClickHouseSink {
    config: ClickHouseConfig,
    hosts: Hosts,
    layout: LayoutCache,
    clock: Clock,
    refusals: LastRefusals,
}

/// What one batch needs: its shard's server, and what is known there.
struct Place<'a> {
    host: &'a Host,
    layout: &'a Layout,
    table: String,
    erased: ErasedEnds,
}

impl ClickHouseSink {
    /// A sink of the configured servers. `clock` judges retention.
    ///
    /// # Errors
    /// [`ClientError::Config`]
    pub fn new(config: ClickHouseConfig, clock: Clock) -> Result<Self, ClientError> {
        let hosts = Hosts::new(&config)?;
        Ok(Self { config, hosts, layout: LayoutCache::default(), clock, refusals: LastRefusals::default() })
    }

    async fn layout(&self) -> Result<Arc<Layout>, StorageError> {
        self.layout.get(&self.config, &self.hosts).await.map_err(unavailable)
    }

    /// A server of the target's shard that answers, with what the ledger says of the batch. Reading the ledger first shows, as
    /// late as possible, whether the server is there: everything else about the batch goes to the same one.
    async fn place<'a>(
        &'a self,
        layout: &'a Layout,
        target: &StoreTarget,
        batch: &Batch,
        permit: Permit,
    ) -> Result<Place<'a>, StorageError> {
        if target.format != FORMAT || !is_plain_name(&target.table) {
            let StoreTarget { table, format, .. } = target;
            let intent = format!("table `{table}`, format {format}");
            return Err(StorageError::Damaged(format!("an intent names {intent}, which this version does not know")));
        }
        let shard = layout.topology.shard(&target.shard).ok_or_else(|| {
            StorageError::Unavailable(format!("the cluster has no shard `{}`, which an intent names", target.shard))
        })?;
        let database = self.config.database.as_str();
        let mut last = StorageError::Unavailable(format!("shard `{}` has no replica", target.shard));
        for host in shard.replicas.in_turn() {
            let limit = time_limit(&self.config.insert, permit)?;
            match ledger::ends(host, database, &batch.source, batch.first, limit).await {
                Ok(erased) => {
                    let table = format!("{database}.{}", target.table);
                    return Ok(Place { host, layout, table, erased });
                }
                Err(error) if error.is_retryable() => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn inserter<'a>(&'a self, place: &'a Place<'a>, batch: &Batch, permit: Permit) -> Inserter<'a> {
        Inserter {
            host: place.host,
            layout: place.layout,
            config: &self.config.insert,
            table: &place.table,
            source: batch.source,
            first: batch.first,
            next: batch.next,
            permit,
        }
    }

    fn eraser<'a>(&'a self, layout: &Layout, shard: &'a Shard) -> Eraser<'a> {
        let (database, table) = (self.config.database.as_str(), local_samples(&self.config));
        Eraser { shard, replication: layout.replication, database, table }
    }

    /// Writes rows to the ledger and waits until every server has them.
    async fn note(&self, erasure: &NotedErasure, finished: bool) -> Result<(), StorageError> {
        let database = self.config.database.as_str();
        let mut last = None;
        for host in self.hosts.in_turn() {
            match ledger::note(host, database, erasure, finished).await {
                Ok(()) => {
                    last = None;
                    break;
                }
                // Noting twice is harmless.
                Err(error) if error.is_of_the_host() => last = Some(error),
                Err(error) => return Err(unavailable(error)),
            }
        }
        if let Some(error) = last {
            return Err(unavailable(error));
        }
        if let Some(cluster) = &self.config.cluster {
            let sync = format!("SYSTEM SYNC REPLICA ON CLUSTER '{cluster}' {database}.erasures");
            self.hosts.execute(&Statement::new(sync).within(SYNC_LIMIT)).await.map_err(unavailable)?;
        }
        Ok(())
    }
}

#[async_trait]
impl SampleSink for ClickHouseSink {
    async fn resume(&self, _source: &Source) -> Result<Resume, StorageError> {
        Ok(Resume::default())
    }

    async fn write(&self, batch: Batch) -> Result<Stored, StorageError> {
        let target = self.target(&batch.source).await?;
        self.settle(&batch, &target, Permit::unlimited()).await
    }

    async fn note_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        let mut ends: BTreeMap<Source, Offset> = BTreeMap::new();
        let layout = self.layout().await?;
        for shard in layout.topology.shards() {
            for (source, end) in self.eraser(&layout, shard).stored_ends(&erasure.tenant).await? {
                let known = ends.entry(source).or_default();
                *known = end.max(*known);
            }
        }
        ends.extend(erasure.up_to.iter().copied());
        if ends.is_empty() {
            return Ok(());
        }
        let erasure = NotedErasure { tenant: erasure.tenant.clone(), up_to: ends.into_iter().collect() };
        self.note(&erasure, false).await
    }

    async fn remove_erased(&self, tenant: &TenantId) -> Result<Erased, StorageError> {
        let mut samples = 0;
        for (erasure, _) in self.erasures(Some(tenant)).await? {
            let layout = self.layout().await?;
            for shard in layout.topology.shards() {
                samples += self.eraser(&layout, shard).remove(&erasure).await?;
            }
        }
        Ok(Erased { samples })
    }

    async fn unfinished_erasures(&self) -> Result<Vec<NotedErasure>, StorageError> {
        let erasures = self.erasures(None).await?.into_iter();
        Ok(erasures.filter(|(_, finished)| !finished).map(|(erasure, _)| erasure).collect())
    }

    async fn finish_erasure(&self, erasure: &NotedErasure) -> Result<(), StorageError> {
        // What was noted of sources that the caller did not name is finished with the rest, unless a later one has more.
        let mut finished = erasure.clone();
        for (noted, _) in self.erasures(Some(&erasure.tenant)).await? {
            let named: BTreeMap<Source, Offset> = erasure.up_to.iter().copied().collect();
            finished.up_to.extend(noted.up_to.into_iter().filter(|(source, _)| !named.contains_key(source)));
        }
        if finished.up_to.is_empty() { Ok(()) } else { self.note(&finished, true).await }
    }

    fn writable(&self) -> Result<(), String> {
        self.refusals.check()?;
        match self.layout.known() {
            Some(layout) => layout.topology.shards().iter().try_for_each(|shard| shard.replicas.reachable()),
            None => self.hosts.reachable(),
        }
    }

    fn intents(&self) -> Option<&dyn IntentSink> {
        Some(self)
    }
}

impl ClickHouseSink {
    async fn erasures(&self, tenant: Option<&TenantId>) -> Result<Vec<(NotedErasure, bool)>, StorageError> {
        let mut last = StorageError::Unavailable("there is no server".to_owned());
        for host in self.hosts.in_turn() {
            match ledger::read(host, &self.config.database, tenant).await {
                Err(error) if error.is_retryable() => last = error,
                read => return read,
            }
        }
        Err(last)
    }

    fn incarnations<'a>(&'a self, host: &'a Host, layout: &Layout) -> Incarnations<'a> {
        Incarnations {
            host,
            database: &self.config.database,
            replication: layout.replication,
            quorum: &self.config.insert.quorum,
        }
    }
}

#[async_trait]
impl IntentSink for ClickHouseSink {
    async fn target(&self, source: &Source) -> Result<StoreTarget, StorageError> {
        let layout = self.layout().await?;
        let shards = layout.topology.shards();
        // Partitions of one topic go to the shards in turn, topics begin anywhere.
        let start = source.incarnation.0.iter().fold(0_u64, |sum, byte| sum + u64::from(*byte));
        let at = (start + u64::from(source.partition)) % shards.len().max(1) as u64;
        let shard = shards.get(at as usize);
        let shard = shard.ok_or_else(|| StorageError::Unavailable("the cluster has no shards".to_owned()))?;
        let table = local_samples(&self.config).to_owned();
        Ok(StoreTarget { shard: shard.name.clone(), table, format: FORMAT })
    }

    async fn last_batch(&self, source: &Source) -> Result<Option<Offset>, StorageError> {
        self.last_batch_of(source).await
    }

    async fn known_incarnations(&self, topic: &str) -> Result<Vec<Incarnation>, StorageError> {
        let layout = self.layout().await?;
        let mut last = StorageError::Unavailable("there is no server".to_owned());
        for host in self.hosts.in_turn() {
            match self.incarnations(host, &layout).known(topic).await {
                Err(error) if error.is_retryable() => last = error,
                known => return known,
            }
        }
        Err(last)
    }

    async fn note_incarnation(&self, topic: &str, incarnation: Incarnation) -> Result<(), StorageError> {
        let layout = self.layout().await?;
        let mut last = StorageError::Unavailable("there is no server".to_owned());
        for host in self.hosts.in_turn() {
            match self.incarnations(host, &layout).note(topic, incarnation).await {
                // Noting twice is harmless.
                Err(error) if error.is_of_the_host() => last = unavailable(error),
                noted => return noted.map_err(unavailable),
            }
        }
        Err(last)
    }

    async fn insert(&self, batch: &Batch, target: &StoreTarget, permit: Permit) -> Result<Stored, StorageError> {
        self.refusals.note(&target.shard, self.insert_batch(batch, target, permit).await)
    }

    async fn settle(&self, batch: &Batch, target: &StoreTarget, permit: Permit) -> Result<Stored, StorageError> {
        self.refusals.note(&target.shard, self.settle_batch(batch, target, permit).await)
    }
}

impl ClickHouseSink {
    async fn insert_batch(&self, batch: &Batch, target: &StoreTarget, permit: Permit) -> Result<Stored, StorageError> {
        permit.remaining()?;
        let layout = self.layout().await?;
        let place = self.place(&layout, target, batch, permit).await?;
        let plan = aside(|| Plan::new(batch, &place.erased))?;
        let inserter = self.inserter(&place, batch, permit);
        for (at, slice) in plan.slices.iter().enumerate() {
            inserter.insert(&plan, slice, 1).await.map_err(|error| match error {
                // Something was sent: the batch is in doubt.
                StorageError::PermitExpired if at > 0 => {
                    StorageError::Unavailable("the permission to store ended between slices".to_owned())
                }
                error => error,
            })?;
        }
        Ok(Stored { already: false, samples: plan.len() as u64, erased: plan.erased })
    }

    async fn settle_batch(&self, batch: &Batch, target: &StoreTarget, permit: Permit) -> Result<Stored, StorageError> {
        permit.remaining()?;
        let layout = self.layout().await?;
        let place = self.place(&layout, target, batch, permit).await?;
        let plan = aside(|| Plan::new(batch, &place.erased))?;
        let inserter = self.inserter(&place, batch, permit);
        let counter = Counter {
            host: place.host,
            replication: layout.replication,
            table: &place.table,
            source: batch.source,
            first: batch.first,
            next: batch.next,
            now: (self.clock)(),
            permit,
            config: &self.config.insert,
        };
        let mut verdicts = counter.verdicts(&plan).await?;
        let mut samples = 0;
        for attempt in 1..=MAX_ATTEMPTS {
            let missing = plan.slices.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Missing);
            let missing: Vec<_> = missing.map(|(slice, _)| slice).collect();
            if missing.is_empty() {
                let already = samples == 0 && (plan.len() > 0 || plan.erased > 0);
                return Ok(Stored { already, samples, erased: plan.erased });
            }
            if attempt == 1 {
                samples = missing.iter().map(|slice| slice.len() as u64).sum();
            } else {
                tracing::warn!(source = %batch.source, first = %batch.first, attempt, "a token was known and its rows are missing");
            }
            for slice in missing {
                inserter.insert(&plan, slice, attempt).await?;
            }
            verdicts = counter.verdicts(&plan).await?;
        }
        let Batch { source, first, next, .. } = batch;
        Err(StorageError::Damaged(format!(
            "the server dropped {MAX_ATTEMPTS} inserts of batch {first}..{next} of {source}, and its rows are missing"
        )))
    }
}

/// Runs what keeps a thread busy for tens of milliseconds so that other tasks go on, where the runtime can do that.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
