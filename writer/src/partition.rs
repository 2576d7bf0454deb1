//! One partition's way from the queue to the store: reads records, hands them to the [`protocol`](crate::protocol), and does
//! what it says.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use luminate_model::Source;
use luminate_queue::{ConsumedRecord, DeadLetters, PartitionConsumer, QueueError};
use luminate_runtime::clock::Clock;
use luminate_runtime::lifecycle::StopSignal;
use luminate_runtime::telemetry::Metrics;
use luminate_storage::{IntentSink, Permit, SampleSink, StorageError, Stored};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::batch::BatchLimits;
use crate::config::WriterConfig;
use crate::decode::RecordDecoder;
use crate::error::WriterError;
use crate::progress::Progress;
use crate::protocol::{Action, End, Event, Operation, Outcome, PartitionProtocol, ProtocolRules, StoredBatch, Ticket};
use crate::schema_registry::RegisteredSchemas;

/// What all partitions of a writer share.
pub(crate) struct Pipeline {
    pub(crate) config: WriterConfig,
    pub(crate) sink: Arc<dyn SampleSink>,
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    pub(crate) schemas: Arc<RegisteredSchemas>,
    pub(crate) progress: Progress,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
}

/// Stores one partition's records.
pub(crate) struct PartitionWriter {
    pipeline: Arc<Pipeline>,
    consumer: Box<dyn PartitionConsumer>,
    protocol: PartitionProtocol,
    /// Told when the process stops; `None` once the protocol knows.
    stop: Option<StopSignal>,
    /// Told when the partition is taken away; `None` once the protocol knows.
    revoked: Option<watch::Receiver<bool>>,
    /// Records that were read and not taken by the protocol yet.
    read: VecDeque<ConsumedRecord>,
    /// What the protocol waits for.
    running: Option<(Ticket, Work)>,
    /// When the open batch was opened.
    opened_at: Option<Instant>,
    /// Whether an open intent of this partition is counted.
    intent_is_open: bool,
    /// Not before this are records read again.
    read_again_at: Option<Instant>,
    /// The number of a schema that the next record needs.
    unknown_schema: Option<u32>,
}

