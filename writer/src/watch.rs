//! Lag, delay and health of the writer, looked at once a second.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use luminate_model::{Offset, Source};
use luminate_queue::QueueAdmin;
use luminate_runtime::clock::Clock;
use luminate_runtime::lifecycle::{Dependency, Lifecycle, StopSignal, TaskError};
use tokio::time::{MissedTickBehavior, interval};

use crate::partition::Pipeline;
use crate::progress::SourceProgress;

const EVERY: Duration = Duration::from_secs(1);

/// Looks at the writer from outside.
pub(crate) struct Watch {
    pipeline: Arc<Pipeline>,
    queue: Arc<dyn QueueAdmin>,
    clock: Clock,
    store: Dependency,
    writer: Dependency,
    /// Since when, in ms since 1970, a source lags.
    behind_since: HashMap<Source, i64>,
    /// The sources whose lag is shown.
    shown: BTreeSet<Source>,
    /// Why the store took no batches when it was looked at last.
    refusal: Option<String>,
}

impl Watch {
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        queue: Arc<dyn QueueAdmin>,
        clock: Clock,
        lifecycle: &Lifecycle,
    ) -> Self {
        let (store, writer) = (lifecycle.health().dependency("storage"), lifecycle.health().dependency("writer"));
        Self {
            pipeline,
            queue,
            clock,
            store,
            writer,
            behind_since: HashMap::new(),
            shown: BTreeSet::new(),
            refusal: None,
        }
    }

    /// Runs until the process stops.
    pub(crate) async fn run(mut self, mut stop: StopSignal) -> Result<(), TaskError> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    pub(crate) async fn look(&mut self) {
        self.look_at_store();
        let stopped = self.pipeline.progress.stopped_sources();
        self.pipeline.metrics.partitions_stopped.set(stopped.len() as f64);
        let unopened = self.queue.unopened();
        self.pipeline.metrics.partitions_unopened.set(unopened as f64);
        match stopped.first() {
            None if unopened == 0 => self.writer.up(),
            // The reasons name topics, and health is public.
            None => self.writer.down(format!("{unopened} assigned partitions cannot be read yet; the log says why")),
            Some((source, reason)) => {
                self.writer.down(format!("{} of the partitions have stopped; {source}: {reason}", stopped.len()));
            }
        }
        match self.queue.ends().await {
            Ok(ends) => self.measure_lag(&ends),
            Err(error) => tracing::debug!(code = error.code(), %error, "the queue does not tell its ends"),
        }
    }

    /// The reason is for the log: health is public, and the reason may name files.
    fn look_at_store(&mut self) {
        let refusal = self.pipeline.sink.writable().err();
        match &refusal {
            None => self.store.up(),
            Some(_) => self.store.down("takes no batches now; the log says why"),
        }
        if refusal != self.refusal {
            match &refusal {
                None => tracing::info!("the store takes batches again"),
                Some(reason) => tracing::warn!(reason, "the store takes no batches"),
            }
            self.refusal = refusal;
        }
    }

    fn measure_lag(&mut self, ends: &[(Source, Offset)]) {
        let now = (self.clock)();
        let sources = self.pipeline.progress.sources();
        let metrics = &self.pipeline.metrics;
        for gone in self.shown.extract_if(.., |source| !sources.contains_key(source)) {
            let partition = gone.to_string();
            metrics.consumer_lag.forget([&partition]);
            metrics.consumer_delay.forget([&partition]);
        }
        for (source, end) in ends {
            let Some(progress) = sources.get(source) else { continue };
            let lag = end.0.saturating_sub(progress.stored.0);
            let delay_ms = now.saturating_sub(self.behind_since(*source, progress, lag, now)).max(0);
            // Several topics have a partition of the same number.
            let partition = source.to_string();
            self.shown.insert(*source);
            self.pipeline.metrics.consumer_lag.with([&partition]).set(lag as f64);
            self.pipeline.metrics.consumer_delay.with([&partition]).set(delay_ms as f64 / 1000.0);
        }
    }

    /// The append time of the oldest record that is not stored; where it was not read yet, when it was first missed.
    fn behind_since(&mut self, source: Source, progress: &SourceProgress, lag: u64, now: i64) -> i64 {
        if lag == 0 {
            self.behind_since.remove(&source);
            return now;
        }
        let since = self.behind_since.entry(source).or_insert(now);
        if let Some(oldest) = progress.oldest_open {
            *since = oldest;
        }
        *since
    }
}
