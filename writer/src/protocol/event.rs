//! What a partition's protocol is told, and what it asks for.

use std::sync::Arc;
use std::time::Duration;

use luminate_model::{Incarnation, Offset};
use luminate_queue::{Committed, ConsumedRecord, DeadLetter};
use luminate_storage::{Batch, Permit, Resume, StoreTarget, Stored};

use crate::error::WriterError;

/// Tells one operation from all others of the same protocol, so that a late outcome is known as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub(super) u64);

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The partition was given to this writer, with what was committed for it.
    Begin(Committed),
    /// The next record was read. Only when [`wants_records`](super::PartitionProtocol::wants_records).
    Record(ConsumedRecord),
    /// The oldest record of the open batch has waited long enough.
    BatchDue,
    /// Records could not be read, and trying again does not help.
    ReadFailed(WriterError),
    /// An operation came to its end.
    Done(Ticket, Outcome),
    /// The partition is taken away.
    Revoked,
    /// The process stops.
    Stop,
}

/// How an operation ended.
#[derive(Debug)]
pub enum Outcome {
    /// Of [`Operation::ResumeStore`].
    Resumed(Resume),
    /// Of [`Operation::FindLastBatch`].
    LastBatch(Option<Offset>),
    /// Of [`Operation::FindIncarnations`], in the order in which they were noted.
    Incarnations(Vec<Incarnation>),
    /// Of [`Operation::NoteIncarnation`].
    IncarnationNoted,
    /// Of [`Operation::Seek`].
    Sought,
    /// Of [`Operation::FindTarget`].
    Target(StoreTarget),
    /// Of [`Operation::Commit`].
    Committed {
        /// When it was sent ([`Permit::now`]).
        sent: Duration,
    },
    /// Of [`Operation::KeepDeadLetters`].
    DeadLettersKept,
    /// Of [`Operation::Write`], [`Operation::Insert`] and [`Operation::Settle`].
    Stored(Stored),
    /// Of [`Operation::Wait`].
    Waited,
    /// Of any.
    Failed(WriterError),
}

/// Something to do for the partition; one at a time.
#[derive(Debug)]
pub enum Operation {
    /// Ask the store where to continue.
    ResumeStore,
    /// Ask the store whether it has anything of the source, because nothing is committed.
    FindLastBatch,
    /// Ask the store which incarnations of a topic it has taken samples from, because nothing is committed.
    FindIncarnations {
        /// The topic's name.
        topic: String,
    },
    /// Have the store note that it takes samples from the source's incarnation of a topic.
    NoteIncarnation {
        /// The topic's name.
        topic: String,
    },
    /// Read from here on.
    Seek(Offset),
    /// Ask the store where a new batch goes.
    FindTarget,
    /// Commit.
    Commit {
        /// The place to continue from.
        next: Offset,
        /// What is committed with it.
        metadata: String,
        /// The first record that may be read again beside those from `next` on.
        keep_from: Option<Offset>,
    },
    /// Make dead letters durable.
    KeepDeadLetters(Arc<Vec<DeadLetter>>),
    /// Store a batch with its next offset in one step.
    Write(Batch),
    /// Store a batch that was never tried.
    Insert(Arc<Batch>, StoreTarget, Permit),
    /// Store of a batch what is missing.
    Settle(Arc<Batch>, StoreTarget, Permit),
    /// Let time pass before the next attempt.
    Wait(Duration),
}

/// What the runtime shall do about an event.
#[derive(Debug)]
pub enum Action {
    /// Do this, and tell how it ended.
    Do(Ticket, Operation),
    /// The record was not taken: find out what the schema registry keeps under this number, then hand it in again.
    LearnSchema(u32, ConsumedRecord),
    /// Everything before this offset was stored when the partition began.
    Begun(Offset),
    /// A batch is stored.
    Stored(StoredBatch),
    /// An attempt failed and another will follow.
    Failed(WriterError),
    /// The partition is done with. Nothing follows.
    End(End),
}

/// A batch that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// Everything before is stored.
    pub next: Offset,
    /// What became of the samples.
    pub stored: Stored,
    /// Samples of the batch.
    pub samples: usize,
    /// Memory of the decoded samples, in bytes.
    pub bytes: usize,
    /// When the queue appended its first record, ms since 1970.
    pub oldest_append_time: i64,
    /// Samples of records that were recognised as repeats.
    pub repeated: u64,
    /// The reasons of its dead letters.
    pub dead_letters: Vec<String>,
}

/// How a partition's work ends.
#[derive(Debug)]
pub enum End {
    /// Nothing of this writer is on its way; whoever owns the partition next goes on.
    Released,
    /// Another writer owns the partition.
    Lost(WriterError),
    /// An operator must look.
    Halted(Halt),
}

/// Why a partition stands still until an operator has looked.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// A call failed in a way that trying again does not mend.
    #[error(transparent)]
    Failed(#[from] WriterError),
    /// What was committed cannot be read.
    #[error(transparent)]
    Metadata(#[from] super::metadata::UnreadableMetadata),
    /// Nothing is committed, but something is stored: what was committed is lost, and reading from the beginning would store
    /// it again.
    #[error("the group has no committed offset, but the store has batches up to the one that begins at {last}")]
    CommitsLost {
        /// The first offset of the last batch that is stored.
        last: Offset,
    },
    /// The topic was made again after the intent was noted: its offsets mean other records.
    #[error("the open intent is of another incarnation of the topic ({noted}); this one is {found}")]
    OtherIncarnation {
        /// The incarnation in the intent.
        noted: Incarnation,
        /// The topic's.
        found: Incarnation,
    },
    /// The topic was made again: what was not stored of the former one is gone, and nobody has said where to go on.
    #[error(
        "the topic was made again: samples were taken from its incarnation {known}, this one is {found}; \
             what was not stored of the former one is gone"
    )]
    TopicMadeAgain {
        /// The incarnation that samples were taken from last.
        known: Incarnation,
        /// The topic's.
        found: Incarnation,
    },
    /// The records of an intent's batch are not all there any more.
    #[error("the open intent ends at {to}, but the records before it are gone: the next one is {found}")]
    IntentIncomplete {
        /// The offset after the batch.
        to: Offset,
        /// The record that came instead.
        found: Offset,
    },
}

impl Halt {
    /// The stable name, snake_case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Failed(error) => error.code(),
            Self::Metadata(_) => "commit_metadata_unreadable",
            Self::CommitsLost { .. } => "commits_lost",
            Self::OtherIncarnation { .. } => "intent_other_incarnation",
            Self::TopicMadeAgain { .. } => "topic_made_again",
            Self::IntentIncomplete { .. } => "intent_incomplete",
        }
    }
}
