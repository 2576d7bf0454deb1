//! A partition that this consumer owns, as its threads and its reader share it.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use luminate_model::{Incarnation, Offset, Source};
use luminate_queue::{Committed, ConsumedRecord, QueueError};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError as ClientError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

use super::lease::Lease;
use super::records;
use super::session::SessionContext;
use crate::bounds::Bounds;
use crate::cluster::Place;
use crate::topics::Topic;

/// The queue of one partition's fetched records.
pub(crate) type FetchQueue = PartitionQueue<SessionContext>;

/// So often in a row a batch of records is fetched that cannot be read, until it is taken for damaged.
const ATTEMPTS: u32 = 3;

/// State of a partition from its assignment to its end.
pub(crate) struct OwnedPartition {
    pub(crate) topic: Arc<Topic>,
    pub(crate) partition: u32,
    /// What was committed when the partition was assigned.
    pub(crate) committed: Committed,
    pub(crate) lease: Lease,
    /// Readers that wait look again when this tells them to.
    pub(crate) changed: Arc<Notify>,
    /// Taken at the end, since it keeps the client alive.
    queue: Mutex<Option<FetchQueue>>,
    fault: Mutex<Option<Fault>>,
    /// Set where what was fetched must not be read either.
    blocked: AtomicBool,
    /// The next offset that the reader gets.
    position: AtomicU64,
    end: AtomicU64,
    told_of_append_times: AtomicBool,
    /// How often in a row what comes next could not be read.
    unreadable: AtomicU32,
}

/// Why a partition cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The position does not lie in what the topic holds.
    OutOfRange { begin: Offset },
    /// The topic has another id now.
    MadeAgain { now: Incarnation },
    /// What comes next cannot be read, however often it is fetched.
    Unreadable { code: RDKafkaErrorCode },
}

impl OwnedPartition {
    pub(crate) fn new(topic: Arc<Topic>, partition: u32, committed: Committed, bounds: Bounds) -> Self {
        let start = committed.next.unwrap_or(bounds.begin);
        let owned = Self {
            topic,
            partition,
            committed,
            lease: Lease::default(),
            changed: Arc::new(Notify::new()),
            queue: Mutex::new(None),
            fault: Mutex::new(None),
            blocked: AtomicBool::new(false),
            position: AtomicU64::new(start.0),
            end: AtomicU64::new(bounds.end.0),
            told_of_append_times: AtomicBool::new(false),
            unreadable: AtomicU32::new(0),
        };
        owned.compare(start, bounds);
        // It is not fetched from its position then.
        owned.blocked.store(owned.fault().is_some(), Ordering::Release);
        owned
    }

    pub(crate) fn source(&self) -> Source {
        self.topic.source(self.partition)
    }

    pub(crate) fn place(&self) -> Place {
        (self.topic.name.clone(), self.partition)
    }

    pub(crate) fn position(&self) -> Offset {
        Offset(self.position.load(Ordering::Acquire))
    }

    pub(crate) fn set_position(&self, next: Offset) {
        self.position.store(next.0, Ordering::Release);
    }

    /// The end that was seen last.
    pub(crate) fn end(&self) -> Offset {
        Offset(self.end.load(Ordering::Acquire)).max(self.position())
    }

    /// Compares the position with what the topic holds. The reader goes on meanwhile: `before` is the position before `bounds` were
    /// asked for. What is wrong is found by the reader once it has read what was fetched.
    pub(crate) fn compare(&self, before: Offset, bounds: Bounds) {
        self.end.store(bounds.end.0, Ordering::Release);
        let now = self.position();
        if now < bounds.begin || before > bounds.end {
            self.set_fault(Fault::OutOfRange { begin: bounds.begin });
        }
    }

    /// The topic has another id: what is fetched may be the new one's.
    pub(crate) fn made_again(&self, now: &Topic) {
        self.blocked.store(true, Ordering::Release);
        self.set_fault(Fault::MadeAgain { now: now.incarnation });
    }

    /// Notes why the partition cannot be read on; the first reason stays.
    fn set_fault(&self, fault: Fault) {
        let mut known = lock(&self.fault);
        if known.is_none() {
            tracing::error!(source = %self.source(), topic = self.topic.name, ?fault, "a partition cannot be read on");
            *known = Some(fault);
            drop(known);
            self.changed.notify_one();
        }
    }

    /// An operator, or the writer, has said where to go on.
    pub(crate) fn clear_range_fault(&self) {
        let mut fault = lock(&self.fault);
        if matches!(*fault, Some(Fault::OutOfRange { .. })) {
            *fault = None;
            self.blocked.store(false, Ordering::Release);
        }
    }

    pub(crate) fn fault(&self) -> Option<QueueError> {
        lock(&self.fault).clone().map(|fault| match fault {
            Fault::OutOfRange { begin } => {
                QueueError::OutOfRange { place: self.source(), wanted: self.position(), begin }
            }
            Fault::MadeAgain { now } => {
                QueueError::TopicMadeAgain { topic: self.topic.name.clone(), was: self.topic.incarnation, now }
            }
            Fault::Unreadable { code } => QueueError::Damaged(format!(
                "the batch of records at offset {} of {} cannot be decompressed or is cut: {code}",
                self.position(),
                self.source()
            )),
        })
    }

    pub(crate) fn set_queue(&self, mut queue: FetchQueue) {
        let changed = Arc::clone(&self.changed);
        queue.set_nonempty_callback(move || changed.notify_one());
        *lock(&self.queue) = Some(queue);
    }

    /// Ends the partition for its reader; the lease was ended before.
    pub(crate) fn take_queue(&self) {
        let queue = lock(&self.queue).take();
        drop(queue);
        self.changed.notify_one();
    }

    /// The next record that was fetched; `None` where there is none now. Does not block.
    pub(crate) fn next_record(&self) -> Option<ConsumedRecord> {
        if self.blocked.load(Ordering::Acquire) {
            return None;
        }
        let queue = lock(&self.queue);
        match queue.as_ref()?.poll(Duration::ZERO)? {
            Ok(message) => {
                self.unreadable.store(0, Ordering::Release);
                records::consumed(&message).inspect(|_| self.check_append_time(&message))
            }
            Err(error) => {
                drop(queue);
                // A position out of range shows when it is compared; all else is librdkafka's to mend.
                tracing::debug!(source = %self.source(), %error, "fetching records failed");
                self.check_readable(&error);
                None
            }
        }
    }

    /// librdkafka fetches a batch that it cannot read again and again, and says so each time.
    fn check_readable(&self, error: &ClientError) {
        let code = error.rdkafka_error_code();
        let Some(code @ (RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::BadMessage)) = code else { return };
        if self.unreadable.fetch_add(1, Ordering::AcqRel) + 1 >= ATTEMPTS {
            self.set_fault(Fault::Unreadable { code });
        }
    }

    /// Whether fetching on is of no use.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(*lock(&self.fault), Some(Fault::Unreadable { .. }))
    }

    /// Without append times a replay could decide otherwise than the first run.
    fn check_append_time(&self, message: &BorrowedMessage<'_>) {
        if !records::has_append_time(message) && !self.told_of_append_times.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                topic = self.topic.name,
                "message.timestamp.type is not LogAppendTime: `luminate topics apply` mends it"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
