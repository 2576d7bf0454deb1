//! Supervised tasks and the ordered stop.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};
use tokio::task::{AbortHandle, JoinError};
use tokio::time::{Instant, timeout_at};

use super::health::Health;
use super::heartbeat::Heartbeats;
use super::phase::{Phase, StopReason, StopReport, StopSignal, StopStage};
use crate::config::HumanDuration;
use crate::telemetry::Metrics;

/// Why a task failed. Tasks of all crates meet here, so it can be any error.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// How long the event loop may not turn before the process counts as dead.
const EVENT_LOOP_MAX_SILENCE: Duration = Duration::from_secs(10);

/// How often the event loop shows that it turns.
const EVENT_LOOP_BEAT: Duration = Duration::from_secs(1);

/// What a process is called.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// The name of the service, such as `luminate-gateway`.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// How long a stop may take. What has not ended in time is cut off, which loses nothing that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LifecycleConfig {
    /// Time between saying "not ready" and closing the port, in which balancers learn of it. `5s` suits Kubernetes.
    pub stop_delay: HumanDuration,
    /// Time for requests that were accepted to be answered.
    pub finish_requests_timeout: HumanDuration,
    /// Time for what was acknowledged to be stored.
    pub drain_timeout: HumanDuration,
    /// Time for queue and store to close.
    pub close_timeout: HumanDuration,
}

/// The life of this process. Cheap to clone; every service gets one.
#[derive(Debug, Clone)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Identity,
    config: LifecycleConfig,
    metrics: Metrics,
    health: Health,
    heartbeats: Heartbeats,
    phase: watch::Sender<Phase>,
    stop: watch::Sender<Option<StopReason>>,
    stage: watch::Sender<Option<StopStage>>,
    tasks: watch::Sender<HashMap<u64, Task>>,
    next_task: Mutex<u64>,
    failures: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Task {
    name: &'static str,
    stage: StopStage,
    /// `None` for a thread, which cannot be cut off.
    abort: Option<AbortHandle>,
}

impl Default for LifecycleConfig {
    fn default() -> Self {
        let seconds = |seconds| HumanDuration::new(Duration::from_secs(seconds));
        Self {
            stop_delay: seconds(0),
            finish_requests_timeout: seconds(10),
            drain_timeout: seconds(10),
            close_timeout: seconds(5),
        }
    }
}

impl LifecycleConfig {
    fn timeout(&self, stage: StopStage) -> Duration {
        match stage {
            StopStage::Requests => self.finish_requests_timeout,
            StopStage::Drain => self.drain_timeout,
            StopStage::Close => self.close_timeout,
        }
        .get()
    }
}

