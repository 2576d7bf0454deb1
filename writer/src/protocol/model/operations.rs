//! What becomes of the operations that writers ask for.

use luminate_model::Offset;
use luminate_queue::{Committed, DeadLetter, QueueError};
use luminate_storage::{Batch, Permit, StorageError, StoreTarget, Stored};

use super::store::inserts;
use super::world::{Luck, World};
use crate::error::WriterError;
use crate::protocol::metadata::CommitMetadata;
use crate::protocol::{Operation, Outcome};
use crate::schema_registry::NotedSchemas;

impl World {
    pub(super) fn perform(&mut self, which: usize, operation: Operation, luck: Luck) -> Result<Outcome, WriterError> {
        match operation {
            Operation::Seek(_) | Operation::FindLastBatch | Operation::FindTarget
                if !matches!(luck, Luck::Good | Luck::AnswerLost) =>
            {
                Err(StorageError::Unavailable("refused".to_owned()).into())
            }
            Operation::Seek(next) if next < self.log_begin() => {
                let (place, begin) = (self.writers[which].source, self.log_begin());
                Err(QueueError::OutOfRange { place, wanted: next, begin }.into())
            }
            Operation::Seek(next) => {
                self.writers[which].reads_at = next;
                Ok(Outcome::Sought)
            }
            Operation::FindLastBatch => Ok(Outcome::LastBatch(self.store.last_batch(self.writers[which].source))),
            Operation::FindIncarnations { .. } if luck == Luck::Good => {
                Ok(Outcome::Incarnations(self.store.incarnations()))
            }
            Operation::FindIncarnations { .. } => Err(StorageError::Unavailable("lost".to_owned()).into()),
            Operation::NoteIncarnation { .. } => self.note_incarnation(which, luck),
            Operation::FindTarget => Ok(Outcome::Target(self.target())),
            Operation::Commit { next, metadata, .. } => self.commit(which, next, metadata, luck),
            Operation::KeepDeadLetters(letters) => self.keep(&letters, luck),
            Operation::Insert(batch, target, permit) => {
                assert!(!self.writers[which].must_halt, "a topic made again was not noticed");
                self.insert(&batch, &target, permit, luck)
            }
            Operation::Settle(batch, target, permit) => self.settle(&batch, &target, permit, luck),
            Operation::Wait(_) => Ok(Outcome::Waited),
            Operation::ResumeStore | Operation::Write(_) => panic!("the store does not store in one step"),
        }
    }

    fn note_incarnation(&mut self, which: usize, luck: Luck) -> Result<Outcome, WriterError> {
        if luck != Luck::Refused {
            self.store.note_incarnation(self.writers[which].source.incarnation);
        }
        match luck {
            Luck::Good => Ok(Outcome::IncarnationNoted),
            _ => Err(StorageError::Unavailable("lost".to_owned()).into()),
        }
    }

    fn target(&self) -> StoreTarget {
        StoreTarget { shard: "one".to_owned(), table: format!("samples{}", self.table), format: 1 }
    }

    fn commit(&mut self, which: usize, next: Offset, metadata: String, luck: Luck) -> Result<Outcome, WriterError> {
        let sent = self.now;
        let is_owner = self.writers[which].generation == self.generation;
        if !is_owner && !self.store.flaws.no_fencing {
            return Err(QueueError::Fenced("another generation".to_owned()).into());
        }
        if matches!(luck, Luck::Refused | Luck::Late | Luck::Killed) {
            return Err(QueueError::Unavailable("refused".to_owned()).into());
        }
        self.committed = Committed { next: Some(next), metadata: self.kept(metadata) };
        match luck {
            Luck::AnswerLost => Err(QueueError::Unavailable("lost".to_owned()).into()),
            _ => Ok(Outcome::Committed { sent }),
        }
    }

    fn kept(&self, metadata: String) -> String {
        let flaws = self.store.flaws;
        match CommitMetadata::decode(&metadata).unwrap() {
            CommitMetadata::Intent(_) if flaws.intents_are_forgotten => String::new(),
            CommitMetadata::Intent(mut intent) if flaws.keyed_are_forgotten => {
                intent.keyed = None;
                CommitMetadata::Intent(intent).encode()
            }
            CommitMetadata::Intent(mut intent) if flaws.schemas_are_forgotten => {
                intent.schemas = NotedSchemas::default();
                CommitMetadata::Intent(intent).encode()
            }
            CommitMetadata::Settled { incarnation, .. } if flaws.keyed_are_forgotten => {
                CommitMetadata::Settled { incarnation, keyed: None }.encode()
            }
            CommitMetadata::Settled { keyed, .. } if flaws.commits_name_no_incarnation => {
                CommitMetadata::Settled { incarnation: None, keyed }.encode()
            }
            _ => metadata,
        }
    }

    fn keep(&mut self, letters: &[DeadLetter], luck: Luck) -> Result<Outcome, WriterError> {
        if matches!(luck, Luck::Refused | Luck::Killed) {
            return Err(QueueError::Unavailable("refused".to_owned()).into());
        }
        let some = if luck == Luck::Late { 1 } else { letters.len() };
        self.dead_letters.extend(letters.iter().take(some).map(|letter| (letter.id.source, letter.id.offset)));
        match luck {
            Luck::Good => Ok(Outcome::DeadLettersKept),
            _ => Err(QueueError::Unavailable("lost".to_owned()).into()),
        }
    }

    fn insert(
        &mut self,
        batch: &Batch,
        target: &StoreTarget,
        permit: Permit,
        luck: Luck,
    ) -> Result<Outcome, WriterError> {
        let permit = self.obeyed(permit);
        permit.remaining_at(self.now)?;
        let lost = || Err(StorageError::Unavailable("lost".to_owned()).into());
        for (at, insert) in inserts(batch, target, 1).into_iter().enumerate() {
            match luck {
                Luck::Refused => return lost(),
                // The first slice is stored, the others are under way.
                Luck::Late if at > 0 || batch.first.0.is_multiple_of(2) => self.store.late.push((insert, permit)),
                Luck::Killed => {
                    self.store.take(&insert, self.now, true);
                    return lost();
                }
                _ => self.store.take(&insert, self.now, false),
            }
        }
        match luck {
            Luck::Good => Ok(Outcome::Stored(Stored { samples: batch.samples() as u64, ..Stored::default() })),
            _ => lost(),
        }
    }

    /// What a permit amounts to.
    pub(super) fn obeyed(&self, permit: Permit) -> Permit {
        if self.store.flaws.permits_never_end { Permit::unlimited() } else { permit }
    }

    fn settle(
        &mut self,
        batch: &Batch,
        target: &StoreTarget,
        permit: Permit,
        luck: Luck,
    ) -> Result<Outcome, WriterError> {
        self.obeyed(permit).remaining_at(self.now)?;
        let today = self.target();
        let target = if self.store.flaws.target_is_not_obeyed { &today } else { target };
        let lost = || Err(StorageError::Unavailable("lost".to_owned()).into());
        for insert in inserts(batch, target, 1) {
            if luck == Luck::Refused {
                return lost();
            }
            assert!(self.store.settle(&insert, batch, target, self.now), "a slice is there in part");
            if luck != Luck::Good {
                return lost();
            }
        }
        Ok(Outcome::Stored(Stored::default()))
    }
}
