//! What could not be used, kept until someone has looked at it.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use luminate_model::{Offset, Source, TenantId};

use crate::QueueError;

/// The identity of a dead letter: its record's place and, where one sample of the record is meant, that sample's index.
/// A second copy after a crash has the same identity. As text: `incarnation/partition/offset/index`, the index `-` where
/// the whole record is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId {
    /// The partition that the record came from.
    pub source: Source,
    /// The record's offset.
    pub offset: Offset,
    /// The sample's index in the record; `None` for the record as a whole.
    pub index: Option<u32>,
}

/// A record, or a sample of one, that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Identity and place.
    pub id: DeadLetterId,
    /// Why, as a stable reason code ([`luminate_model::RejectCode::code`]).
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// The tenant where known.
    pub tenant: Option<TenantId>,
    /// When the queue appended the record, ms since 1970.
    pub append_time: i64,
    /// The record's key.
    pub key: Bytes,
    /// The record's headers.
    pub headers: Vec<(String, Bytes)>,
    /// The record's bytes, cut where they would not fit.
    pub bytes: Bytes,
    /// The size of the record's value before it was cut, in bytes.
    pub full_size: u64,
    /// When it was replayed last, ms since 1970.
    pub replayed_at: Option<i64>,
}

impl DeadLetter {
    /// Whether bytes are missing, so that it cannot be replayed.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < self.full_size
    }
}

/// Which dead letters are meant; all conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only those with this reason code.
    pub code: Option<String>,
}

impl DeadLetterFilter {
    /// Whether a dead letter is meant.
    #[must_use]
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| letter.tenant.as_ref() == Some(tenant))
            && self.code.as_ref().is_none_or(|code| *code == letter.code)
    }
}

/// A part of a list of dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterPage {
    /// In the order of their ids.
    pub letters: Vec<DeadLetter>,
    /// Where to go on; `None` at the end.
    pub after: Option<DeadLetterId>,
}

/// Where dead letters are kept.
#[async_trait]
pub trait DeadLetters: Send + Sync + 'static {
    /// Keeps dead letters; they are durable when this returns. One whose id is known already is the same dead letter.
    ///
    /// # Errors
    /// [`QueueError`]; some may have been kept.
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), QueueError>;

    /// Dead letters with ids after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn list(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<DeadLetterPage, QueueError>;

    /// One dead letter.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn get(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, QueueError>;

    /// Puts the record back into the partition that it came from, as a new record, and marks the dead letter as replayed
    /// at `now` (ms since 1970). Returns the new record's offset; `None` where there is no such dead letter or it was cut.
    ///
    /// # Errors
    /// [`QueueError`]; the record may have been put back. Once that is so, further replays are refused with
    /// [`QueueError::ReplayInDoubt`].
    async fn replay(&self, id: DeadLetterId, now: i64) -> Result<Option<Offset>, QueueError>;

    /// Forgets that an earlier replay did not come to its end, so that the next one puts the record back whether or not that one did.
    /// A queue whose replays happen whole or not at all has nothing to forget.
    ///
    /// # Errors
    /// [`QueueError`]
    async fn forget_doubtful_replay(&self, _id: DeadLetterId) -> Result<(), QueueError> {
        Ok(())
    }

    /// Removes dead letters for good; returns how many.
    ///
    /// # Errors
    /// [`QueueError`]; some may have been removed.
    async fn purge(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError>;
}

/// The text is no dead letter's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a dead letter's id is incarnation/partition/offset/index, the index - for a whole record")]
pub struct InvalidDeadLetterId;

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}/{}/{index}", self.source, self.offset),
            None => write!(f, "{}/{}/-", self.source, self.offset),
        }
    }
}

impl FromStr for DeadLetterId {
    type Err = InvalidDeadLetterId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, index) = text.rsplit_once('/').ok_or(InvalidDeadLetterId)?;
        let (source, offset) = rest.rsplit_once('/').ok_or(InvalidDeadLetterId)?;
        let index = match index {
            "-" => None,
            index => Some(index.parse().map_err(|_| InvalidDeadLetterId)?),
        };
        let source = source.parse().map_err(|_| InvalidDeadLetterId)?;
        Ok(Self { source, offset: Offset(offset.parse().map_err(|_| InvalidDeadLetterId)?), index })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use luminate_model::Incarnation;

    #[test]
    fn id_is_read_back() {
        let source = Source { incarnation: Incarnation([1; 16]), partition: 3 };
        for index in [None, Some(7)] {
            let id = DeadLetterId { source, offset: Offset(9), index };
            assert_eq!(id.to_string().parse::<DeadLetterId>().unwrap(), id);
        }
        assert!("a/b/c".parse::<DeadLetterId>().is_err());
    }
}
