//! The queue between gateway and writer, as traits: a gateway holds a [`Producer`], a writer a [`Consumer`] and the
//! [`DeadLetters`]. Kafka and the embedded queue stand behind them; [`memory`] is a third for tests, and
//! [`conformance`] the suite that all of them pass.
//!
//! The promises, whatever the implementation:
//!
//! - [`Producer::publish`] answers a record's [`Placement`] only once the record is durable.
//! - Records of one partition are consumed in the order of their offsets, without a gap in an embedded queue, and a
//!   consumer that resumes at an offset sees exactly the records from there on.
//! - An offset is never used twice in one incarnation, also after every record was consumed and removed.
//! - [`PartitionConsumer::commit`] is a hint to the queue that everything before may go; where the store knows its own
//!   next offset, the store decides.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use luminate_model::{Incarnation, Offset, Source, TenantId};

pub mod conformance;
pub mod dead_letter;
pub mod headers;
pub mod history;
pub mod memory;
pub mod partitioning;

pub use dead_letter::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetters};
pub use headers::IdempotencyHeaders;
pub use history::{HistoryReader, RecordHistory, SourceHistory};
pub use partitioning::{RecordKey, partition_of};

/// One message on its way to a topic: a batch of one tenant's samples.
#[derive(Debug, Clone)]
pub struct Record {
    /// Decides the partition, and says whose samples these are.
    pub key: RecordKey,
    /// Names and values beside the payload, such as [`IdempotencyHeaders`].
    pub headers: Vec<(String, Bytes)>,
    /// The encoded samples.
    pub value: Bytes,
}

impl Record {
    /// What the record weighs in a queue's accounts, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.value.len() + headers + self.key.tenant.as_str().len() + 16
    }
}

/// Where a published record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// The partition.
    pub source: Source,
    /// The record's offset in it.
    pub offset: Offset,
}

/// One message as a writer reads it. The key is raw: a direct producer may have written anything.
#[derive(Debug, Clone)]
pub struct ConsumedRecord {
    /// Its place.
    pub offset: Offset,
    /// When the queue appended it (`LogAppendTime`), ms since 1970.
    pub append_time: i64,
    /// `tenant/shard` where a gateway wrote it.
    pub key: Bytes,
    /// Names and values beside the payload.
    pub headers: Vec<(String, Bytes)>,
    /// The encoded samples.
    pub value: Bytes,
}

impl ConsumedRecord {
    /// The value of the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Memory that the record holds, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + headers + self.value.len() + 64
    }
}

/// Why a record was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The queue holds as much as it may; nothing was stored. Try again later.
    #[error("the queue is full")]
    Full {
        /// When trying again may help.
        retry_after: Duration,
    },
    /// The queue cannot take records now; nothing was stored. Try again later.
    #[error("the queue is unavailable: {reason}")]
    Unavailable {
        /// For the log, not for the client.
        reason: String,
    },
    /// The record is larger than this queue takes; trying again does not help.
    #[error("a record of {size} bytes is larger than the queue takes ({limit} bytes)")]
    TooLarge {
        /// The record's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Whether the record was stored is unknown: the answer was lost. A repeat may store it twice, unless it carries an
    /// idempotency key.
    #[error("the record may or may not have been stored: {reason}")]
    Unknown {
        /// For the log, not for the client.
        reason: String,
    },
}

impl PublishError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "queue_full",
            Self::Unavailable { .. } => "queue_unavailable",
            Self::TooLarge { .. } => "record_too_large",
            Self::Unknown { .. } => "queue_outcome_unknown",
        }
    }
}

/// What a consumer's or dead-letter queue's call failed with.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The world's fault; trying again may help.
    #[error("the queue is unavailable: {0}")]
    Unavailable(String),
    /// Records that were asked for are gone, or the source is another incarnation; an operator must decide.
    #[error("the queue no longer holds offset {wanted} of {place}: it begins at {begin}")]
    OutOfRange {
        /// The partition.
        place: Source,
        /// The offset asked for.
        wanted: Offset,
        /// The first offset that is there.
        begin: Offset,
    },
    /// The topic was made again under the same name: its offsets mean other records, and what was not read of the former one is
    /// gone; an operator must decide.
    #[error("topic {topic} was made again: it was {was}, and is {now} now")]
    TopicMadeAgain {
        /// The topic's name.
        topic: String,
        /// The incarnation whose offsets the partition has.
        was: Incarnation,
        /// The incarnation that is there now.
        now: Incarnation,
    },
    /// Another consumer owns the partition now: what this one commits does not count.
    #[error("the partition belongs to another consumer: {0}")]
    Fenced(String),
    /// Dead letters have no more room until some are purged.
    #[error("dead letters have {bytes} bytes, and {limit} are allowed: purge some")]
    DeadLettersFull {
        /// Bytes of those that are kept.
        bytes: u64,
        /// The most that are allowed.
        limit: u64,
    },
    /// An earlier replay of the dead letter did not come to its end: whether its record was put back, nobody knows.
    #[error("an earlier replay of the dead letter may have put its record back")]
    ReplayInDoubt,
    /// The queue's data is not what it should be.
    #[error("the queue is damaged: {0}")]
    Damaged(String),
    /// The queue is closed; there is nothing more to come.
    #[error("the queue is closed")]
    Closed,
}