impl Lifecycle {
    /// A process that is starting.
    #[must_use]
    pub fn new(identity: Identity, config: LifecycleConfig, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            identity,
            config,
            health: Health::new(metrics.clone()),
            metrics,
            heartbeats: Heartbeats::default(),
            phase: watch::Sender::new(Phase::Starting),
            stop: watch::Sender::new(None),
            stage: watch::Sender::new(None),
            tasks: watch::Sender::new(HashMap::new()),
            next_task: Mutex::new(0),
            failures: Mutex::default(),
        }))
    }

    /// What the process is called.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// The metrics of the process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The dependencies of the process.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// The loops of the process that have promised to turn.
    #[must_use]
    pub fn heartbeats(&self) -> &Heartbeats {
        &self.0.heartbeats
    }

    /// Where the process stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.phase.borrow()
    }

    /// Says that the process does its work from now on. Without effect once it is stopping.
    pub fn set_ready(&self) {
        self.advance_to(Phase::Ready);
    }

    /// Asks the process to stop. The first reason stands.
    pub fn request_stop(&self, reason: StopReason) {
        self.0.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            if first {
                *stop = Some(reason);
            }
            first
        });
        self.advance_to(Phase::Draining);
    }

    /// Waits until the process is asked to stop. Tasks wait on their own [`StopSignal`] instead, which comes in order.
    pub async fn stop_requested(&self) -> StopReason {
        let mut stop = self.0.stop.subscribe();
        match stop.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(reason)) => reason.clone(),
            // The sender lives as long as `self`, and the condition was that there is a reason.
            _ => StopReason::Requested("the lifecycle is gone".to_owned()),
        }
    }

    /// The signal of a stage, for work that no supervised task stands for.
    #[must_use]
    pub fn stop_signal(&self, stage: StopStage) -> StopSignal {
        StopSignal::new(self.0.stage.subscribe(), stage)
    }

    /// Starts a task that runs until its stage of the stop. Where it ends earlier, fails or panics, the process stops.
    pub fn spawn<F, T>(&self, name: &'static str, stage: StopStage, task: F)
    where
        F: FnOnce(StopSignal) -> T,
        T: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        let running = tokio::spawn(task(self.stop_signal(stage)));
        let id = self.enter(Task { name, stage, abort: Some(running.abort_handle()) });
        let lifecycle = self.clone();
        tokio::spawn(async move {
            let outcome = running.await;
            lifecycle.leave(id, outcome.map_err(TaskEnd::from).and_then(|result| result.map_err(TaskEnd::Failed)));
        });
    }

    /// Starts a thread of its own that runs until its stage of the stop, for work that blocks. Otherwise as
    /// [`spawn`](Self::spawn), but it cannot be cut off.
    ///
    /// # Errors
    /// Where the operating system has no more threads.
    pub fn spawn_thread<F>(&self, name: &'static str, stage: StopStage, work: F) -> std::io::Result<()>
    where
        F: FnOnce(StopSignal) -> Result<(), TaskError> + Send + 'static,
    {
        let stop = self.stop_signal(stage);
        let (ended, has_ended) = oneshot::channel();
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _in_runtime = runtime.enter();
            // Nobody listens any more when the process has given up waiting.
            let _ = ended.send(work(stop));
        })?;
        let id = self.enter(Task { name, stage, abort: None });
        let lifecycle = self.clone();
        tokio::spawn(async move {
            // The sender is dropped unsent by a panic only.
            let outcome = has_ended.await.unwrap_or_else(|_| Err("panicked".into()));
            lifecycle.leave(id, outcome.map_err(TaskEnd::Failed));
        });
        Ok(())
    }

    /// Keeps the health of a dependency: asks `look`, which is quick, every second until the process drains.
    pub fn watch_dependency(&self, name: &'static str, look: impl Fn() -> Result<(), String> + Send + 'static) {
        let dependency = self.health().dependency(name);
        self.spawn(name, StopStage::Drain, move |mut stop| async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1));
            loop {
                match look() {
                    Ok(()) => dependency.up(),
                    Err(reason) => dependency.down(reason),
                }
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    _ = ticks.tick() => {}
                }
            }
        });
    }

    /// Does something in the last stage of the stop, when nobody uses what it closes any more.
    pub fn close_last(&self, name: &'static str, close: impl FnOnce() + Send + 'static) {
        self.spawn(name, StopStage::Close, move |mut stop| async move {
            stop.requested().await;
            tokio::task::spawn_blocking(close).await?;
            Ok(())
        });
    }

    /// Waits until the process is asked to stop, then stops it in order: each [`StopStage`] is told, and waited for up to its
    /// time-out.
    pub async fn run_until_stopped(&self) -> StopReport {
        let event_loop = tokio::spawn(show_that_the_event_loop_turns(self.0.heartbeats.clone()));
        let reason = self.stop_requested().await;
        tracing::info!(%reason, "stopping");
        if !matches!(reason, StopReason::TaskEnded { .. }) {
            tokio::time::sleep(self.0.config.stop_delay.get()).await;
        }
        for stage in StopStage::ALL {
            self.stop_stage(stage).await;
        }
        event_loop.abort();
        self.advance_to(Phase::Stopped);
        let failures = self.failures().clone();
        tracing::info!(failures = failures.len(), "stopped");
        StopReport { reason, failures }
    }

    async fn stop_stage(&self, stage: StopStage) {
        let began = Instant::now();
        self.0.stage.send_replace(Some(stage));
        let mut tasks = self.0.tasks.subscribe();
        let all_ended = tasks.wait_for(|tasks| tasks.values().all(|task| task.stage > stage));
        if timeout_at(began + self.0.config.timeout(stage), all_ended).await.is_ok() {
            return;
        }
        let late = self.give_up(stage);
        for task in late {
            let waited = self.0.config.timeout(stage);
            self.fail(format!("task {} had not ended {} s after it was told to stop", task.name, waited.as_secs()));
            if let Some(abort) = task.abort {
                abort.abort();
            }
        }
    }

    /// Takes the tasks that should have ended out of the books, so that later stages do not wait for them again.
    fn give_up(&self, stage: StopStage) -> Vec<Task> {
        let mut late = Vec::new();
        self.0
            .tasks
            .send_modify(|tasks| late.extend(tasks.extract_if(|_, task| task.stage <= stage).map(|(_, task)| task)));
        late
    }

    fn enter(&self, task: Task) -> u64 {
        let id = {
            let mut next = self.0.next_task.lock().unwrap_or_else(PoisonError::into_inner);
            *next += 1;
            *next
        };
        self.0.metrics.tasks_alive.with([task.name]).inc();
        self.0.tasks.send_modify(|tasks| {
            tasks.insert(id, task);
        });
        id
    }

    fn leave(&self, id: u64, outcome: Result<(), TaskEnd>) {
        let Some((name, stage)) = self.0.tasks.borrow().get(&id).map(|task| (task.name, task.stage)) else {
            // It was given up, and that was reported.
            return;
        };
        self.0.metrics.tasks_alive.with([name]).dec();
        let told = self.stop_signal(stage).is_requested();
        match outcome {
            Ok(()) if told => tracing::debug!(task = name, "task ended"),
            Ok(()) => self.task_ended_unasked(name, "ended though nobody told it to".to_owned()),
            Err(end) if told => self.fail(format!("task {name} {end}")),
            Err(end) => self.task_ended_unasked(name, end.to_string()),
        }
        // Last, so that whoever waits for the task to be gone finds its failure reported.
        self.0.tasks.send_modify(|tasks| {
            tasks.remove(&id);
        });
    }

    fn task_ended_unasked(&self, task: &'static str, cause: String) {
        self.fail(format!("task {task} {cause}"));
        self.request_stop(StopReason::TaskEnded { task, cause });
    }

    fn fail(&self, failure: String) {
        tracing::error!(failure, "supervised task failed");
        self.failures().push(failure);
    }

    fn failures(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advance_to(&self, next: Phase) {
        self.0.phase.send_if_modified(|phase| {
            let forward = next > *phase;
            if forward {
                *phase = next;
            }
            forward
        });
    }
}

/// How a task ended that should not have, as the rest of a sentence.
#[derive(Debug, thiserror::Error)]
enum TaskEnd {
    #[error("failed: {}", with_causes(.0.as_ref()))]
    Failed(TaskError),
    #[error("panicked: {0}")]
    Panicked(String),
    #[error("was cut off")]
    CutOff,
}

impl From<JoinError> for TaskEnd {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(payload) => Self::Panicked(panic_message(payload.as_ref()).to_owned()),
            Err(_) => Self::CutOff,
        }
    }
}

/// The message of a panic, where it has one.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

async fn show_that_the_event_loop_turns(heartbeats: Heartbeats) {
    let heartbeat = heartbeats.register("event-loop", EVENT_LOOP_MAX_SILENCE);
    let mut ticks = tokio::time::interval(EVENT_LOOP_BEAT);
    loop {
        ticks.tick().await;
        heartbeat.beat();
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
