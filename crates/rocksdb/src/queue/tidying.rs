//! Giving consumed records' bytes back to the disk.
//!
//! Under load the database does that by itself: a buffer that is written to a table file leaves out what was removed, the
//! log's files go with it, and compactions leave out the rest. When everything is consumed and nothing comes, nothing of
//! that would happen, and up to a full log would lie there for ever; so a thread looks then.

use std::sync::atomic::Ordering;
use std::sync::mpsc;

use luminate_queue::QueueError;

use super::Core;
use super::layout::{DEAD_LETTERS, META, RECORDS};

/// Less than this is left lying.
const WORTHWHILE_BYTES: u64 = 1 << 20;

/// What the thread is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Everything was consumed.
    Drained,
    /// End, and tidy before if everything is consumed: the next start then has no log to read.
    Close,
}

/// Waits for the queue to be drained and quiet, and tidies it.
pub(super) fn run(core: &Core, wishes: &mpsc::Receiver<Wish>) {
    while let Ok(mut wish) = wishes.recv() {
        while wish == Wish::Drained {
            core.tidying_wished.store(false, Ordering::Relaxed);
            match wishes.recv_timeout(core.limits.quiet) {
                Ok(next) => wish = next,
                Err(_) => break,
            }
        }
        tidy_if_drained(core);
        if wish == Wish::Close {
            return;
        }
    }
}

/// Tells the thread, once until it looks, that everything was consumed.
pub(super) fn wish_if_drained(core: &Core) {
    let worthwhile = core.counters.untidied_bytes.load(Ordering::Relaxed) >= WORTHWHILE_BYTES;
    if worthwhile && core.held_bytes() == 0 && !core.tidying_wished.swap(true, Ordering::Relaxed) {
        // The thread is gone where the queue was closed.
        let _ = core.tidying.send(Wish::Drained);
    }
}

fn tidy_if_drained(core: &Core) {
    if core.held_bytes() != 0 || core.counters.untidied_bytes.swap(0, Ordering::Relaxed) < WORTHWHILE_BYTES {
        return;
    }
    if let Err(error) = tidy(core) {
        tracing::warn!(%error, "consumed records could not be given back to the disk");
    }
}

fn tidy(core: &Core) -> Result<(), QueueError> {
    trim(core)?;
    core.log.flush()?;
    if core.log.table_bytes(RECORDS)? >= WORTHWHILE_BYTES {
        core.log.compact(RECORDS)?;
    }
    Ok(())
}

/// Leaves no byte of a consumed record, nor of a purged dead letter, in any file.
pub(super) fn scrub(core: &Core) -> Result<(), QueueError> {
    trim(core)?;
    core.log.flush()?;
    for family in [RECORDS, DEAD_LETTERS, META] {
        core.log.compact(family)?;
    }
    Ok(())
}

fn trim(core: &Core) -> Result<(), QueueError> {
    core.partitions.iter().try_for_each(|partition| partition.trim_all(&core.log))
}