impl QueueError {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "queue_unavailable",
            Self::OutOfRange { .. } => "queue_offset_out_of_range",
            Self::TopicMadeAgain { .. } => "topic_made_again",
            Self::Fenced(_) => "queue_fenced",
            Self::DeadLettersFull { .. } => "dead_letters_full",
            Self::ReplayInDoubt => "replay_in_doubt",
            Self::Damaged(_) => "queue_damaged",
            Self::Closed => "queue_closed",
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::DeadLettersFull { .. })
    }
}

/// Where gateways put records.
#[async_trait]
pub trait Producer: Send + Sync + 'static {
    /// Publishes records; one result a record, in their order. A placement means durable. Dropping the future does not
    /// take records back.
    async fn publish(&self, records: Vec<Record>) -> Vec<Result<Placement, PublishError>>;

    /// Whether the queue takes records now; the reason where it does not. For health, cheap.
    fn available(&self) -> Result<(), String>;
}

/// A partition that was given to this consumer, or taken away.
pub enum Assignment {
    /// Consume this partition from now on.
    Given(Box<dyn PartitionConsumer>),
    /// Stop consuming this source: settle or drop the open batch, then drop (or send through) `done`.
    Revoked {
        /// The partition.
        source: Source,
        /// Tells the queue that this partition is let go.
        done: tokio::sync::oneshot::Sender<()>,
    },
}

/// Where writers get their partitions from.
#[async_trait]
pub trait Consumer: Send + 'static {
    /// The next change of what this consumer owns. `Closed` after the queue was closed. Cancel-safe.
    ///
    /// # Errors
    /// [`QueueError`]; a retryable one may be followed by further assignments.
    async fn assignment(&mut self) -> Result<Assignment, QueueError>;
}

/// What was committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// The place to continue from; `None` where nothing was ever committed.
    pub next: Option<Offset>,
    /// Text that was committed with it.
    pub metadata: String,
}

/// One partition, read in order. To push back, do not poll.
#[async_trait]
pub trait PartitionConsumer: Send + 'static {
    /// The partition.
    fn source(&self) -> Source;

    /// The topic's name, where another incarnation may take the place of this one under the same name; `None` where a queue has one
    /// incarnation as long as it is there.
    fn topic(&self) -> Option<&str> {
        None
    }

    /// Whose partition it is, where a topic is one tenant's; `None` where the records' keys name their tenants.
    fn owner(&self) -> Option<&TenantId> {
        None
    }

    /// How long after a commit was sent nobody else can own this partition, once that commit is acknowledged; `None` where
    /// nobody else ever can.
    fn session_timeout(&self) -> Option<Duration> {
        None
    }

    /// What was committed when this partition was given to the consumer.
    fn committed(&self) -> &Committed;

    /// Continues from `next`.
    ///
    /// # Errors
    /// [`QueueError::OutOfRange`] where records from there on are gone already or never were.
    async fn seek(&mut self, next: Offset) -> Result<(), QueueError>;

    /// Waits until there is at least one record, then returns records in order, about `max_bytes` of them at most (one
    /// record at least). Cancel-safe: a record is returned by exactly one completed poll.
    ///
    /// # Errors
    /// [`QueueError`]; [`QueueError::Closed`] when the queue was closed and everything was returned.
    async fn poll(&mut self, max_bytes: usize) -> Result<Vec<ConsumedRecord>, QueueError>;

    /// From the next commit on, records before the committed offset but not before `offset` may be sought again; `None` for
    /// none. For a queue that removes what was committed; one with a retention of its own does nothing.
    fn keep_from(&mut self, offset: Option<Offset>) {
        let _ = offset;
    }

    /// Notes that everything before `next` is done, with text to be found at the next assignment. Where there is text, it is
    /// durable when this returns: it is an intent, and something will be stored that only the intent explains.
    ///
    /// # Errors
    /// [`QueueError`]; the commit may or may not have happened.
    async fn commit(&mut self, next: Offset, metadata: &str) -> Result<(), QueueError>;

    /// The offset that the next record appended to this partition will get, as far as is known; for lag.
    fn end(&self) -> Offset;
}

/// What an operator's work needs of a queue beside reading and writing.
#[async_trait]
pub trait QueueAdmin: Send + Sync + 'static {
    /// Every partition with the offset that the next record appended to it will get.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn ends(&self) -> Result<Vec<(Source, Offset)>, QueueError>;

    /// How many partitions this process should read and cannot begin with yet, for health; the log says why.
    fn unopened(&self) -> usize {
        0
    }

    /// The tenant whose records alone are in a partition that [`ends`](Self::ends) has told of; `None` where tenants share it.
    fn owner(&self, _source: Source) -> Option<TenantId> {
        None
    }

    /// Removes the bytes of records that were consumed and committed from disk now, instead of some time later. A queue
    /// that others own (Kafka, whose topics have a retention) does nothing.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn scrub(&self) -> Result<(), QueueError>;
}
