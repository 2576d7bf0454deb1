//! Log, coordinator, store and writers, and one step of it all.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::{Committed, DeadLetter, QueueError};
use luminate_storage::{Batch, Permit, StorageError, StoreTarget, Stored};

use super::log::{Log, SOURCE};
use super::registry::{Registry, now};
use super::store::{Flaws, Store, inserts};
use crate::batch::BatchLimits;
use crate::decode::RecordDecoder;
use crate::error::WriterError;
use crate::protocol::metadata::CommitMetadata;
use crate::protocol::{Action, End, Event, Operation, Outcome, PartitionProtocol, ProtocolRules, Ticket};
use crate::schema_registry::{NotedSchemas, RegisteredSchemas};

const SESSION: Duration = Duration::from_secs(45);

/// A writer that believes the partition to be its own.
struct Writer {
    protocol: PartitionProtocol,
    /// The group's generation in which it was given the partition.
    generation: u32,
    reads_at: Offset,
    schemas: Arc<RegisteredSchemas>,
    /// What it has asked for and not been told.
    asked: VecDeque<(Ticket, Operation)>,
    last_ticket: Option<Ticket>,
    is_over: bool,
}

pub(super) struct World {
    log: Log,
    store: Store,
    committed: Committed,
    generation: u32,
    writers: Vec<Writer>,
    dead_letters: BTreeSet<Offset>,
    now: Duration,
    registry: Arc<Registry>,
    /// What the configuration says today.
    table: u32,
    max_samples: usize,
}

/// How an operation goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Good,
    /// It happens, and the answer is lost.
    AnswerLost,
    /// It does not happen.
    Refused,
    /// A part of it happens, the rest perhaps later.
    Late,
    /// The server dies in its middle.
    Killed,
}

impl World {
    pub(super) fn new(flaws: Flaws) -> Self {
        Self {
            log: Log::default(),
            store: Store::new(flaws),
            committed: Committed::default(),
            generation: 0,
            writers: Vec::new(),
            dead_letters: BTreeSet::new(),
            now: Duration::from_secs(1000),
            registry: Arc::default(),
            table: 0,
            max_samples: 4,
        }
    }

    /// One step, of whatever kind the dice says.
    pub(super) fn step(&mut self, roll: u8) {
        let which = usize::from(roll >> 5) % self.writers.len().max(1);
        let detail = roll >> 5;
        match roll & 31 {
            0..=2 => self.log.append(1),
            3 => self.log.append_registered(),
            4 => self.log.append(3),
            5..=6 => self.log.append_keyed(detail & 3, detail >> 2),
            7 => self.log.append_broken(),
            8 => self.log.leave_hole(),
            9 => self.pass(u64::from(detail)),
            10 => self.give_to_another(false),
            11 => self.give_to_another(true),
            12 => self.crash(which),
            13 => self.tell(which, |_| Event::Stop),
            14 => self.arrive_late(detail),
            15 => self.change_configuration(detail),
            16 => self.repeat_old_news(which),
            17..=18 => self.tell(which, |_| Event::BatchDue),
            19..=23 => self.read(which),
            24..=28 => self.answer(which, Luck::Good),
            29 => self.answer(which, Luck::AnswerLost),
            30 => self.answer(which, Luck::Refused),
            _ => self.answer(which, if detail & 1 == 0 { Luck::Late } else { Luck::Killed }),
        }
        self.assert_invariants();
    }

    /// The troubles are over: one writer finishes the work.
    pub(super) fn heal(&mut self) {
        self.registry.set(true, true);
        self.give_to_another(false);
        let last = self.writers.len() - 1;
        for _ in 0..20 * (self.log.records.len() + 20) {
            self.read(last);
            self.answer(last, Luck::Good);
            if self.writers[last].reads_at >= self.log.end() {
                self.tell(last, |_| Event::BatchDue);
            }
        }
        self.tell(last, |_| Event::Stop);
        for _ in 0..50 {
            self.answer(last, Luck::Good);
        }
        for detail in 0..=255 {
            self.arrive_late(detail);
        }
        self.assert_invariants();
    }

    pub(super) fn assert_everything_is_stored_once(&self) {
        let (stored, dead) = self.log.settled_before(self.log.end(), &self.dead_letters);
        assert_eq!(self.store.rows(), stored.into_iter().collect::<Vec<_>>(), "stored");
        assert_eq!(self.dead_letters, dead, "dead letters");
    }

