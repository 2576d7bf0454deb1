//! What a partition's protocol goes by, and where it stands.

use std::time::Duration;

use luminate_model::Offset;

use super::event::Ticket;
use super::reading::Reading;
use crate::batch::BatchLimits;

/// What holds for a partition as long as it is this writer's.
#[derive(Debug, Clone)]
pub struct ProtocolRules {
    /// The topic's name, where another incarnation of it may come under the same name.
    pub topic: Option<String>,
    /// Whether the store needs an intent; else it stores batch and next offset in one step.
    pub by_intent: bool,
    /// How long after a commit was sent nobody else can own the partition; `None` where nobody else ever can.
    pub session_timeout: Option<Duration>,
    /// When a batch is full.
    pub limits: BatchLimits,
    /// How many keyed records are remembered at most.
    pub max_keyed_records: usize,
    /// Time before the first repetition of what failed.
    pub first_delay: Duration,
    /// The longest time between two attempts.
    pub max_delay: Duration,
}

/// Where the partition stands before and after records are read.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waits for its beginning.
    New,
    /// The store must say where to continue.
    Resume,
    /// The store must say that it has nothing of the source, because nothing is committed.
    FindBatches,
    /// The store must say that it has nothing of another incarnation of this topic (by name), because nothing is committed.
    FindIncarnations(String),
    /// The queue must go to where reading begins, and what is read there is for this.
    Seek(Offset, Reading),
    /// Records are read.
    Read(Reading),
    /// Nothing more will be done.
    Over,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    pub(super) ticket: Ticket,
    pub(super) kind: Kind,
}

/// What an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Finds out where to begin.
    Begin,
    /// Takes the pending batch a step further, up to the store.
    Prepare,
    /// Has the store store the pending batch.
    Store,
    /// Commits that everything is settled.
    Settled,
    /// Lets time pass.
    Wait,
}

/// Why the partition is to be let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaving {
    /// The process stops: what was read is stored first.
    Stop,
    /// The partition is taken away: what was read is dropped, its next owner reads it again.
    Revoked,
}
