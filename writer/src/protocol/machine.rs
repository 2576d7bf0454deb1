//! The protocol of one partition for as long as it is this writer's.

use std::time::Duration;

use luminate_model::{Incarnation, Offset, Source};
use luminate_queue::{Committed, ConsumedRecord, QueueError};
use luminate_storage::{Permit, Resume, StorageError};

use super::event::{Action, End, Event, Halt, Operation, Outcome, Ticket};
use super::metadata::{CommitMetadata, Intent};
use super::pending::{Pending, Step};
use super::reading::{Reading, Start};
use super::state::{Kind, Leaving, Phase, ProtocolRules, Running};
use crate::batch::OpenBatch;
use crate::decode::RecordDecoder;
use crate::error::WriterError;
use crate::idempotency::IdempotencyWindow;
use crate::judge::{NeedsSchema, judge};
use crate::schema_registry::NotedSchemas;

/// The protocol of one partition. Feed it with [`handle`](Self::handle) and obey; records only while
/// [`wants_records`](Self::wants_records).
pub struct PartitionProtocol {
    source: Source,
    rules: ProtocolRules,
    decoder: RecordDecoder,
    phase: Phase,
    window: IdempotencyWindow,
    /// Everything before was read for a batch or settled long ago; `None` until that is known.
    position: Option<Offset>,
    /// Where to begin with a store that knows nothing yet: what was committed, else the first record that was ever read.
    origin: Option<Offset>,
    open: OpenBatch,
    /// The first keyed record that was remembered when the first record of `open` was judged.
    open_keyed: Option<Offset>,
    is_due: bool,
    pending: Option<Pending>,
    /// Whether the store has noted that it takes samples from the source's incarnation.
    incarnation_noted: bool,
    /// The next offset of what is stored, and not committed as such.
    stored: Option<Offset>,
    /// The operation that was asked for last and has not ended.
    running: Option<Running>,
    tickets: u64,
    retry_delay: Duration,
    /// Whether the last attempt to get a batch into the store failed.
    is_held_up: bool,
    leaving: Option<Leaving>,
}

impl PartitionProtocol {
    /// The protocol of `source`, whose records `decoder` reads.
    #[must_use]
    pub fn new(source: Source, decoder: RecordDecoder, rules: ProtocolRules) -> Self {
        Self {
            source,
            decoder,
            phase: Phase::New,
            window: IdempotencyWindow::new(rules.max_keyed_records, Vec::new()),
            position: None,
            origin: None,
            open: OpenBatch::new(source, rules.limits, None),
            open_keyed: None,
            is_due: false,
            pending: None,
            incarnation_noted: false,
            stored: None,
            running: None,
            tickets: 0,
            retry_delay: rules.first_delay,
            is_held_up: false,
            leaving: None,
            rules,
        }
    }

    /// Whether the next record is welcome; where not, read none.
    #[must_use]
    pub fn wants_records(&self) -> bool {
        let has_room = match &self.phase {
            Phase::Read(Reading::Rebuild(_)) => true,
            // What is read while the store is away would only take memory.
            Phase::Read(_) => !self.is_full() && !self.is_held_up,
            _ => false,
        };
        has_room && self.leaving.is_none()
    }

    /// Whether the open batch takes no more records.
    fn is_full(&self) -> bool {
        self.open.is_full() || self.decoder.is_full()
    }

    /// Whether a batch is open whose age counts.
    #[must_use]
    pub fn has_open_batch(&self) -> bool {
        matches!(self.phase, Phase::Read(Reading::New)) && !self.open.is_empty() && !self.is_due
    }

    /// Whether the intent of a batch is committed that is not known to be stored.
    #[must_use]
    pub fn has_open_intent(&self) -> bool {
        let rebuilds = match &self.phase {
            Phase::Read(Reading::Rebuild(_) | Reading::Again { intent: Some(_), .. }) => true,
            Phase::Seek(_, reading) => !matches!(reading, Reading::New | Reading::Again { intent: None, .. }),
            _ => false,
        };
        rebuilds || self.pending.as_ref().is_some_and(Pending::is_noted)
    }

    /// When the queue appended the oldest record that was read and is not on its way to the store, ms since 1970.
    #[must_use]
    pub fn oldest_append_time(&self) -> Option<i64> {
        self.open.oldest_append_time()
    }

    /// How many keyed records were forgotten within their ten minutes since the last call, because there were too many.
    pub fn take_forgotten_early(&mut self) -> u64 {
        self.window.take_forgotten_early()
    }

