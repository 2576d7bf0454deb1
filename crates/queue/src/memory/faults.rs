//! What tests can have go wrong.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{MemoryQueue, RETRY_AFTER, Shared};
use crate::{PublishError, QueueError};

/// How the publishing of one record goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishFault {
    /// Nothing is stored: the queue says that it is full.
    Full,
    /// Nothing is stored: the queue says that it is unavailable.
    Unavailable,
    /// The record is stored, and the answer is lost.
    UnknownStored,
    /// The record is not stored, and the answer is lost.
    UnknownLost,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// One for each record that is published next.
    pub(super) publish: VecDeque<PublishFault>,
    pub(super) polls: u32,
    pub(super) commits: u32,
    pub(super) dead_letters: u32,
    pub(super) acknowledgements_held: bool,
}

/// While this lives, publishing stores records and does not answer.
pub struct HeldAcknowledgements {
    shared: Arc<Shared>,
}

impl PublishFault {
    pub(super) fn before_append(self) -> Option<PublishError> {
        match self {
            Self::Full => Some(PublishError::Full { retry_after: RETRY_AFTER }),
            Self::Unavailable => Some(PublishError::Unavailable { reason: "injected".to_owned() }),
            Self::UnknownLost => Some(PublishError::Unknown { reason: "injected".to_owned() }),
            Self::UnknownStored => None,
        }
    }

    pub(super) fn after_append(self) -> Option<PublishError> {
        (self == Self::UnknownStored).then(|| PublishError::Unknown { reason: "injected".to_owned() })
    }
}

/// Takes one of the failures that were asked for.
pub(super) fn take(left: &mut u32) -> Result<(), QueueError> {
    if *left == 0 {
        return Ok(());
    }
    *left -= 1;
    Err(QueueError::Unavailable("injected".to_owned()))
}

impl MemoryQueue {
    /// Has the next `records` records that are published go wrong.
    pub fn fail_publish(&self, records: usize, fault: PublishFault) {
        self.shared.lock().faults.publish.extend(std::iter::repeat_n(fault, records));
    }

    /// Has the next `times` polls fail, of whatever partition.
    pub fn fail_polls(&self, times: u32) {
        self.shared.lock().faults.polls = times;
        self.shared.wake();
    }

    /// Has the next `times` commits fail without effect.
    pub fn fail_commits(&self, times: u32) {
        self.shared.lock().faults.commits = times;
    }

    /// Has the next `times` calls that put dead letters fail without effect.
    pub fn fail_dead_letters(&self, times: u32) {
        self.shared.lock().faults.dead_letters = times;
    }

    /// Has publishing wait with its answers until what this returns is dropped. Records are stored meanwhile.
    #[must_use]
    pub fn hold_acknowledgements(&self) -> HeldAcknowledgements {
        self.shared.lock().faults.acknowledgements_held = true;
        HeldAcknowledgements { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for HeldAcknowledgements {
    fn drop(&mut self) {
        self.shared.lock().faults.acknowledgements_held = false;
        self.shared.wake();
    }
}
