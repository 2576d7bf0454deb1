//! What one query may use, and what it has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::StorageError;

/// What a query has read. Shared by the threads that work for it.
#[derive(Debug, Default)]
pub struct QueryCounters {
    /// Samples that were looked at after whole blocks were skipped.
    pub samples_read: AtomicU64,
    /// Series that were looked at, counted once a block, where the store tells them.
    pub series_read: AtomicU64,
    /// Bytes that were read from the store: compressed, where it tells them so.
    pub bytes_read: AtomicU64,
    /// Pages that were read from the store.
    pub pages_read: AtomicU64,
    /// Blocks that were opened.
    pub blocks_read: AtomicU64,
    /// Blocks that a summary or filter ruled out.
    pub blocks_skipped: AtomicU64,
}

/// One query's limits, cancellation and counters. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct QueryContext {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    timeout: Duration,
    cancelled: AtomicBool,
    memory_limit: u64,
    memory_used: AtomicU64,
    memory_peak: AtomicU64,
    samples_limit: u64,
    workers: usize,
    counters: QueryCounters,
}

/// What a query may use.
#[derive(Debug, Clone, Copy)]
pub struct QueryLimits {
    /// Longest run.
    pub timeout: Duration,
    /// Most memory, in bytes.
    pub memory_bytes: u64,
    /// Most samples read.
    pub samples: u64,
    /// Most threads that a store may use for it; 1 at least.
    pub workers: usize,
}

impl QueryContext {
    /// A query that begins now.
    #[must_use]
    pub fn new(limits: QueryLimits) -> Self {
        Self {
            shared: Arc::new(Shared {
                started: Instant::now(),
                timeout: limits.timeout,
                cancelled: AtomicBool::new(false),
                memory_limit: limits.memory_bytes,
                memory_used: AtomicU64::new(0),
                memory_peak: AtomicU64::new(0),
                samples_limit: limits.samples,
                workers: limits.workers.max(1),
                counters: QueryCounters::default(),
            }),
        }
    }

    /// Stops the query at its next check.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
    }

    /// Stops the query when the guard is dropped before [`CancelOnDrop::disarm`]: for futures whose work runs elsewhere.
    #[must_use]
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop { context: Some(self.clone()) }
    }

    /// Whether the query may go on. Called at least once a block and once every some ten thousand samples.
    ///
    /// # Errors
    /// [`StorageError::Cancelled`], [`StorageError::Timeout`]
    pub fn check(&self) -> Result<(), StorageError> {
        if self.shared.cancelled.load(Ordering::Relaxed) {
            return Err(StorageError::Cancelled);
        }
        if self.shared.started.elapsed() > self.shared.timeout {
            return Err(StorageError::Timeout { limit_ms: self.shared.timeout.as_millis() as u64 });
        }
        Ok(())
    }

    /// Accounts for samples about to be looked at.
    ///
    /// # Errors
    /// [`StorageError::SamplesLimit`] where the query reads more than it may.
    pub fn count_samples(&self, samples: u64) -> Result<(), StorageError> {
        let read = self.shared.counters.samples_read.fetch_add(samples, Ordering::Relaxed) + samples;
        if read > self.shared.samples_limit {
            return Err(StorageError::SamplesLimit { limit: self.shared.samples_limit });
        }
        Ok(())
    }

    /// Accounts for memory about to be taken; give it back with [`QueryContext::release_memory`].
    ///
    /// # Errors
    /// [`StorageError::MemoryLimit`] where the query would hold more than it may; then nothing is accounted.
    pub fn reserve_memory(&self, bytes: u64) -> Result<(), StorageError> {
        let used = self.shared.memory_used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > self.shared.memory_limit {
            self.shared.memory_used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(StorageError::MemoryLimit { limit_bytes: self.shared.memory_limit });
        }
        self.shared.memory_peak.fetch_max(used, Ordering::Relaxed);
        Ok(())
    }

    /// Gives back memory that was reserved.
    pub fn release_memory(&self, bytes: u64) {
        self.shared.memory_used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The most memory that was reserved at one time, in bytes.
    #[must_use]
    pub fn memory_peak(&self) -> u64 {
        self.shared.memory_peak.load(Ordering::Relaxed)
    }

    /// What the query may use in all.
    #[must_use]
    pub fn limits(&self) -> QueryLimits {
        QueryLimits {
            timeout: self.shared.timeout,
            memory_bytes: self.shared.memory_limit,
            samples: self.shared.samples_limit,
            workers: self.shared.workers,
        }
    }

    /// Most threads that a store may use for this query.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.workers
    }

    /// What the query has read.
    #[must_use]
    pub fn counters(&self) -> &QueryCounters {
        &self.shared.counters
    }

    /// Time since the query began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.shared.started.elapsed()
    }

    /// Time that is left to the query.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.shared.timeout.saturating_sub(self.shared.started.elapsed())
    }
}

/// Stops a query when it is dropped.
#[derive(Debug)]
pub struct CancelOnDrop {
    context: Option<QueryContext>,
}

impl CancelOnDrop {
    /// The work is done: nothing is left to stop.
    pub fn disarm(mut self) {
        self.context = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(context) = &self.context {
            context.cancel();
        }
    }
}