/// An operation at work.
type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl PartitionWriter {
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        consumer: Box<dyn PartitionConsumer>,
        stop: StopSignal,
        revoked: watch::Receiver<bool>,
    ) -> Self {
        let decoder = RecordDecoder::new(consumer.owner().cloned(), Arc::clone(&pipeline.schemas));
        let rules = rules(&pipeline, consumer.as_ref());
        let protocol = PartitionProtocol::new(consumer.source(), decoder, rules);
        Self {
            pipeline,
            consumer,
            protocol,
            stop: Some(stop),
            revoked: Some(revoked),
            read: VecDeque::new(),
            running: None,
            opened_at: None,
            intent_is_open: false,
            read_again_at: None,
            unknown_schema: None,
        }
    }

    /// Runs until the process stops, the partition is taken away, or something is wrong that only an operator can mend.
    pub(crate) async fn run(mut self) {
        let source = self.consumer.source();
        let end = self.run_protocol().await;
        // Whoever goes on with it counts it.
        self.note_intent(false);
        match end {
            End::Released => self.pipeline.progress.released(source),
            End::Lost(error) => {
                tracing::warn!(%source, code = error.code(), %error, "the partition is another writer's");
                self.pipeline.progress.released(source);
            }
            End::Halted(halt) => {
                tracing::error!(%source, code = halt.code(), error = %halt, "partition stopped: an operator must look");
                self.pipeline.progress.stopped(source, halt.code());
            }
        }
    }

    async fn run_protocol(&mut self) -> End {
        let mut event = Event::Begin(self.consumer.committed().clone());
        loop {
            let mut actions = VecDeque::from(self.protocol.handle(event));
            while let Some(action) = actions.pop_front() {
                match action {
                    Action::Do(ticket, operation) => match operation {
                        // The queue's calls are short, and nothing can be read beside them.
                        Operation::Seek(_) | Operation::Commit { .. } => {
                            let outcome = self.ask_queue(operation).await;
                            actions.extend(self.protocol.handle(Event::Done(ticket, outcome)));
                        }
                        operation => self.running = Some((ticket, self.begin(operation))),
                    },
                    Action::LearnSchema(id, record) => {
                        self.unknown_schema = Some(id);
                        self.read.push_front(record);
                    }
                    Action::Begun(next) => {
                        tracing::info!(source = %self.consumer.source(), %next, "partition begins");
                        self.pipeline.progress.stored(self.consumer.source(), next);
                    }
                    Action::Stored(batch) => self.account(batch),
                    Action::Failed(error) => {
                        let source = self.consumer.source();
                        tracing::warn!(%source, code = error.code(), %error, "partition will be tried again");
                    }
                    Action::End(end) => return end,
                }
            }
            self.note_open_batch();
            event = self.next_event().await;
        }
    }

    /// Waits for whatever comes first.
    async fn next_event(&mut self) -> Event {
        loop {
            let wants_records = self.protocol.wants_records() && self.unknown_schema.is_none();
            let waits_for_record = wants_records && self.read.is_empty();
            let poll_bytes = self.pipeline.config.batch.poll_bytes.as_usize();
            let due_at = self.opened_at.map(|opened| opened + self.pipeline.config.batch.max_age.get());
            let happened = tokio::select! {
                biased;
                () = told(&mut self.revoked) => Happened::Revoked,
                () = asked_to_stop(&mut self.stop) => Happened::Stop,
                event = finished(&mut self.running) => Happened::Finished(event),
                () = at(due_at) => Happened::BatchDue,
                () = learn(&self.pipeline, self.unknown_schema) => Happened::Learned,
                () = std::future::ready(()), if wants_records && !waits_for_record => Happened::RecordIsThere,
                () = at(self.read_again_at), if waits_for_record => Happened::MayReadAgain,
                records = self.consumer.poll(poll_bytes), if waits_for_record && self.read_again_at.is_none() => {
                    Happened::Polled(records)
                }
            };
            match happened {
                Happened::Revoked => {
                    self.revoked = None;
                    return Event::Revoked;
                }
                Happened::Stop => {
                    self.stop = None;
                    return Event::Stop;
                }
                Happened::Finished(event) => {
                    self.running = None;
                    return event;
                }
                Happened::BatchDue => {
                    self.opened_at = None;
                    return Event::BatchDue;
                }
                Happened::Learned => self.unknown_schema = None,
                Happened::MayReadAgain => self.read_again_at = None,
                Happened::RecordIsThere => {
                    // Decoding many records must not keep other tasks waiting.
                    tokio::task::coop::consume_budget().await;
                    if let Some(record) = self.read.pop_front() {
                        return Event::Record(record);
                    }
                }
                Happened::Polled(Ok(records)) => {
                    self.read.extend(records);
                }
                // The queue closes when the process stops.
                Happened::Polled(Err(QueueError::Closed)) => return Event::Stop,
                Happened::Polled(Err(error)) if error.is_retryable() => {
                    tracing::warn!(code = error.code(), %error, "no records can be read for now");
                    self.read_again_at = Some(Instant::now() + self.pipeline.config.retry.first_delay.get());
                }
                Happened::Polled(Err(error)) => return Event::ReadFailed(error.into()),
            }
        }
    }

    async fn ask_queue(&mut self, operation: Operation) -> Outcome {
        let (outcome, done) = match operation {
            Operation::Commit { next, metadata, keep_from } => {
                let sent = Permit::now();
                self.consumer.keep_from(keep_from);
                (self.consumer.commit(next, &metadata).await, Outcome::Committed { sent })
            }
            Operation::Seek(next) => {
                // What was read lies elsewhere.
                self.read.clear();
                (self.consumer.seek(next).await, Outcome::Sought)
            }
            // The others are not the queue's.
            _ => return Outcome::Waited,
        };
        outcome.map_or_else(|error| Outcome::Failed(error.into()), |()| done)
    }

    fn begin(&self, operation: Operation) -> Work {
        let pipeline = Arc::clone(&self.pipeline);
        let source = self.consumer.source();
        Box::pin(async move { pipeline.perform(source, operation).await.unwrap_or_else(Outcome::Failed) })
    }

    fn account(&mut self, batch: StoredBatch) {
        let metrics = &self.pipeline.metrics;
        metrics.storage_writes.inc();
        metrics.samples_stored.inc_by(self.newly_known(&batch));
        metrics.samples_erased.inc_by(batch.stored.erased);
        metrics.samples_repeated.inc_by(batch.repeated);
        metrics.batch_samples.observe(batch.samples as f64);
        metrics.batch_bytes.observe(batch.bytes as f64);
        let age_ms = (self.pipeline.clock)().saturating_sub(batch.oldest_append_time).max(0);
        metrics.batch_age.observe(age_ms as f64 / 1000.0);
        for code in batch.dead_letters {
            metrics.dead_letters.with([&code]).inc();
        }
        self.pipeline.progress.stored(self.consumer.source(), batch.next);
    }

    /// Samples that are known to be stored since now: where the answer to an insert was lost, also those that are only found
    /// to be there.
    fn newly_known(&self, batch: &StoredBatch) -> u64 {
        match self.pipeline.sink.intents() {
            Some(_) => (batch.samples as u64).saturating_sub(batch.stored.erased),
            None => batch.stored.samples,
        }
    }

    /// Keeps what others see of the open batch.
    fn note_open_batch(&mut self) {
        if !self.protocol.has_open_batch() {
            self.opened_at = None;
        } else if self.opened_at.is_none() {
            self.opened_at = Some(Instant::now());
        }
        self.note_intent(self.protocol.has_open_intent());
        self.pipeline.metrics.idempotency_forgotten.inc_by(self.protocol.take_forgotten_early());
        if self.read.is_empty() {
            self.pipeline.progress.reading(self.consumer.source(), self.protocol.oldest_append_time());
        }
    }

    fn note_intent(&mut self, is_open: bool) {
        let change = i8::from(is_open) - i8::from(self.intent_is_open);
        self.pipeline.metrics.intents_open.add(change.into());
        self.intent_is_open = is_open;
    }
}

