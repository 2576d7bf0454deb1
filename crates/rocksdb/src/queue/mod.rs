//! The embedded queue: records and dead letters in a RocksDB database of their own, on this machine's disk.
//!
//! | module | holds |
//! |---|---|
//! | this one | [`EmbeddedQueue`]: opening, publishing, closing |
//! | [`config`] | [`EmbeddedQueueConfig`] |
//! | `appender` | the one thread that appends: many publish calls share one sync |
//! | `partition` | where each partition begins and ends, in memory |
//! | `consumer` | reading and committing |
//! | `history` | reading again what was committed and is still there |
//! | `dead_letters`, `dead_letter_codec` | dead letters |
//! | `tidying` | giving consumed records' bytes back to the disk |
//! | `log` | the database: options, typed reads and writes |
//! | `layout` | keys and values in it |
//! | `disk_space` | free space, and what the queue occupies |
//!
//! A record is acknowledged after one synced write that holds the record and its partition's new end together, so the end
//! is never found by looking for the last record, and no offset is used twice. Commits are not synced: where one is lost
//! in a power failure, the writer's store knows better where to continue, and the records are still there.
//!
//! The feature `unsynced-queue-for-tests` makes the writes unsynced, so that a test that watches for syncs can be seen to
//! fail. No configuration can do that.

mod appender;
pub mod config;
mod consumer;
mod dead_letter_codec;
mod dead_letters;
mod disk_space;
mod history;
mod layout;
mod log;
mod partition;
mod tidying;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use luminate_model::{Incarnation, Offset, Source};
use luminate_queue::{Placement, Producer, PublishError, QueueAdmin, QueueError, Record};
use luminate_runtime::clock::{Clock, system_clock};
use tokio::sync::{oneshot, watch};

pub use config::EmbeddedQueueConfig;
pub use consumer::EmbeddedConsumer;

use appender::{Command, PendingBytes, RETRY_AFTER};
use dead_letters::HeldDeadLetters;
use disk_space::DiskSpace;
use log::QueueLog;
use partition::Partition;

use crate::database::{Failure, must_exist};
use crate::error::OpenError;

/// Consumed records are given back to the disk when nothing has come for this long.
const QUIET: Duration = Duration::from_secs(2);

/// A durable queue in a folder of this machine. Clones are the same queue. One process at a time can have it open; its files
/// are released when the last clone and everything that was made from it are gone.
#[derive(Clone)]
pub struct EmbeddedQueue {
    handle: Arc<Handle>,
}

/// What the queue has done and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EmbeddedQueueStats {
    /// Synced writes of the log since the queue was opened.
    pub syncs: u64,
    /// Publish calls that reached the log since then; many share a sync.
    pub publishes: u64,
    /// Records that are not committed yet.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Bytes of dead letters.
    pub dead_letter_bytes: u64,
    /// Bytes that the queue's files occupy on disk, 0 where they cannot be listed.
    pub disk_bytes: u64,
}

/// The threads and the way to them; what dropping the last [`EmbeddedQueue`] ends.
struct Handle {
    core: Arc<Core>,
    inbox: mpsc::Sender<Command>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What threads, consumers and callers share.
struct Core {
    log: QueueLog,
    incarnation: Incarnation,
    partitions: Vec<Partition>,
    limits: Limits,
    disk: DiskSpace,
    clock: Clock,
    pending_bytes: Arc<AtomicUsize>,
    stage: watch::Sender<Stage>,
    /// Held from looking at dead letters to changing them.
    dead_letters: Mutex<HeldDeadLetters>,
    tidying: mpsc::Sender<tidying::Wish>,
    /// Whether the tidying thread has been told that everything was consumed and has not looked yet.
    tidying_wished: AtomicBool,
    counters: Counters,
}

/// How far the queue is in closing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It takes records.
    Open,
    /// It takes no more; some are being appended still.
    Closing,
    /// Nothing will be appended any more.
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    held_bytes: u64,
    dead_letter_bytes: u64,
    pending_bytes: usize,
    record_bytes: usize,
    reserve_bytes: u64,
    /// The queue has been drained this long when it is tidied.
    quiet: Duration,
}

#[derive(Debug, Default)]
struct Counters {
    syncs: AtomicU64,
    publishes: AtomicU64,
    /// Bytes appended since consumed records were last given back.
    untidied_bytes: AtomicU64,
}

