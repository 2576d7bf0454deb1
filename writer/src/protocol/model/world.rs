//! Log, coordinator, store and writers, and one step of it all.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use luminate_model::{Offset, Source};
use luminate_queue::Committed;
use luminate_storage::Stored;

use super::log::Log;
use super::registry::{Registry, now};
use super::store::{Flaws, Store, inserts};
use crate::batch::BatchLimits;
use crate::decode::RecordDecoder;
use crate::protocol::metadata::CommitMetadata;
use crate::protocol::{Action, End, Event, Halt, Operation, Outcome, PartitionProtocol, ProtocolRules, Ticket};
use crate::schema_registry::RegisteredSchemas;

const SESSION: Duration = Duration::from_secs(45);

/// A writer that believes the partition to be its own.
pub(super) struct Writer {
    protocol: PartitionProtocol,
    /// The partition, in the incarnation of the topic that it was given.
    pub(super) source: Source,
    /// The group's generation in which it was given the partition.
    pub(super) generation: u32,
    /// Whether it may store nothing, because the topic was made again and nobody said where to go on.
    pub(super) must_halt: bool,
    pub(super) reads_at: Offset,
    schemas: Arc<RegisteredSchemas>,
    /// What it has asked for and not been told.
    asked: VecDeque<(Ticket, Operation)>,
    last_ticket: Option<Ticket>,
    is_over: bool,
}

pub(super) struct World {
    log: Log,
    /// The logs of the topic's former incarnations.
    former: Vec<Log>,
    pub(super) store: Store,
    pub(super) committed: Committed,
    pub(super) generation: u32,
    /// Whether the owner went without a word: the group gives the partition away once its session is over.
    owner_is_silent: bool,
    pub(super) writers: Vec<Writer>,
    pub(super) dead_letters: BTreeSet<(Source, Offset)>,
    /// Whether an operator has said where to go on since the topic was made again.
    operator_spoke: bool,
    /// Whether a writer has stopped because the topic was made again.
    halted: bool,
    pub(super) now: Duration,
    registry: Arc<Registry>,
    /// What the configuration says today.
    pub(super) table: u32,
    max_samples: usize,
}

