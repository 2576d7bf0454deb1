//! What the records that come are for.

use luminate_model::{Offset, Source};
use luminate_queue::Committed;

use super::event::Halt;
use super::metadata::{CommitMetadata, Intent};
use super::state::Phase;

/// What the records that come are for.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// They were settled before; they only say which keyed records to remember.
    Again {
        /// The first record that was not settled.
        until: Offset,
        /// The intent that is open from there on, if one is.
        intent: Option<Intent>,
    },
    /// They are the batch of an open intent.
    Rebuild(Intent),
    /// They are new.
    New,
}

/// Where to begin.
#[derive(Debug)]
pub(super) struct Start {
    /// Where to read from.
    pub(super) seek: Offset,
    /// The first record that is not settled.
    pub(super) next: Offset,
    /// What the first records are for.
    pub(super) reading: Reading,
    /// How many keyed records to remember, where an intent says so.
    pub(super) window: Option<usize>,
}

impl Start {
    /// Where to begin by what was committed.
    pub(super) fn of(source: Source, committed: &Committed) -> Result<Self, Halt> {
        let metadata = CommitMetadata::decode(&committed.metadata)?;
        let next = committed.next.unwrap_or_default();
        let (keyed, intent) = match metadata {
            CommitMetadata::Settled { incarnation: Some(known), .. } if known != source.incarnation => {
                return Err(Halt::TopicMadeAgain { known, found: source.incarnation });
            }
            CommitMetadata::Settled { keyed, .. } => (keyed, None),
            CommitMetadata::Intent(intent) => (intent.keyed, Some(intent)),
        };
        if let Some(intent) = &intent
            && intent.incarnation != source.incarnation
        {
            return Err(Halt::OtherIncarnation { noted: intent.incarnation, found: source.incarnation });
        }
        let keyed = keyed.filter(|keyed| *keyed < next);
        let window = intent.as_ref().map(|intent| intent.window);
        let reading = match keyed {
            Some(_) => Reading::Again { until: next, intent },
            None => Reading::from_intent(intent),
        };
        Ok(Self { seek: keyed.unwrap_or(next), next, reading, window })
    }
}

impl Reading {
    /// Where to begin when the queue has removed what lay at `sought` and begins at `begin`; `None` where something is missing
    /// then.
    ///
    /// Where nothing has come for longer than the queue keeps records, those that are to be remembered are gone, and with them
    /// the ten minutes in which they decided of others. The records of an intent are judged by what was remembered then, however
    /// long ago.
    pub(super) fn begin_later(&self, sought: Offset, begin: Offset) -> Option<Phase> {
        match self {
            Self::Again { until, intent: None } if sought < begin && begin < *until => {
                Some(Phase::Seek(begin, self.clone()))
            }
            Self::Again { until, intent: None } if sought < begin && begin == *until => {
                Some(Phase::Seek(begin, Self::New))
            }
            _ => None,
        }
    }

    /// What comes once everything before has been read.
    pub(super) fn from_intent(intent: Option<Intent>) -> Self {
        intent.map_or(Self::New, Self::Rebuild)
    }
}
