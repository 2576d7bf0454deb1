//! The one thread that appends. While a write is being synced, publish calls gather, and the next write takes them all: many
//! clients share a sync, and one client alone waits for no other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use luminate_model::Offset;
use luminate_queue::{DeadLetterId, Placement, PublishError, QueueError, Record, partition_of};
use rocksdb::WriteBatch;
use tokio::sync::oneshot;

use super::layout::{self, META, PartitionEnd, RECORDS, StoredRecord};
use super::{Core, Stage, dead_letters};
use crate::error::DatabaseError;

/// What a client is told about trying again when the queue is full.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long a write waits for background work.
const STALL_PATIENCE: Duration = Duration::from_millis(500);

/// How long it waits before it looks again.
const STALL_PAUSE: Duration = Duration::from_millis(2);

/// A group is closed when its calls have brought this many bytes.
const GROUP_BYTES: usize = 8 << 20;

/// How long a write waits for further calls, where the one before it was shared: on a disk that syncs within a fraction of a
/// millisecond, calls of many clients would otherwise hardly ever meet. A client that is alone never waits.
const GATHER: Duration = Duration::from_millis(2);

/// What the thread is asked to do.
pub(super) enum Command {
    Publish {
        records: Vec<Record>,
        pending: PendingBytes,
        reply: oneshot::Sender<Vec<Result<Placement, PublishError>>>,
    },
    /// Put a dead letter's record back and mark it, at once.
    Replay { id: DeadLetterId, now: i64, reply: oneshot::Sender<Result<Option<Offset>, QueueError>> },
    /// Answer what waits, and end.
    Close,
}

/// A part of the bytes that may wait for the thread; given back when dropped.
pub(super) struct PendingBytes {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

/// Calls that share a write.
struct Group<'a> {
    core: &'a Core,
    batch: WriteBatch,
    /// The ends as they will be, by partition.
    ends: Vec<PartitionEnd>,
    held_bytes: u64,
    appended_bytes: u64,
    now: i64,
    encoded: Vec<u8>,
    answers: Vec<Answer>,
}

enum Answer {
    Publish {
        results: Vec<Result<Placement, PublishError>>,
        reply: oneshot::Sender<Vec<Result<Placement, PublishError>>>,
    },
    Replay {
        offset: Option<Offset>,
        reply: oneshot::Sender<Result<Option<Offset>, QueueError>>,
    },
}

/// Why nothing of a group was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Refusal {
    /// Nothing was written; later it may go.
    Full(String),
    /// Nothing was written, and nothing will be.
    Unavailable(String),
    /// Perhaps it was written.
    Unknown(String),
}

/// Appends until told to close or until nobody can ask any more.
pub(super) fn run(core: &Core, commands: &mpsc::Receiver<Command>) {
    let mut refusing = None;
    let mut open = true;
    let mut calls = 0;
    while open {
        let Ok(first) = commands.recv() else { break };
        let mut group = Group::new(core);
        let mut bytes = 0;
        let gather_until = (calls > 1).then(|| Instant::now() + GATHER);
        calls = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Publish { records, pending, reply } => {
                    bytes += pending.bytes;
                    calls += 1;
                    let results = records.into_iter().map(|record| group.publish(record)).collect();
                    group.answers.push(Answer::Publish { results, reply });
                }
                Command::Replay { id, now, reply } => {
                    // It holds the lock of the dead letters from its reading to its writing, so it is a group of its own.
                    group.finish(&mut refusing);
                    replay(core, id, now, reply, &mut refusing);
                    group = Group::new(core);
                }
                Command::Close => open = false,
            }
            next = if bytes < GROUP_BYTES { next_command(commands, gather_until.filter(|_| open)) } else { None };
        }
        group.finish(&mut refusing);
    }
    core.stage.send_replace(Stage::Closed);
}

/// What waits already; else what comes until `gather_until`.
fn next_command(commands: &mpsc::Receiver<Command>, gather_until: Option<Instant>) -> Option<Command> {
    commands.try_recv().ok().or_else(|| {
        let left = gather_until?.saturating_duration_since(Instant::now());
        commands.recv_timeout(left).ok()
    })
}

