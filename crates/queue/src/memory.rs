//! A complete queue in memory, for tests: it keeps every promise of the traits but durability, and can be told to fail.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`MemoryQueue`]: publishing, bounds, closing, a restart |
//! | `log` | the records of a partition |
//! | `faults` | what tests can have go wrong |
//! | `consumer` | assignments and reading |
//! | `dead_letters` | dead letters |

mod consumer;
mod dead_letters;
mod faults;
mod log;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Incarnation, Offset, Source};
use tokio::sync::{mpsc, watch};

use crate::{
    Assignment, DeadLetter, DeadLetterId, Placement, Producer, PublishError, QueueAdmin, QueueError, Record,
    partition_of,
};

pub use consumer::MemoryConsumer;
pub use faults::{HeldAcknowledgements, PublishFault};

use faults::Faults;
use log::PartitionLog;

/// What a client is told about trying again while the queue is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The shape and the bounds of a [`MemoryQueue`].
#[derive(Debug, Clone, Copy)]
pub struct MemoryQueueConfig {
    /// How many partitions there are; one at least.
    pub partitions: u32,
    /// The most bytes of records that were not committed yet.
    pub max_bytes: usize,
    /// The largest record in bytes.
    pub max_record_bytes: usize,
    /// The life of this queue.
    pub incarnation: Incarnation,
    /// The time of the queue's clock at first, in ms since 1970; it stands still until it is set.
    pub now: i64,
}

/// A queue in memory. Clones are the same queue.
#[derive(Clone)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

struct Shared {
    config: MemoryQueueConfig,
    state: Mutex<State>,
    /// Whoever waits for records, a release or the end looks again when this changes.
    changed: watch::Sender<()>,
}

struct State {
    now: i64,
    logs: Vec<PartitionLog>,
    dead_letters: BTreeMap<DeadLetterId, DeadLetter>,
    faults: Faults,
    assignments: Option<mpsc::UnboundedSender<Assignment>>,
    closed: bool,
}

impl Default for MemoryQueueConfig {
    fn default() -> Self {
        Self {
            partitions: 4,
            max_bytes: 64 << 20,
            max_record_bytes: 8 << 20,
            incarnation: Incarnation(*b"memory-queue-one"),
            now: 1_700_000_000_000,
        }
    }
}

impl Default for MemoryQueue {
    fn default() -> Self {
        Self::new(MemoryQueueConfig::default())
    }
}

impl MemoryQueue {
    /// An empty queue.
    #[must_use]
    pub fn new(config: MemoryQueueConfig) -> Self {
        let config = MemoryQueueConfig { partitions: config.partitions.max(1), ..config };
        Self::with_contents(config, (0..config.partitions).map(|_| PartitionLog::default()).collect(), BTreeMap::new())
    }

    fn with_contents(
        config: MemoryQueueConfig,
        logs: Vec<PartitionLog>,
        dead_letters: BTreeMap<DeadLetterId, DeadLetter>,
    ) -> Self {
        let state =
            State { now: config.now, logs, dead_letters, faults: Faults::default(), assignments: None, closed: false };
        Self { shared: Arc::new(Shared { config, state: Mutex::new(state), changed: watch::Sender::new(()) }) }
    }

    /// The queue after a restart of the process: the same records, commits and dead letters, without the faults. This one
    /// is closed.
    #[must_use]
    pub fn reopen(&self) -> Self {
        self.close();
        let state = self.shared.lock();
        let config = MemoryQueueConfig { now: state.now, ..self.shared.config };
        Self::with_contents(config, state.logs.clone(), state.dead_letters.clone())
    }

    /// Takes no more records; consumers get what is left and then [`QueueError::Closed`].
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        state.assignments = None;
        drop(state);
        self.shared.wake();
    }

    /// Sets the queue's clock, in ms since 1970. Append times never decrease, whatever it says.
    pub fn set_time(&self, now: i64) {
        self.shared.lock().now = now;
    }

    /// Bytes of records that were not committed yet.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shared.lock().bytes()
    }

    /// One of the partitions as a source.
    #[must_use]
    pub fn source(&self, partition: u32) -> Source {
        self.shared.source(partition)
    }

    /// What was committed last for a partition: next offset and metadata.
    #[must_use]
    pub fn committed(&self, partition: u32) -> crate::Committed {
        self.shared.lock().logs.get(partition as usize).map(|log| log.committed.clone()).unwrap_or_default()
    }

    /// Appends a record with a key that need not be a gateway's, as a direct producer could; returns its offset, `None`
    /// where there is no such partition.
    pub fn append_raw(&self, partition: u32, record: crate::ConsumedRecord) -> Option<Offset> {
        let mut state = self.shared.lock();
        let now = state.now;
        let offset = state.logs.get_mut(partition as usize).map(|log| log.append(now, record));
        drop(state);
        self.shared.wake();
        offset
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.changed.send_replace(());
    }

    fn source(&self, partition: u32) -> Source {
        Source { incarnation: self.config.incarnation, partition }
    }

    fn publish_one(&self, state: &mut State, record: Record) -> Result<Placement, PublishError> {
        let size = record.size();
        let fault = state.faults.publish.pop_front();
        if let Some(error) = fault.and_then(PublishFault::before_append) {
            return Err(error);
        }
        if state.closed {
            return Err(PublishError::Unavailable { reason: "the queue is closed".to_owned() });
        }
        if size > self.config.max_record_bytes {
            return Err(PublishError::TooLarge { size, limit: self.config.max_record_bytes });
        }
        if state.bytes() + size > self.config.max_bytes {
            return Err(PublishError::Full { retry_after: RETRY_AFTER });
        }
        let key = record.key.to_bytes();
        let partition = partition_of(&key, self.config.partitions);
        let now = state.now;
        let Some(log) = state.logs.get_mut(partition as usize) else {
            return Err(PublishError::Unavailable { reason: format!("there is no partition {partition}") });
        };
        let offset = log.append(now, log::as_consumed(key, record));
        match fault.and_then(PublishFault::after_append) {
            Some(error) => Err(error),
            None => Ok(Placement { source: self.source(partition), offset }),
        }
    }
}

impl State {
    fn bytes(&self) -> usize {
        self.logs.iter().map(PartitionLog::bytes).sum()
    }
}

#[async_trait]
impl Producer for MemoryQueue {
    async fn publish(&self, records: Vec<Record>) -> Vec<Result<Placement, PublishError>> {
        let mut changed = self.shared.changed.subscribe();
        let results = {
            let mut state = self.shared.lock();
            records.into_iter().map(|record| self.shared.publish_one(&mut state, record)).collect()
        };
        self.shared.wake();
        while self.shared.lock().faults.acknowledgements_held {
            // The sender lives in `self`.
            let _ = changed.changed().await;
        }
        results
    }

    fn available(&self) -> Result<(), String> {
        if self.shared.lock().closed { Err("the queue is closed".to_owned()) } else { Ok(()) }
    }
}

#[async_trait]
impl QueueAdmin for MemoryQueue {
    async fn ends(&self) -> Result<Vec<(Source, Offset)>, QueueError> {
        let state = self.shared.lock();
        Ok((0..).zip(&state.logs).map(|(partition, log)| (self.shared.source(partition), log.end())).collect())
    }

    async fn scrub(&self) -> Result<(), QueueError> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
