//! One partition's way from the queue to the store: poll, decode, judge, batch, keep dead letters, store, commit.

use std::sync::Arc;
use std::time::Duration;

use luminate_model::Offset;
use luminate_queue::{ConsumedRecord, DeadLetters, PartitionConsumer};
use luminate_runtime::lifecycle::StopSignal;
use luminate_runtime::telemetry::Metrics;
use luminate_storage::SampleSink;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::batch::{BatchLimits, ClosedBatch, OpenBatch};
use crate::config::WriterConfig;
use crate::decode::RecordDecoder;
use crate::error::WriterError;
use crate::idempotency::IdempotencyWindow;
use crate::judge::{NeedsSchema, Verdict, judge};
use crate::progress::Progress;
use crate::schema_registry::RegisteredSchemas;

/// What all partitions of a writer share.
pub(crate) struct Pipeline {
    pub(crate) config: WriterConfig,
    pub(crate) sink: Arc<dyn SampleSink>,
    pub(crate) dead_letters: Arc<dyn DeadLetters>,
    pub(crate) schemas: Arc<RegisteredSchemas>,
    pub(crate) progress: Progress,
    pub(crate) metrics: Metrics,
}

/// Stores one partition's records.
pub(crate) struct PartitionWriter {
    pipeline: Arc<Pipeline>,
    consumer: Box<dyn PartitionConsumer>,
    decoder: RecordDecoder,
    /// Told when the process stops: what was read is stored first.
    stop: StopSignal,
    /// Told when the partition is taken away: what was read is dropped, its next owner reads it again.
    revoked: watch::Receiver<bool>,
    /// The first offset that was ever read here, for a store that knows nothing yet.
    origin: Option<Offset>,
    retry_delay: Duration,
}

/// What comes next.
enum Event {
    Records(Vec<ConsumedRecord>),
    BatchIsOld,
    Stop,
    Revoked,
}