/// What came first.
enum Happened {
    Revoked,
    Stop,
    Finished(Event),
    BatchDue,
    Learned,
    RecordIsThere,
    MayReadAgain,
    Polled(Result<Vec<ConsumedRecord>, QueueError>),
}

async fn told(revoked: &mut Option<watch::Receiver<bool>>) {
    match revoked {
        // The sender is gone where the partition is.
        Some(revoked) => drop(revoked.wait_for(|revoked| *revoked).await),
        None => std::future::pending().await,
    }
}

async fn asked_to_stop(stop: &mut Option<StopSignal>) {
    match stop {
        Some(stop) => stop.requested().await,
        None => std::future::pending().await,
    }
}

async fn finished(running: &mut Option<(Ticket, Work)>) -> Event {
    match running {
        Some((ticket, work)) => Event::Done(*ticket, work.await),
        None => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Asks the schema registry until it answers.
async fn learn(pipeline: &Pipeline, schema: Option<u32>) {
    let Some(id) = schema else { return std::future::pending().await };
    let retry = &pipeline.config.retry;
    pipeline.schemas.learn_until_known(id, retry.first_delay.get(), retry.max_delay.get()).await;
}

fn rules(pipeline: &Pipeline, consumer: &dyn PartitionConsumer) -> ProtocolRules {
    let config = &pipeline.config;
    ProtocolRules {
        topic: consumer.topic().map(str::to_owned),
        by_intent: pipeline.sink.intents().is_some(),
        session_timeout: consumer.session_timeout(),
        limits: BatchLimits {
            samples: config.batch.max_samples,
            bytes: config.batch.max_bytes.as_usize(),
            dead_letter_bytes: config.dead_letters.max_bytes.as_usize(),
        },
        max_keyed_records: config.idempotency.max_entries,
        first_delay: config.retry.first_delay.get(),
        max_delay: config.retry.max_delay.get(),
    }
}

impl Pipeline {
    /// Does what is not the queue's.
    async fn perform(&self, source: Source, operation: Operation) -> Result<Outcome, WriterError> {
        match operation {
            Operation::ResumeStore => Ok(Outcome::Resumed(self.sink.resume(&source).await?)),
            Operation::FindLastBatch => Ok(Outcome::LastBatch(self.intents()?.last_batch(&source).await?)),
            Operation::FindIncarnations { topic } => {
                Ok(Outcome::Incarnations(self.intents()?.known_incarnations(&topic).await?))
            }
            Operation::NoteIncarnation { topic } => {
                self.intents()?.note_incarnation(&topic, source.incarnation).await?;
                Ok(Outcome::IncarnationNoted)
            }
            Operation::FindTarget => Ok(Outcome::Target(self.intents()?.target(&source).await?)),
            Operation::KeepDeadLetters(letters) => {
                self.dead_letters.put(letters.as_ref().clone()).await?;
                Ok(Outcome::DeadLettersKept)
            }
            Operation::Write(batch) => self.timed(self.sink.write(batch)).await,
            Operation::Insert(batch, target, permit) => {
                self.timed(self.intents()?.insert(&batch, &target, permit)).await
            }
            Operation::Settle(batch, target, permit) => {
                self.timed(self.intents()?.settle(&batch, &target, permit)).await
            }
            Operation::Wait(delay) => {
                sleep(delay).await;
                Ok(Outcome::Waited)
            }
            Operation::Seek(_) | Operation::Commit { .. } => Ok(Outcome::Waited),
        }
    }

    fn intents(&self) -> Result<&dyn IntentSink, StorageError> {
        self.sink.intents().ok_or_else(|| StorageError::Damaged("the store takes no intents".to_owned()))
    }

    async fn timed(&self, store: impl Future<Output = Result<Stored, StorageError>>) -> Result<Outcome, WriterError> {
        let started = Instant::now();
        let stored = store.await;
        self.metrics.storage_write_duration.observe(started.elapsed().as_secs_f64());
        Ok(Outcome::Stored(stored.inspect_err(|_| self.metrics.storage_write_failures.inc())?))
    }
}