impl EmbeddedQueue {
    /// Opens the queue in `folder`, or makes it there.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do.
    pub fn open(folder: &Path, config: &EmbeddedQueueConfig) -> Result<Self, OpenError> {
        Self::open_with_clock(folder, config, system_clock())
    }

    /// Opens the queue in `folder` for reading its [history](luminate_queue::RecordHistory).
    ///
    /// # Errors
    /// [`OpenError`], also where there is no queue.
    pub fn open_existing(folder: &Path, config: &EmbeddedQueueConfig) -> Result<Self, OpenError> {
        must_exist(folder)?;
        Self::open(folder, config)
    }

    /// Opens the queue with a clock for append times. They never decrease in a partition, whatever it says.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and what to do.
    pub fn open_with_clock(folder: &Path, config: &EmbeddedQueueConfig, clock: Clock) -> Result<Self, OpenError> {
        Self::open_with_limits(folder, config, Limits::of(config), clock)
    }

    fn open_with_limits(
        folder: &Path,
        config: &EmbeddedQueueConfig,
        limits: Limits,
        clock: Clock,
    ) -> Result<Self, OpenError> {
        config.check().map_err(|reason| OpenError::Settings { folder: folder.to_owned(), reason })?;
        let log = QueueLog::open(folder, config)?;
        let identity = log.identity_or_create(config.partitions)?;
        let partitions = (0..identity.partitions).map(|number| Partition::recover(&log, number));
        let partitions = partitions.collect::<Result<Vec<_>, _>>();
        let partitions =
            partitions.map_err(|error| OpenError::Damaged { folder: folder.to_owned(), reason: error.to_string() })?;
        let dead_letters = HeldDeadLetters::recover(&log)
            .map_err(|error| OpenError::Damaged { folder: folder.to_owned(), reason: error.to_string() })?;
        let (inbox, commands) = mpsc::channel();
        let (tidying, wishes) = mpsc::channel();
        let core = Arc::new(Core {
            log,
            incarnation: identity.incarnation,
            partitions,
            limits,
            disk: DiskSpace::new(folder, limits.reserve_bytes),
            clock,
            pending_bytes: Arc::default(),
            stage: watch::Sender::new(Stage::Open),
            dead_letters: Mutex::new(dead_letters),
            tidying,
            tidying_wished: AtomicBool::new(false),
            counters: Counters::default(),
        });
        let threads = vec![
            spawn("queue-append", &core, folder, move |core| appender::run(&core, &commands))?,
            spawn("queue-tidy", &core, folder, move |core| tidying::run(&core, &wishes))?,
        ];
        if cfg!(feature = "unsynced-queue-for-tests") {
            tracing::error!("this build acknowledges records that are not durable; it is for tests only");
        }
        Ok(Self { handle: Arc::new(Handle { core, inbox, threads: Mutex::new(threads) }) })
    }

    /// The life of this queue, made when its folder was.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.core().incarnation
    }

    /// The reading side, which is given every partition. There shall be one at a time.
    #[must_use]
    pub fn consumer(&self) -> EmbeddedConsumer {
        EmbeddedConsumer::new(Arc::clone(self.core()))
    }

    /// Tells when an I/O error has made the queue unusable: then stop accepting, end the process and say so. What was
    /// acknowledged is on disk, and there after a restart.
    #[must_use]
    pub fn failure(&self) -> &Failure {
        self.core().log.failure()
    }

    /// What the queue has done and holds.
    #[must_use]
    pub fn stats(&self) -> EmbeddedQueueStats {
        let core = self.core();
        EmbeddedQueueStats {
            syncs: core.counters.syncs.load(Ordering::Relaxed),
            publishes: core.counters.publishes.load(Ordering::Relaxed),
            records: core.partitions.iter().map(Partition::held_records).sum(),
            record_bytes: core.held_bytes(),
            dead_letter_bytes: dead_letters::lock(core).bytes,
            disk_bytes: core.disk.occupied(),
        }
    }

    /// Whether dead letters are taken; where the last ones were refused, what is to be done. Then a partition stands still that
    /// has a record which cannot be used, and goes on when some were purged.
    ///
    /// # Errors
    /// A sentence for operators.
    pub fn takes_dead_letters(&self) -> Result<(), String> {
        let held = *dead_letters::lock(self.core());
        if !held.refused {
            return Ok(());
        }
        let limit = self.core().limits.dead_letter_bytes;
        Err(format!(
            "dead letters have {} bytes, and queue.maxDeadLetterBytes is {limit}: a record that cannot be used holds up its \
             partition until some are purged",
            held.bytes
        ))
    }

    /// Takes no more records, answers those that wait, and ends the queue's threads. Consumers get what is left and then
    /// [`QueueError::Closed`]; what they leave is there at the next start.
    pub async fn close(&self) {
        let handle = Arc::clone(&self.handle);
        // A thread that panicked has said so.
        let _ = tokio::task::spawn_blocking(move || handle.close()).await;
    }

    fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }
}