impl PartitionWriter {
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        consumer: Box<dyn PartitionConsumer>,
        stop: StopSignal,
        revoked: watch::Receiver<bool>,
    ) -> Self {
        let retry_delay = pipeline.config.retry.first_delay.get();
        let decoder = RecordDecoder::new(consumer.owner().cloned(), Arc::clone(&pipeline.schemas));
        Self { pipeline, consumer, decoder, stop, revoked, origin: None, retry_delay }
    }

    /// Runs until the process stops, the partition is taken away, or something is wrong that only an operator can mend.
    pub(crate) async fn run(mut self) {
        let source = self.consumer.source();
        while let Err(error) = self.store_records().await {
            if !error.is_retryable() {
                tracing::error!(%source, code = error.code(), %error, "partition stopped: an operator must look");
                self.pipeline.progress.stopped(source, error.code());
                return;
            }
            let delay_ms = self.retry_delay.as_millis() as u64;
            tracing::warn!(%source, code = error.code(), %error, delay_ms, "partition will be tried again");
            if !self.wait_for_next_attempt().await {
                break;
            }
        }
        self.pipeline.progress.released(source);
    }

    /// From finding out where to continue to the end of the work. After an error the next call begins anew: the store knows
    /// what it has, also of a batch whose outcome was in doubt, and the queue still has what is missing.
    async fn store_records(&mut self) -> Result<(), WriterError> {
        let mut window = self.resume().await?;
        let mut batch = OpenBatch::new(self.consumer.source(), self.limits());
        let mut opened_at = Instant::now();
        loop {
            match self.next_event(&batch, opened_at).await? {
                Event::Records(records) => {
                    for record in records {
                        if batch.is_empty() {
                            opened_at = Instant::now();
                        }
                        let verdict = match self.judge(&mut window, &record).await {
                            Ok(verdict) => verdict,
                            Err(error) => {
                                // What came before does not wait for a registry that is away.
                                self.settle(&mut batch, opened_at).await?;
                                return Err(error);
                            }
                        };
                        batch.add(&record, verdict);
                        if batch.is_full() {
                            self.settle(&mut batch, opened_at).await?;
                        }
                        // Decoding many records must not keep other tasks waiting.
                        tokio::task::coop::consume_budget().await;
                    }
                    self.pipeline.metrics.idempotency_forgotten.inc_by(window.take_forgotten_early());
                    self.pipeline.progress.reading(self.consumer.source(), batch.oldest_append_time());
                }
                Event::BatchIsOld => self.settle(&mut batch, opened_at).await?,
                Event::Stop => return self.settle(&mut batch, opened_at).await,
                Event::Revoked => return Ok(()),
            }
        }
    }

    /// Goes to where the store ends. Where it knows nothing of the source, what was committed decides.
    async fn resume(&mut self) -> Result<IdempotencyWindow, WriterError> {
        let source = self.consumer.source();
        let known = self.pipeline.sink.resume(&source).await?;
        let next = known.next.or(self.consumer.committed().next).or(self.origin);
        if let Some(next) = next {
            self.consumer.seek(next).await?;
        }
        if let Some(stored) = known.next {
            // The commit of what is stored may have been lost, and the queue would keep it until the next batch.
            self.consumer.commit(stored, "").await?;
        }
        let window = IdempotencyWindow::new(self.pipeline.config.idempotency.max_entries, known.idempotency);
        tracing::info!(%source, next = next.map(|next| next.0), keyed_records = window.len(), "partition begins");
        self.pipeline.progress.stored(source, next.unwrap_or_default());
        Ok(window)
    }

    /// Judges a record, for which the registry may have to be asked about its schema. While that is away this fails, and the
    /// partition waits.
    async fn judge(&mut self, window: &mut IdempotencyWindow, record: &ConsumedRecord) -> Result<Verdict, WriterError> {
        loop {
            match judge(window, &self.decoder, record) {
                Ok(verdict) => return Ok(verdict),
                Err(NeedsSchema(id)) => self.pipeline.schemas.learn(id).await?,
            }
        }
    }

    async fn next_event(&mut self, batch: &OpenBatch, opened_at: Instant) -> Result<Event, WriterError> {
        let Self { pipeline, consumer, stop, revoked, origin, .. } = self;
        let batch_config = &pipeline.config.batch;
        tokio::select! {
            biased;
            _ = revoked.wait_for(|revoked| *revoked) => Ok(Event::Revoked),
            () = stop.requested() => Ok(Event::Stop),
            () = sleep_until(opened_at + batch_config.max_age.get()), if !batch.is_empty() => Ok(Event::BatchIsOld),
            records = consumer.poll(batch_config.poll_bytes.as_usize()) => match records {
                Ok(records) => {
                    *origin = origin.or(records.first().map(|record| record.offset));
                    Ok(Event::Records(records))
                }
                // The queue closes when the process stops.
                Err(luminate_queue::QueueError::Closed) => Ok(Event::Stop),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Keeps the dead letters, stores the batch, commits: in this order, so that no record is passed before what became
    /// of it is durable.
    async fn settle(&mut self, batch: &mut OpenBatch, opened_at: Instant) -> Result<(), WriterError> {
        let Some(ClosedBatch { dead_letters, batch, repeated, bytes }) = batch.close() else { return Ok(()) };
        let pipeline = Arc::clone(&self.pipeline);
        let metrics = &pipeline.metrics;
        let (source, next, samples) = (batch.source, batch.next, batch.samples());
        let codes: Vec<String> = dead_letters.iter().map(|letter| letter.code.clone()).collect();
        if !dead_letters.is_empty() {
            pipeline.dead_letters.put(dead_letters).await?;
        }

        let started = Instant::now();
        let written = pipeline.sink.write(batch).await;
        metrics.storage_write_duration.observe(started.elapsed().as_secs_f64());
        let stored = written.inspect_err(|_| metrics.storage_write_failures.inc())?;

        metrics.storage_writes.inc();
        metrics.samples_stored.inc_by(stored.samples);
        metrics.samples_erased.inc_by(stored.erased);
        metrics.samples_repeated.inc_by(repeated);
        metrics.batch_samples.observe(samples as f64);
        metrics.batch_bytes.observe(bytes as f64);
        metrics.batch_age.observe(opened_at.elapsed().as_secs_f64());
        for code in codes {
            metrics.dead_letters.with([&code]).inc();
        }
        pipeline.progress.stored(source, next);
        self.retry_delay = pipeline.config.retry.first_delay.get();

        self.consumer.commit(next, "").await?;
        Ok(())
    }

    /// Waits a little longer each time; false where there shall be no further attempt.
    async fn wait_for_next_attempt(&mut self) -> bool {
        let delay = self.retry_delay;
        self.retry_delay = (delay * 2).min(self.pipeline.config.retry.max_delay.get());
        tokio::select! {
            biased;
            _ = self.revoked.wait_for(|revoked| *revoked) => false,
            () = self.stop.requested() => false,
            () = sleep(delay) => true,
        }
    }

    fn limits(&self) -> BatchLimits {
        let config = &self.pipeline.config;
        BatchLimits {
            samples: config.batch.max_samples,
            bytes: config.batch.max_bytes.as_usize(),
            dead_letter_bytes: config.dead_letters.max_bytes.as_usize(),
        }
    }
}