/// How an operation goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Luck {
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
            former: Vec::new(),
            store: Store::new(flaws),
            committed: Committed::default(),
            generation: 0,
            owner_is_silent: false,
            writers: Vec::new(),
            dead_letters: BTreeSet::new(),
            operator_spoke: false,
            halted: false,
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
            8 if detail < 2 => self.make_again(detail == 0),
            8 => self.log.leave_hole(),
            9 if detail == 0 => self.say_where_to_go_on(),
            9 => self.pass(u64::from(detail)),
            10 => self.give_to_another(None),
            11 if detail == 0 => {
                self.lose_what_nobody_needs();
                self.give_to_another(None);
            }
            11 => self.give_to_another(Some(match detail {
                1 => Luck::AnswerLost,
                2 => Luck::Refused,
                3 => Luck::Late,
                4 => Luck::Killed,
                _ => Luck::Good,
            })),
            12 => self.crash(which),
            13 if detail < 2 => self.tell(which, |_| Event::Stop),
            13..=14 => self.arrive_late(detail),
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

    /// The troubles are over: one writer finishes the work, once an operator has said where to go on if it must be said.
    pub(super) fn heal(&mut self) {
        self.registry.set(true, true);
        self.give_to_another(None);
        for _ in 0..5 {
            self.answer(self.writers.len() - 1, Luck::Good);
        }
        if self.halted {
            self.say_where_to_go_on();
            self.give_to_another(None);
        }
        for _ in 0..20 * (self.log.records.len() + 20) {
            self.go_on();
        }
        let last = self.writers.len() - 1;
        self.tell(last, |_| Event::Stop);
        for _ in 0..50 {
            self.answer(last, Luck::Good);
        }
        assert!(self.writers[last].is_over, "a writer that is to stop stops");
        for detail in 0..=255 {
            self.arrive_late(detail);
        }
        self.assert_invariants();
    }

    /// The last writer gets a step further.
    pub(super) fn go_on(&mut self) {
        let last = self.writers.len() - 1;
        self.read(last);
        self.answer(last, Luck::Good);
        if self.writers[last].reads_at >= self.log.end() {
            self.tell(last, |_| Event::BatchDue);
        }
    }

    pub(super) fn assert_everything_is_stored_once(&self) {
        let (stored, dead) = self.log.settled_before(self.log.end(), &self.dead_letters_of(&self.log));
        assert_eq!(self.store.rows_of(self.log.source()), stored.into_iter().collect::<Vec<_>>(), "stored");
        assert_eq!(self.dead_letters_of(&self.log), dead, "dead letters");
        for log in &self.former {
            let (stored, dead) = log.settled_before(log.end(), &self.dead_letters_of(log));
            assert!(self.store.rows_of(log.source()).iter().all(|row| stored.contains(row)), "stored of a former log");
            assert!(self.dead_letters_of(log).is_subset(&dead), "dead letters of a former log");
        }
    }

    /// Whether anything is stored of the topic as it is now.
    pub(super) fn has_stored(&self) -> bool {
        !self.store.rows_of(self.log.source()).is_empty()
    }

    /// Whether samples were taken from any incarnation of the topic.
    pub(super) fn has_taken_samples(&self) -> bool {
        !self.store.incarnations().is_empty()
    }

    /// Whether a writer has stopped because the topic was made again.
    pub(super) fn has_halted(&self) -> bool {
        self.halted
    }

    fn dead_letters_of(&self, log: &Log) -> BTreeSet<Offset> {
        let of_log = self.dead_letters.iter().filter(|(source, _)| *source == log.source());
        of_log.map(|(_, offset)| *offset).collect()
    }

    /// At every moment: what is stored is stored once, and what is passed is stored.
    fn assert_invariants(&self) {
        let rows = self.store.rows();
        assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "stored twice");
        let log = self.committed_log();
        let (stored, dead) = log.settled_before(self.committed.next.unwrap_or_default(), &self.dead_letters_of(log));
        assert!(stored.iter().all(|sample| rows.binary_search(sample).is_ok()), "passed and not stored");
        assert!(dead.is_subset(&self.dead_letters_of(log)), "passed and no dead letter");
    }

    /// The log that the committed offset belongs to.
    fn committed_log(&self) -> &Log {
        let named = match CommitMetadata::decode(&self.committed.metadata).unwrap() {
            CommitMetadata::Intent(intent) => Some(intent.incarnation),
            CommitMetadata::Settled { incarnation, .. } => incarnation,
        };
        let is_named = |log: &&Log| named == Some(log.source().incarnation);
        self.former.iter().find(is_named).unwrap_or(&self.log)
    }

    /// The topic is deleted and made again under the same name. Brokers drop what was committed, but a writer that does not know
    /// yet may commit again. An operator's commit does not come back.
    pub(super) fn make_again(&mut self, drops_commits: bool) {
        let again = self.log.again();
        self.former.push(std::mem::replace(&mut self.log, again));
        (self.operator_spoke, self.halted) = (false, false);
        if drops_commits || self.committed.metadata.is_empty() {
            self.committed = Committed::default();
        }
    }

    /// An operator who was told stops all writers and commits where to go on, as Kafka's tool does: without a text.
    pub(super) fn say_where_to_go_on(&mut self) {
        if self.halted {
            while !self.writers.is_empty() {
                self.crash(0);
            }
            self.generation += 1;
            self.committed = Committed { next: Some(Offset(0)), metadata: String::new() };
            (self.operator_spoke, self.halted) = (true, false);
        }
    }

    fn pass(&mut self, detail: u64) {
        self.now += Duration::from_secs(10 * detail);
        self.log.pass(i64::try_from(detail).unwrap() * 70_000);
    }

    /// The group gives the partition to another writer. The one that has it is told, and the first answer that it waits for then
    /// comes with this luck; or it is not told, because it is frozen: then the group waits until its session is over.
    pub(super) fn give_to_another(&mut self, told: Option<Luck>) {
        if let Some(last) = self.writers.len().checked_sub(1) {
            match told {
                Some(luck) => {
                    self.tell(last, |_| Event::Revoked);
                    self.answer(last, luck);
                    for _ in 0..10 {
                        self.answer(last, Luck::Good);
                    }
                    assert!(self.writers[last].is_over, "a partition that is taken away is let go");
                }
                None => self.owner_is_silent |= !self.writers[last].is_over,
            }
        }
        if std::mem::take(&mut self.owner_is_silent) {
            self.now += SESSION;
        }
        if self.writers.len() > 3 {
            self.crash(0);
        }
        self.generation += 1;
        let schemas = Arc::new(RegisteredSchemas::new(Some(self.registry.clone())));
        let decoder = RecordDecoder::new(None, Arc::clone(&schemas));
        let rules = ProtocolRules {
            topic: Some("samples".to_owned()),
            by_intent: true,
            session_timeout: Some(SESSION),
            limits: BatchLimits { samples: self.max_samples, bytes: 1 << 20, dead_letter_bytes: 100 },
            max_keyed_records: 1000,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(4),
        };
        let source = self.log.source();
        self.writers.push(Writer {
            protocol: PartitionProtocol::new(source, decoder, rules),
            source,
            generation: self.generation,
            must_halt: !self.operator_spoke && self.store.knows_only_others(source.incarnation),
            reads_at: Offset(0),
            schemas,
            asked: VecDeque::new(),
            last_ticket: None,
            is_over: false,
        });
        let committed = self.committed.clone();
        self.tell(self.writers.len() - 1, |_| Event::Begin(committed));
    }

    /// Retention removes records that are settled, and too old to decide of others.
    pub(super) fn lose_what_nobody_needs(&mut self) {
        if let CommitMetadata::Settled { .. } = CommitMetadata::decode(&self.committed.metadata).unwrap()
            && self.committed_log().source() == self.log.source()
        {
            self.log.lose_old(self.committed.next.unwrap_or_default());
        }
    }

    /// A new writer stores a record with a key, and what was there before.
    pub(super) fn append_keyed_and_store(&mut self) {
        self.log.append_keyed(1, 1);
        self.give_to_another(None);
        for _ in 0..50 {
            self.go_on();
        }
    }

    pub(super) fn let_a_day_pass(&mut self) {
        self.now += Duration::from_secs(86_400);
        self.log.pass(86_400_000);
    }

    /// The first offset that the topic has.
    pub(super) fn log_begin(&self) -> Offset {
        self.log.begin()
    }

    /// What the group had committed is gone, as after its time to keep it.
    pub(super) fn lose_commits(&mut self) {
        self.committed = Committed::default();
    }

    fn crash(&mut self, which: usize) {
        if which < self.writers.len() {
            let writer = self.writers.remove(which);
            self.owner_is_silent |= writer.generation == self.generation && !writer.is_over;
            // What it had sent may still arrive.
            for (_, operation) in writer.asked {
                self.send(&operation);
            }
        }
    }

    fn send(&mut self, operation: &Operation) {
        if let Operation::Insert(batch, target, permit) = operation {
            let permit = self.obeyed(*permit);
            if permit.remaining_at(self.now).is_ok() {
                self.store.late.extend(inserts(batch, target, 1).into_iter().map(|insert| (insert, permit)));
            }
        }
    }

    /// An insert comes that was sent before. The server executes none whose permit is over.
    fn arrive_late(&mut self, detail: u8) {
        if !self.store.late.is_empty() {
            let (insert, permit) = self.store.late.remove(usize::from(detail) % self.store.late.len());
            if permit.remaining_at(self.now).is_ok() {
                self.store.take(&insert, self.now, false);
            }
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
        // Of a former topic nothing is left to be read.
        let log = Some(&self.log).filter(|log| log.source() == writer.source);
        let log = log.filter(|log| writer.reads_at >= log.begin());
        let Some(record) = log.and_then(|log| log.at(writer.reads_at)).cloned() else { return };
        writer.reads_at = record.offset.next();
        self.tell(which, |_| Event::Record(record));
    }

    fn tell(&mut self, which: usize, event: impl FnOnce(&Self) -> Event) {
        let event = event(self);
        let Some(writer) = self.writers.get_mut(which).filter(|writer| !writer.is_over) else { return };
        for action in writer.protocol.handle(event) {
            match action {
                Action::Do(ticket, operation) => writer.asked.push_back((ticket, operation)),
                Action::End(End::Halted(Halt::TopicMadeAgain { .. } | Halt::OtherIncarnation { .. }))
                    if writer.generation == self.generation =>
                {
                    assert!(!self.former.is_empty() && !self.operator_spoke, "stopped without a reason");
                    writer.is_over = true;
                    // It may have been made again meanwhile.
                    self.halted |= writer.source == self.log.source();
                }
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
}
