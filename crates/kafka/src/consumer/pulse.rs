//! Whether the poll thread turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use luminate_runtime::lifecycle::{Lifecycle, StopStage};
use tokio::time::interval;

/// How long the poll thread may stand still before the process counts as stuck.
const LONGEST_TURN: Duration = Duration::from_secs(30);

/// The poll thread's last turn. Clones are the same.
#[derive(Debug, Clone)]
pub struct Pulse {
    began: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { began: Instant::now(), last_ms: Arc::default() }
    }
}

impl Pulse {
    /// The thread has turned.
    pub(crate) fn beat(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Release);
    }

    /// Time since the poll thread turned last; some hundred milliseconds while all is well.
    #[must_use]
    pub fn since_last_turn(&self) -> Duration {
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Acquire)))
    }

    /// Makes it part of the process's liveness, which says nothing of whether brokers answer.
    pub fn show_in(self, lifecycle: &Lifecycle) {
        let heartbeat = lifecycle.heartbeats().register("kafka-poll", LONGEST_TURN);
        lifecycle.spawn("kafka-pulse", StopStage::Drain, move |mut stop| async move {
            let mut ticks = interval(Duration::from_secs(1));
            loop {
                tokio::select! {
                    () = stop.requested() => return Ok(()),
                    _ = ticks.tick() => {
                        if self.since_last_turn() < LONGEST_TURN / 2 {
                            heartbeat.beat();
                        }
                    }
                }
            }
        });
    }
}