    /// Takes note of an event, and says what to do about it, in this order.
    pub fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Err(end) = self.note(event, &mut actions).and_then(|()| self.go_on(&mut actions)) {
            self.phase = Phase::Over;
            self.running = None;
            actions.push(Action::End(end));
        }
        actions
    }

    fn note(&mut self, event: Event, actions: &mut Vec<Action>) -> Result<(), End> {
        match event {
            _ if matches!(self.phase, Phase::Over) => Ok(()),
            Event::Begin(committed) => self.begin(&committed, actions),
            Event::Record(record) => self.read(record, actions),
            Event::BatchDue => {
                self.is_due = self.has_open_batch();
                Ok(())
            }
            Event::ReadFailed(error) => Err(end_of(error)),
            Event::Revoked => self.leave(Leaving::Revoked),
            Event::Stop => self.leave(Leaving::Stop),
            Event::Done(ticket, outcome) => match self.running {
                Some(running) if running.ticket == ticket => {
                    self.running = None;
                    self.done(running.kind, outcome, actions)
                }
                // It was given up.
                _ => Ok(()),
            },
        }
    }

    fn begin(&mut self, committed: &Committed, actions: &mut Vec<Action>) -> Result<(), End> {
        if !self.rules.by_intent {
            self.origin = committed.next;
            self.phase = Phase::Resume;
            return Ok(());
        }
        if committed.next.is_none() {
            self.phase = Phase::FindBatches;
            return Ok(());
        }
        let start = Start::of(self.source, committed).map_err(End::Halted)?;
        self.window.set_max_entries(start.window.unwrap_or(self.rules.max_keyed_records));
        self.position = Some(start.next);
        actions.push(Action::Begun(start.next));
        self.start_reading(Some(start.seek), start.reading);
        Ok(())
    }

    /// What is stored was committed before it was stored: where there is no commit there must be nothing.
    fn found_batches(&mut self, last: Option<Offset>, actions: &mut Vec<Action>) -> Result<(), End> {
        if let Some(last) = last {
            return Err(End::Halted(Halt::CommitsLost { last }));
        }
        match &self.rules.topic {
            Some(topic) => self.phase = Phase::FindIncarnations(topic.clone()),
            None => self.begin_anew(actions),
        }
        Ok(())
    }

    /// Brokers drop what was committed with the topic. So where nothing is committed, and the store has taken samples from other
    /// incarnations of the topic and none from this one, something may be lost that nobody has been told of.
    fn found_incarnations(&mut self, known: &[Incarnation], actions: &mut Vec<Action>) -> Result<(), End> {
        let found = self.source.incarnation;
        self.incarnation_noted = known.contains(&found);
        match known.last() {
            Some(known) if !self.incarnation_noted => Err(End::Halted(Halt::TopicMadeAgain { known: *known, found })),
            _ => {
                self.begin_anew(actions);
                Ok(())
            }
        }
    }

    /// Nothing is committed and nothing is stored.
    fn begin_anew(&mut self, actions: &mut Vec<Action>) {
        actions.push(Action::Begun(Offset::default()));
        self.start_reading(None, Reading::New);
    }

    /// The store has said what it knows; where it knows nothing, what was committed decides.
    fn resumed(&mut self, resume: Resume, actions: &mut Vec<Action>) {
        self.window = IdempotencyWindow::new(self.rules.max_keyed_records, resume.idempotency);
        self.position = resume.next.or(self.origin);
        // The commit of what is stored may have been lost, and the queue would keep it until the next batch.
        self.stored = resume.next;
        actions.push(Action::Begun(self.position.unwrap_or_default()));
        self.start_reading(self.position, Reading::New);
    }

    fn start_reading(&mut self, seek: Option<Offset>, reading: Reading) {
        self.open = OpenBatch::new(self.source, self.rules.limits, self.position);
        self.decoder.end_batch();
        self.is_due = false;
        self.phase = match seek {
            Some(seek) => Phase::Seek(seek, reading),
            None => Phase::Read(reading),
        };
    }

    fn read(&mut self, record: ConsumedRecord, actions: &mut Vec<Action>) -> Result<(), End> {
        self.origin = self.origin.or(Some(record.offset));
        match self.take(&record) {
            Ok(outcome) => outcome,
            Err(NeedsSchema(id)) => {
                actions.push(Action::LearnSchema(id, record));
                Ok(())
            }
        }
    }

    fn take(&mut self, record: &ConsumedRecord) -> Result<Result<(), End>, NeedsSchema> {
        if let Phase::Read(Reading::Again { until, intent }) = &self.phase {
            let (until, intent) = (*until, intent.clone());
            if record.offset < until {
                // Its fate was settled; it may still decide that of others.
                let _settled = judge(&mut self.window, &mut self.decoder, record)?;
            }
            if record.offset.next() < until {
                return Ok(Ok(()));
            }
            self.phase = Phase::Read(Reading::from_intent(intent));
        }
        let Phase::Read(reading) = &self.phase else { return Ok(Ok(())) };
        // What comes twice is read once.
        if self.position.is_some_and(|position| record.offset < position) {
            return Ok(Ok(()));
        }
        let Reading::Rebuild(intent) = reading.clone() else {
            self.window.set_max_entries(self.rules.max_keyed_records);
            return self.add(record, NotedSchemas::default()).map(Ok);
        };
        if record.offset >= intent.to {
            return Ok(Err(End::Halted(Halt::IntentIncomplete { to: intent.to, found: record.offset })));
        }
        self.add(record, intent.schemas.clone())?;
        if self.position == Some(intent.to) {
            // One that noted no schemas was judged by what they mean now.
            let intent = Intent { schemas: self.decoder.end_batch(), ..intent };
            self.pending = self.open.close().map(|closed| Pending::of_intent(closed, intent));
            self.phase = Phase::Read(Reading::New);
        }
        Ok(Ok(()))
    }

    /// Takes a record into the open batch. `noted` is what is known of the batch's registered schemas before its first record.
    fn add(&mut self, record: &ConsumedRecord, noted: NotedSchemas) -> Result<(), NeedsSchema> {
        if self.open.is_empty() {
            self.open_keyed = self.window.oldest_at(record.append_time);
            self.decoder.begin_batch(noted);
        }
        let verdict = judge(&mut self.window, &mut self.decoder, record)?;
        self.open.add(record, verdict);
        self.position = Some(record.offset.next());
        Ok(())
    }

    fn leave(&mut self, leaving: Leaving) -> Result<(), End> {
        self.leaving = self.leaving.max(Some(leaving));
        let waits = self.running.is_some_and(|running| running.kind == Kind::Wait);
        let at_work = matches!(self.phase, Phase::Read(Reading::New)) && !waits;
        // What failed before is left to whoever begins next, and so is what was noted before this life.
        if at_work { Ok(()) } else { Err(End::Released) }
    }

    fn done(&mut self, kind: Kind, outcome: Outcome, actions: &mut Vec<Action>) -> Result<(), End> {
        match outcome {
            Outcome::Failed(error) => return self.failed(kind, error, actions),
            Outcome::Resumed(resume) => self.resumed(resume, actions),
            Outcome::LastBatch(last) => return self.found_batches(last, actions),
            Outcome::Incarnations(known) => return self.found_incarnations(&known, actions),
            Outcome::IncarnationNoted => self.incarnation_noted = true,
            Outcome::Sought => {
                if let Phase::Seek(_, reading) = &self.phase {
                    self.phase = Phase::Read(reading.clone());
                }
            }
            Outcome::Target(target) => {
                if let Some(pending) = &mut self.pending {
                    pending.set_target(target);
                }
            }
            Outcome::Committed { .. } if kind == Kind::Settled => self.stored = None,
            Outcome::Committed { sent } => {
                // The intent says as well that everything before it is settled.
                self.stored = None;
                if let Some(pending) = &mut self.pending {
                    pending.permit(match self.rules.session_timeout {
                        Some(validity) => Permit::from(sent, validity),
                        None => Permit::unlimited(),
                    });
                }
            }
            Outcome::DeadLettersKept => {
                if let Some(pending) = &mut self.pending {
                    pending.dead_letters_kept();
                }
            }
            Outcome::Stored(stored) => {
                if let Some(pending) = self.pending.take() {
                    self.stored = Some(pending.next());
                    self.retry_delay = self.rules.first_delay;
                    self.is_held_up = false;
                    actions.push(Action::Stored(pending.stored(stored)));
                }
            }
            Outcome::Waited => {}
        }
        Ok(())
    }

    /// A store that stores in one step is asked anew where to continue: it knows what it has, also of a batch whose outcome is in
    /// doubt, and the queue still has what is missing. Otherwise the batch is kept as it is, and settled.
    fn failed(&mut self, kind: Kind, error: WriterError, actions: &mut Vec<Action>) -> Result<(), End> {
        if let (Phase::Seek(sought, reading), WriterError::Queue(QueueError::OutOfRange { begin, .. })) =
            (&self.phase, &error)
            && let Some(shorter) = reading.begin_later(*sought, *begin)
        {
            self.phase = shorter;
            return Ok(());
        }
        if !error.is_retryable() {
            return Err(end_of(error));
        }
        self.is_held_up = self.pending.is_some();
        if kind == Kind::Store && self.rules.by_intent {
            let nothing_sent = matches!(error, WriterError::Storage(StorageError::PermitExpired));
            if let Some(pending) = &mut self.pending {
                pending.store_failed(!nothing_sent);
            }
        } else if !self.rules.by_intent && kind != Kind::Settled {
            self.pending = None;
            self.is_held_up = false;
            self.stored = None;
            self.phase = Phase::Resume;
        }
        actions.push(Action::Failed(error));
        if self.leaving.is_some() {
            return Err(End::Released);
        }
        self.ask(Kind::Wait, Operation::Wait(self.retry_delay), actions);
        self.retry_delay = (self.retry_delay * 2).min(self.rules.max_delay);
        Ok(())
    }

    /// Asks for what comes next, where nothing is running.
    fn go_on(&mut self, actions: &mut Vec<Action>) -> Result<(), End> {
        if self.running.is_some() {
            return Ok(());
        }
        match &self.phase {
            Phase::New | Phase::Over => Ok(()),
            Phase::Resume => {
                self.ask(Kind::Begin, Operation::ResumeStore, actions);
                Ok(())
            }
            Phase::FindBatches => {
                self.ask(Kind::Begin, Operation::FindLastBatch, actions);
                Ok(())
            }
            Phase::FindIncarnations(topic) => {
                let topic = topic.clone();
                self.ask(Kind::Begin, Operation::FindIncarnations { topic }, actions);
                Ok(())
            }
            Phase::Seek(next, _) => {
                self.ask(Kind::Begin, Operation::Seek(*next), actions);
                Ok(())
            }
            Phase::Read(_) => self.go_on_with_batches(actions),
        }
    }

    fn go_on_with_batches(&mut self, actions: &mut Vec<Action>) -> Result<(), End> {
        if self.pending.is_none() && self.shall_close() {
            self.close();
        }
        if let Some(pending) = &mut self.pending {
            // Nothing of it is on its way to the store at this moment.
            if self.leaving == Some(Leaving::Revoked) {
                return Err(End::Released);
            }
            if self.rules.by_intent
                && !self.incarnation_noted
                && let Some(topic) = self.rules.topic.clone()
            {
                self.ask(Kind::Prepare, Operation::NoteIncarnation { topic }, actions);
                return Ok(());
            }
            if let Some(operation) = pending.operation() {
                let is_store = matches!(operation, Operation::Write(_) | Operation::Insert(..) | Operation::Settle(..));
                self.ask(if is_store { Kind::Store } else { Kind::Prepare }, operation, actions);
            }
            return Ok(());
        }
        if let Some(next) = self.stored {
            let commit = self.commit_settled(next);
            self.ask(Kind::Settled, commit, actions);
            return Ok(());
        }
        if self.leaving.is_some() { Err(End::Released) } else { Ok(()) }
    }

    /// The batch of an intent is closed where the intent says, and by nothing else.
    fn shall_close(&self) -> bool {
        let is_new = matches!(self.phase, Phase::Read(Reading::New)) && !self.open.is_empty();
        is_new
            && match self.leaving {
                None => self.is_due || self.is_full(),
                Some(Leaving::Stop) => true,
                Some(Leaving::Revoked) => false,
            }
    }

    fn close(&mut self) {
        self.is_due = false;
        let step = if self.rules.by_intent { Step::Target } else { Step::DeadLetters };
        let (keyed, window, schemas) = (self.open_keyed.take(), self.window.max_entries(), self.decoder.end_batch());
        self.pending = self.open.close().map(|closed| Pending::new(closed, keyed, window, schemas, step));
    }

    fn commit_settled(&mut self, next: Offset) -> Operation {
        let remembers = self.rules.by_intent;
        let keyed = match self.open.is_empty() {
            _ if !remembers => None,
            // Some of the window may have been forgotten for the sake of records that the open batch has read.
            false => self.open_keyed,
            true => self.window.oldest(),
        };
        // A queue without other incarnations is spared a text that it would have to make durable.
        let incarnation = (remembers && self.rules.topic.is_some()).then_some(self.source.incarnation);
        let metadata = CommitMetadata::Settled { incarnation, keyed }.encode();
        Operation::Commit { next, metadata, keep_from: keyed }
    }

    fn ask(&mut self, kind: Kind, operation: Operation, actions: &mut Vec<Action>) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.running = Some(Running { ticket, kind });
        actions.push(Action::Do(ticket, operation));
    }
}

/// How an error ends the partition's work that trying again does not mend.
fn end_of(error: WriterError) -> End {
    match error {
        WriterError::Queue(QueueError::Fenced(_)) => End::Lost(error),
        error => End::Halted(Halt::Failed(error)),
    }
}