    /// At every moment: what is stored is stored once, and what is passed is stored.
    fn assert_invariants(&self) {
        let rows = self.store.rows();
        assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "stored twice");
        let (stored, dead) = self.log.settled_before(self.committed.next.unwrap_or_default(), &self.dead_letters);
        assert!(stored.iter().all(|sample| rows.binary_search(sample).is_ok()), "passed and not stored");
        assert!(dead.is_subset(&self.dead_letters), "passed and no dead letter");
    }

    fn pass(&mut self, detail: u64) {
        self.now += Duration::from_secs(10 * detail);
        self.log.pass(i64::try_from(detail).unwrap() * 70_000);
    }

    /// The group gives the partition to another writer, telling the one that has it, or (it is frozen) not.
    fn give_to_another(&mut self, tells: bool) {
        if tells && let Some(last) = self.writers.len().checked_sub(1) {
            self.tell(last, |_| Event::Revoked);
            for _ in 0..10 {
                self.answer(last, Luck::Good);
            }
        }
        if self.writers.len() > 3 {
            self.crash(0);
        }
        self.generation += 1;
        let schemas = Arc::new(RegisteredSchemas::new(Some(self.registry.clone())));
        let decoder = RecordDecoder::new(None, Arc::clone(&schemas));
        let rules = ProtocolRules {
            by_intent: true,
            session_timeout: Some(SESSION),
            limits: BatchLimits { samples: self.max_samples, bytes: 1 << 20, dead_letter_bytes: 100 },
            max_keyed_records: 1000,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(4),
        };
        self.writers.push(Writer {
            protocol: PartitionProtocol::new(SOURCE, decoder, rules),
            generation: self.generation,
            reads_at: Offset(0),
            schemas,
            asked: VecDeque::new(),
            last_ticket: None,
            is_over: false,
        });
        let committed = self.committed.clone();
        self.tell(self.writers.len() - 1, |_| Event::Begin(committed));
    }

    /// What the group had committed is gone, as after its time to keep it.
    pub(super) fn lose_commits(&mut self) {
        self.committed = Committed::default();
    }

    fn crash(&mut self, which: usize) {
        if which < self.writers.len() {
            let writer = self.writers.remove(which);
            // What it had sent may still arrive.
            for (_, operation) in writer.asked {
                self.send(&operation);
            }
        }
    }

    fn send(&mut self, operation: &Operation) {
        if let Operation::Insert(batch, target, permit) = operation
            && permit.remaining_at(self.now).is_ok()
        {
            self.store.late.extend(inserts(batch, target, 1));
        }
    }

    fn arrive_late(&mut self, detail: u8) {
        if !self.store.late.is_empty() {
            let insert = self.store.late.remove(usize::from(detail) % self.store.late.len());
            self.store.take(&insert, false);
        }
    }

    fn change_configuration(&mut self, detail: u8) {
        self.table = u32::from(detail & 1);
        self.registry.set(detail & 2 == 0, detail != 7);
        self.max_samples = 2 + usize::from(detail);
    }

    /// An outcome that the writer was told before is told again.
    fn repeat_old_news(&mut self, which: usize) {
        let Some(ticket) = self.writers.get(which).and_then(|writer| writer.last_ticket) else { return };
        let stored = Stored { samples: 1, ..Stored::default() };
        self.tell(which, |_| Event::Done(ticket, Outcome::Stored(stored)));
    }

    fn read(&mut self, which: usize) {
        let Some(writer) = self.writers.get_mut(which).filter(|writer| writer.protocol.wants_records()) else { return };
        // A queue's call is at work: nothing is read beside it.
        let at_queue = |operation: &Operation| matches!(operation, Operation::Seek(_) | Operation::Commit { .. });
        if writer.asked.iter().any(|(_, operation)| at_queue(operation)) {
            return;
        }
        let Some(record) = self.log.at(writer.reads_at).cloned() else { return };
        writer.reads_at = record.offset.next();
        self.tell(which, |_| Event::Record(record));
    }

    fn tell(&mut self, which: usize, event: impl FnOnce(&Self) -> Event) {
        let event = event(self);
        let Some(writer) = self.writers.get_mut(which).filter(|writer| !writer.is_over) else { return };
        for action in writer.protocol.handle(event) {
            match action {
                Action::Do(ticket, operation) => writer.asked.push_back((ticket, operation)),
                // One that the partition was taken from may see what its successor has stored; nothing is stopped by it.
                Action::End(End::Halted(halt)) if writer.generation == self.generation => panic!("halted: {halt}"),
                Action::End(_) => writer.is_over = true,
                Action::LearnSchema(id, record) => {
                    // Where it does not answer, the record is read again.
                    let _ = now(writer.schemas.learn(id));
                    writer.reads_at = record.offset;
                }
                Action::Begun(_) | Action::Stored(_) | Action::Failed(_) => {}
            }
        }
        assert!(writer.asked.len() <= 2, "one operation at a time, and one that was given up");
    }

    fn answer(&mut self, which: usize, luck: Luck) {
        let Some((ticket, operation)) = self.writers.get_mut(which).and_then(|writer| writer.asked.pop_front()) else {
            return;
        };
        let outcome = self.perform(which, operation, luck).unwrap_or_else(Outcome::Failed);
        self.writers[which].last_ticket = Some(ticket);
        self.tell(which, |_| Event::Done(ticket, outcome));
    }

    fn perform(&mut self, which: usize, operation: Operation, luck: Luck) -> Result<Outcome, WriterError> {
        match operation {
            Operation::Seek(next) => {
                self.writers[which].reads_at = next;
                Ok(Outcome::Sought)
            }
            Operation::FindLastBatch => Ok(Outcome::LastBatch(self.store.last_batch())),
            Operation::FindTarget => Ok(Outcome::Target(self.target())),
            Operation::Commit { next, metadata, .. } => self.commit(which, next, metadata, luck),
            Operation::KeepDeadLetters(letters) => self.keep(&letters, luck),
            Operation::Insert(batch, target, permit) => self.insert(&batch, &target, permit, luck),
            Operation::Settle(batch, target, permit) => self.settle(&batch, &target, permit, luck),
            Operation::Wait(_) => Ok(Outcome::Waited),
            Operation::ResumeStore | Operation::Write(_) => panic!("the store does not store in one step"),
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
            CommitMetadata::Settled { .. } if flaws.keyed_are_forgotten => String::new(),
            _ => metadata,
        }
    }

    fn keep(&mut self, letters: &[DeadLetter], luck: Luck) -> Result<Outcome, WriterError> {
        if matches!(luck, Luck::Refused | Luck::Killed) {
            return Err(QueueError::Unavailable("refused".to_owned()).into());
        }
        let some = if luck == Luck::Late { 1 } else { letters.len() };
        self.dead_letters.extend(letters.iter().take(some).map(|letter| letter.id.offset));
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
        permit.remaining_at(self.now)?;
        let lost = || Err(StorageError::Unavailable("lost".to_owned()).into());
        for (at, insert) in inserts(batch, target, 1).into_iter().enumerate() {
            match luck {
                Luck::Refused => return lost(),
                // The first slice is stored, the others are under way.
                Luck::Late if at > 0 || batch.first.0.is_multiple_of(2) => self.store.late.push(insert),
                Luck::Killed => {
                    self.store.take(&insert, true);
                    return lost();
                }
                _ => self.store.take(&insert, false),
            }
        }
        match luck {
            Luck::Good => Ok(Outcome::Stored(Stored { samples: batch.samples() as u64, ..Stored::default() })),
            _ => lost(),
        }
    }

    fn settle(
        &mut self,
        batch: &Batch,
        target: &StoreTarget,
        permit: Permit,
        luck: Luck,
    ) -> Result<Outcome, WriterError> {
        permit.remaining_at(self.now)?;
        let today = self.target();
        let target = if self.store.flaws.target_is_not_obeyed { &today } else { target };
        let lost = || Err(StorageError::Unavailable("lost".to_owned()).into());
        for insert in inserts(batch, target, 1) {
            if luck == Luck::Refused {
                return lost();
            }
            assert!(self.store.settle(&insert, batch, target), "a slice is there in part");
            if luck != Luck::Good {
                return lost();
            }
        }
        Ok(Outcome::Stored(Stored::default()))
    }
}