impl Limits {
    fn of(config: &EmbeddedQueueConfig) -> Self {
        Self {
            held_bytes: config.max_bytes.get(),
            dead_letter_bytes: config.max_dead_letter_bytes.get(),
            pending_bytes: config.max_pending_bytes.as_usize(),
            record_bytes: config.max_record_bytes.as_usize(),
            reserve_bytes: config.disk_reserve.get(),
            quiet: QUIET,
        }
    }
}

impl Handle {
    fn close(&self) {
        self.core.stage.send_if_modified(|stage| {
            let was_open = *stage == Stage::Open;
            if was_open {
                *stage = Stage::Closing;
            }
            was_open
        });
        // Whoever is gone already needs not be told.
        let _ = self.inbox.send(Command::Close);
        let _ = self.core.tidying.send(tidying::Wish::Close);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Core {
    fn source(&self, partition: u32) -> Source {
        Source { incarnation: self.incarnation, partition }
    }

    fn partition_of(&self, source: Source) -> Option<&Partition> {
        let ours = source.incarnation == self.incarnation;
        ours.then(|| self.partitions.get(source.partition as usize)).flatten()
    }

    fn held_bytes(&self) -> u64 {
        self.partitions.iter().map(Partition::held_bytes).sum()
    }

    fn is_closed(&self) -> bool {
        *self.stage.borrow() != Stage::Open
    }
}

#[async_trait]
impl Producer for EmbeddedQueue {
    async fn publish(&self, records: Vec<Record>) -> Vec<Result<Placement, PublishError>> {
        let core = self.core();
        let count = records.len();
        let refuse_all = |error: fn(String) -> PublishError, reason: String| {
            (0..count).map(|_| Err(error(reason.clone()))).collect::<Vec<_>>()
        };
        let unavailable = |reason| PublishError::Unavailable { reason };
        if let Some(reason) = core.log.failure().reason() {
            return refuse_all(unavailable, reason.to_string());
        }
        if core.is_closed() {
            return refuse_all(unavailable, "the queue is closed".to_owned());
        }
        let bytes = records.iter().map(Record::size).sum();
        let Some(pending) = PendingBytes::reserve(&core.pending_bytes, bytes, core.limits.pending_bytes) else {
            return (0..count).map(|_| Err(PublishError::Full { retry_after: RETRY_AFTER })).collect();
        };
        let (reply, answer) = oneshot::channel();
        if self.handle.inbox.send(Command::Publish { records, pending, reply }).is_err() {
            return refuse_all(unavailable, "the queue is closed".to_owned());
        }
        // The thread drops a call unanswered only where it panics in the middle of it.
        let unknown = |reason| PublishError::Unknown { reason };
        answer.await.unwrap_or_else(|_| refuse_all(unknown, "the queue's thread is gone".to_owned()))
    }

    fn available(&self) -> Result<(), String> {
        let core = self.core();
        core.log.check().map_err(|error| error.to_string())?;
        if core.is_closed() {
            return Err("the queue is closed".to_owned());
        }
        core.disk.check(core.log.unflushed_bytes())
    }
}

#[async_trait]
impl QueueAdmin for EmbeddedQueue {
    async fn ends(&self) -> Result<Vec<(Source, Offset)>, QueueError> {
        let core = self.core();
        Ok((0..).zip(&core.partitions).map(|(number, partition)| (core.source(number), partition.end())).collect())
    }

    async fn scrub(&self) -> Result<(), QueueError> {
        let core = Arc::clone(self.core());
        blocking(move || tidying::scrub(&core)).await
    }
}

/// Runs what reads or writes files away from the event loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueueError> + Send + 'static,
) -> Result<T, QueueError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(QueueError::Damaged(format!("the queue's own work ended: {error}"))))
}

fn spawn(
    name: &str,
    core: &Arc<Core>,
    folder: &Path,
    work: impl FnOnce(Arc<Core>) + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let core = Arc::clone(core);
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(core));
    spawned.map_err(|error| OpenError::Unavailable { folder: folder.to_owned(), reason: error.to_string() })
}
