//! The merging thread: the only one that replaces and removes blocks.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use luminate_storage::StorageError;

use super::Shared;
use super::inbox::{Call, Job};
use super::planner::{self, Pace, Plan};
use super::rules::Rules;

/// How long after a merge that failed the next is tried.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// Removed pages that share files with live ones take no more room than this, or a quarter of what is live.
const MOST_BURIED_BYTES: u64 = 64 << 20;

/// Begins the merging thread.
pub(crate) fn start(shared: Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("luminate-merge".to_owned());
    thread.spawn(move || Merger::new(&shared).run())
}

struct Merger<'a> {
    shared: &'a Shared,
    next_expiry: Instant,
    /// No merge is begun before, because one has failed.
    retry_at: Instant,
}

impl<'a> Merger<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = Instant::now();
        // Retention is looked at soon after a start, so that a process that is restarted often does it as well.
        Self { shared, next_expiry: now + Duration::from_secs(5), retry_at: now }
    }

    fn run(mut self) {
        loop {
            match self.shared.inbox.wait(self.next_look()) {
                Call::Close => return,
                Call::Job(job) => self.do_job(job),
                Call::Look => {}
            }
            if let Err(error) = self.tend() {
                if self.shared.inbox.is_closing() {
                    return;
                }
                tracing::warn!(code = error.code(), %error, "background merging failed, trying again later");
                self.retry_at = Instant::now() + RETRY_AFTER;
            }
        }
    }

    fn do_job(&self, job: Job) {
        // Who asked may have gone away; the work is done all the same.
        match job {
            Job::MergeAll { done } => drop(done.send(self.shared.merge_all())),
            Job::Expire { done } => drop(done.send(self.shared.expire())),
            Job::Erase { tenant, done } => drop(done.send(self.shared.remove_erased(&tenant))),
        }
    }

    /// When to look around without being woken.
    fn next_look(&self) -> Instant {
        let now = Instant::now();
        let directory = self.shared.directory();
        let due = planner::next_due(&directory, &self.shared.config).unwrap_or(self.next_expiry);
        let idle = self.shared.idle_from();
        let next = if idle > now { due.min(idle) } else { due };
        next.max(self.retry_at).min(self.next_expiry)
    }

    /// Does what is due, until there is nothing more or somebody asks for something.
    fn tend(&mut self) -> Result<(), StorageError> {
        let now = Instant::now();
        if now < self.retry_at {
            return Ok(());
        }
        self.shared.database.check()?;
        self.shared.remove_garbage()?;
        if now >= self.next_expiry {
            self.next_expiry = now + self.shared.config.expire_every.get();
            self.shared.expire()?;
        }
        let pace = if now >= self.shared.idle_from() { Pace::Idle } else { Pace::Busy };
        while !self.shared.inbox.has_job() {
            let plan = planner::next_merge(&self.shared.directory(), &self.shared.config, pace, Instant::now());
            let Some(plan) = plan else {
                return self.shared.tidy(pace);
            };
            self.shared.merge_in_background(&plan)?;
        }
        Ok(())
    }
}

impl Shared {
    /// From when on the store counts as idle, unless a batch comes.
    fn idle_from(&self) -> Instant {
        self.state().last_stored + self.config.idle_after.get()
    }

    fn merge_in_background(&self, plan: &Plan) -> Result<(), StorageError> {
        let bytes: u64 = plan.runs.iter().map(super::directory::Run::bytes).sum();
        self.check_room(bytes)?;
        let started = Instant::now();
        let report = self.merge(plan, &Rules::new(&self.rules, (self.clock)()))?;
        let runs = plan.runs.len();
        let elapsed_ms = started.elapsed().as_millis() as u64;
        tracing::debug!(runs, samples = report.kept, expired = report.expired, elapsed_ms, "merged runs");
        self.merged.note(&report, bytes, started.elapsed());
        self.remove_garbage()
    }

    /// Merges until every tenant has one run a window, and gives back the room of what was replaced.
    fn merge_all(&self) -> Result<(), StorageError> {
        loop {
            let plan = planner::next_merge(&self.directory(), &self.config, Pace::Everything, Instant::now());
            let Some(plan) = plan else { break };
            self.merge_in_background(&plan)?;
        }
        self.remove_garbage()?;
        self.reclaim()?;
        self.fit_ballast();
        Ok(())
    }

    /// Gives back room when nothing is left to merge.
    fn tidy(&self, pace: Pace) -> Result<(), StorageError> {
        let live: u64 = self.directory().merged_runs().map(super::directory::Run::bytes).sum();
        if pace != Pace::Busy || self.garbage().buried_bytes() > MOST_BURIED_BYTES.max(live / 4) {
            self.reclaim()?;
        }
        if pace != Pace::Busy {
            self.fit_ballast();
        }
        Ok(())
    }
}
