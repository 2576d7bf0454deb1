//! Where a process stands in its life, and how it ends.

use std::fmt;
use std::process::ExitCode;

use tokio::sync::watch;

/// Where a process stands in its life. It only goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It is being put together, or recovers what a crash left.
    Starting,
    /// It does its work.
    Ready,
    /// It has been told to stop and finishes what it has begun.
    Draining,
    /// Everything is closed.
    Stopped,
}

/// The order in which tasks are told to stop: a stage begins when the tasks of the one before have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStage {
    /// Stop accepting, finish the requests that were accepted.
    Requests,
    /// Store what was acknowledged; end background work.
    Drain,
    /// Close queue and store.
    Close,
}

/// Why a process stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// The operating system said so.
    Signal(&'static str),
    /// The program itself said so, with this reason.
    Requested(String),
    /// A supervised task ended though nobody had told it to.
    TaskEnded {
        /// The task's name.
        task: &'static str,
        /// How it ended.
        cause: String,
    },
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopReport {
    /// Why it stopped.
    pub reason: StopReason,
    /// What went wrong on the way, one sentence each; empty after a clean stop.
    pub failures: Vec<String>,
}

/// What a task waits on to learn that it shall stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StopSignal {
    reached: watch::Receiver<Option<StopStage>>,
    stage: StopStage,
}

impl StopStage {
    /// All stages, in order.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Drain, Self::Close];
}

impl Phase {
    /// The phase in health answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
        }
    }
}

impl StopSignal {
    pub(super) fn new(reached: watch::Receiver<Option<StopStage>>, stage: StopStage) -> Self {
        Self { reached, stage }
    }

    /// Whether the task shall stop.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.reached.borrow().is_some_and(|reached| reached >= self.stage)
    }

    /// Waits until the task shall stop. Cancel safe; answers at once when it shall already.
    pub async fn requested(&mut self) {
        let stage = self.stage;
        // An error says that the lifecycle itself is gone: nobody is left to wait for.
        let _ = self.reached.wait_for(|reached| reached.is_some_and(|reached| reached >= stage)).await;
    }
}

impl StopReport {
    /// Success after a clean stop, else 1.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if self.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => write!(f, "received {name}"),
            Self::Requested(reason) => f.write_str(reason),
            Self::TaskEnded { task, cause } => write!(f, "task {task} {cause}"),
        }
    }
}