fn replay(
    core: &Core,
    id: DeadLetterId,
    now: i64,
    reply: oneshot::Sender<Result<Option<Offset>, QueueError>>,
    refusing: &mut Option<Refusal>,
) {
    let _letters = dead_letters::lock(core);
    let mut group = Group::new(core);
    match group.replay(id, now) {
        Ok(offset) => {
            group.answers.push(Answer::Replay { offset, reply });
            group.finish(refusing);
        }
        // Whoever asked may be gone.
        Err(error) => drop(reply.send(Err(error))),
    }
}

impl PendingBytes {
    /// Takes `bytes` of `limit`; `None` where others have too many. One call alone may exceed the limit.
    pub(super) fn reserve(all: &Arc<AtomicUsize>, bytes: usize, limit: usize) -> Option<Self> {
        let taken = all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |pending| {
            (pending == 0 || pending.saturating_add(bytes) <= limit).then(|| pending.saturating_add(bytes))
        });
        taken.ok().map(|_| Self { all: Arc::clone(all), bytes })
    }
}

impl Drop for PendingBytes {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl<'a> Group<'a> {
    fn new(core: &'a Core) -> Self {
        Self {
            core,
            batch: WriteBatch::default(),
            ends: core.partitions.iter().map(super::Partition::full_end).collect(),
            held_bytes: core.held_bytes(),
            appended_bytes: 0,
            now: (core.clock)(),
            encoded: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Adds a record. Its placement is not to be told before the group was written.
    fn publish(&mut self, record: Record) -> Result<Placement, PublishError> {
        let (size, limit) = (record.size(), self.core.limits.record_bytes);
        if size > limit {
            return Err(PublishError::TooLarge { size, limit });
        }
        if self.held_bytes + size as u64 > self.core.limits.held_bytes {
            return Err(PublishError::Full { retry_after: RETRY_AFTER });
        }
        let key = record.key.to_bytes();
        let partition = partition_of(&key, self.core.partitions.len() as u32);
        let appended = self.append(partition, size, &key, &record.headers, &record.value);
        appended.map_err(|error| PublishError::Unavailable { reason: error.to_string() })
    }

    /// Adds the record of a dead letter and its mark; `None` where it cannot be replayed.
    fn replay(&mut self, id: DeadLetterId, now: i64) -> Result<Option<Offset>, QueueError> {
        let log = &self.core.log;
        let Some(mut letter) = dead_letters::get(log, id)?.filter(|letter| !letter.is_cut()) else { return Ok(None) };
        if self.core.partition_of(id.source).is_none() {
            return Ok(None);
        }
        let size = letter.bytes.len() + letter.key.len();
        if self.held_bytes + size as u64 > self.core.limits.held_bytes {
            return Err(QueueError::Unavailable("the queue is full".to_owned()));
        }
        let placement = self.append(id.source.partition, size, &letter.key, &letter.headers, &letter.bytes)?;
        letter.replayed_at = Some(now);
        dead_letters::replace(log, &mut self.batch, &letter)?;
        Ok(Some(placement.offset))
    }

    fn append(
        &mut self,
        partition: u32,
        size: usize,
        key: &[u8],
        headers: &[(String, Bytes)],
        value: &[u8],
    ) -> Result<Placement, QueueError> {
        let missing = || QueueError::Damaged(format!("there is no partition {partition}"));
        let records = self.core.log.family(RECORDS)?;
        let end = self.ends.get_mut(partition as usize).ok_or_else(missing)?;
        let append_time = end.append_time.max(self.now);
        let stored = StoredRecord { append_time, bytes_before: end.appended_bytes, key, headers, value };
        stored.encode_into(&mut self.encoded);
        self.batch.put_cf(records, layout::record_key(partition, end.next), &self.encoded);
        let placement = Placement { source: self.core.source(partition), offset: Offset(end.next) };
        *end = PartitionEnd { next: end.next + 1, appended_bytes: end.appended_bytes + size as u64, append_time };
        self.held_bytes += size as u64;
        self.appended_bytes += size as u64;
        Ok(placement)
    }

    /// Writes the group, shows it to readers and answers everyone.
    fn finish(mut self, refusing: &mut Option<Refusal>) {
        let outcome = if self.batch.is_empty() { Ok(()) } else { self.write() };
        if outcome.as_ref().err() != refusing.as_ref() && !matches!(outcome, Err(Refusal::Unknown(_))) {
            match &outcome {
                Err(refusal) => tracing::warn!(?refusal, "refusing records"),
                Ok(()) => tracing::info!("taking records again"),
            }
        }
        *refusing = outcome.as_ref().err().cloned();
        // Whoever asked may be gone; the records stay.
        for answer in self.answers.drain(..) {
            match answer {
                Answer::Publish { results, reply } => {
                    let told = results.into_iter().map(|result| result.and_then(|placement| tell(&outcome, placement)));
                    drop(reply.send(told.collect()));
                }
                Answer::Replay { offset, reply } => {
                    let told = match &outcome {
                        Ok(()) => Ok(offset),
                        Err(Refusal::Full(why) | Refusal::Unavailable(why) | Refusal::Unknown(why)) => {
                            Err(QueueError::Unavailable(why.clone()))
                        }
                    };
                    drop(reply.send(told));
                }
            }
        }
    }

    fn write(&mut self) -> Result<(), Refusal> {
        let core = self.core;
        // What is appended goes into the log now, and like what was before it into a table file later.
        core.disk.check(core.log.unflushed_bytes() + 2 * self.appended_bytes).map_err(Refusal::Full)?;
        self.store_ends().map_err(|error| Refusal::Unavailable(error.to_string()))?;
        if let Some(reason) = core.log.failure().reason() {
            return Err(Refusal::Unavailable(reason.to_string()));
        }
        self.write_patiently().map_err(|error| match error {
            DatabaseError::Busy => Refusal::Full("the disk does not keep up".to_owned()),
            error => Refusal::Unknown(error.to_string()),
        })?;
        core.counters.syncs.fetch_add(1, Ordering::Relaxed);
        core.counters.publishes.fetch_add(self.answers.len() as u64, Ordering::Relaxed);
        core.counters.untidied_bytes.fetch_add(self.appended_bytes, Ordering::Relaxed);
        for (partition, end) in core.partitions.iter().zip(&self.ends) {
            if partition.full_end() != *end {
                partition.advance(*end);
            }
        }
        Ok(())
    }

    /// The database refuses writes while background work is behind, which mostly lasts for milliseconds: that is waited
    /// for, a true stall is not. What was refused as busy was not written.
    fn write_patiently(&self) -> Result<(), DatabaseError> {
        let began = Instant::now();
        loop {
            let written = self.core.log.write_acknowledged(WriteBatch::from_data(self.batch.data()));
            if written != Err(DatabaseError::Busy) || began.elapsed() >= STALL_PATIENCE {
                return written;
            }
            std::thread::sleep(STALL_PAUSE);
        }
    }

    /// The new ends stand in the same write as the records.
    fn store_ends(&mut self) -> Result<(), QueueError> {
        let meta = self.core.log.family(META)?;
        for ((number, partition), end) in (0..).zip(&self.core.partitions).zip(&self.ends) {
            if partition.full_end() != *end {
                self.batch.put_cf(meta, layout::end_key(number), end.encode());
            }
        }
        Ok(())
    }
}

fn tell(outcome: &Result<(), Refusal>, placement: Placement) -> Result<Placement, PublishError> {
    match outcome {
        Ok(()) => Ok(placement),
        Err(Refusal::Full(_)) => Err(PublishError::Full { retry_after: RETRY_AFTER }),
        Err(Refusal::Unavailable(reason)) => Err(PublishError::Unavailable { reason: reason.clone() }),
        Err(Refusal::Unknown(reason)) => Err(PublishError::Unknown { reason: reason.clone() }),
    }
}
