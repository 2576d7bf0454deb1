//! Yielding samples from many blocks at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use luminate_storage::{ChunkConsumer, QueryContext, ScanRequest, StorageError};
use tokio::task::JoinHandle;

use super::Shared;
use super::directory::{Block, Directory};
use super::pages::StoredPages;
use crate::block::BlockReader;

/// The blocks of one scan, given out to threads one by one.
struct Work {
    shared: Arc<Shared>,
    blocks: Vec<Arc<Block>>,
    request: ScanRequest,
    context: QueryContext,
    consumer: Arc<dyn ChunkConsumer>,
    /// The next of `blocks` to be given out.
    next: AtomicUsize,
    /// Set when one thread has failed, so that the others stop.
    stopped: AtomicBool,
}

/// Scans the blocks of one state of the store. Dropping the future cancels the query.
pub(crate) async fn scan(
    shared: &Arc<Shared>,
    directory: Arc<Directory>,
    request: &ScanRequest,
    context: &QueryContext,
    consumer: Arc<dyn ChunkConsumer>,
) -> Result<(), StorageError> {
    let blocks = relevant_blocks(&directory, request, context);
    // From here on only the blocks of this scan are kept from removal.
    drop(directory);
    scan_blocks(shared, blocks, request, context, consumer).await
}

/// Scans some blocks, on up to [`QueryContext::workers`] threads.
pub(crate) async fn scan_blocks(
    shared: &Arc<Shared>,
    blocks: Vec<Arc<Block>>,
    request: &ScanRequest,
    context: &QueryContext,
    consumer: Arc<dyn ChunkConsumer>,
) -> Result<(), StorageError> {
    context.check()?;
    let workers = context.workers().min(blocks.len());
    let work = Arc::new(Work {
        shared: Arc::clone(shared),
        blocks,
        request: request.clone(),
        context: context.clone(),
        consumer,
        next: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
    });
    let mut guard = CancelOnDrop { context, armed: true };
    let threads: Vec<JoinHandle<Result<(), StorageError>>> = (0..workers)
        .map(|worker| {
            let work = Arc::clone(&work);
            tokio::task::spawn_blocking(move || work.run(worker))
        })
        .collect();
    let mut outcome = Ok(());
    for thread in threads {
        let ended = thread.await;
        let ended = ended
            .unwrap_or_else(|error| Err(StorageError::Damaged(format!("a thread of a scan ended early: {error}"))));
        outcome = outcome.and(ended);
    }
    guard.armed = false;
    outcome
}

/// The blocks that may hold what is asked for, judged by their summaries alone.
fn relevant_blocks(directory: &Directory, request: &ScanRequest, context: &QueryContext) -> Vec<Arc<Block>> {
    let mut skipped = 0;
    let mut blocks = Vec::new();
    for block in directory.blocks_of(request.tenant(), request.time) {
        let sections = block.summary.sections_of(request.tenant(), &request.metric);
        let relevant = sections.iter().any(|section| {
            request.time.overlaps(section.first_timestamp, section.last_timestamp)
                && section.last_timestamp >= request.floor(section.retention_days)
        });
        if relevant {
            blocks.push(Arc::clone(block));
        } else if !sections.is_empty() {
            skipped += 1;
        }
    }
    context.counters().blocks_skipped.fetch_add(skipped, Ordering::Relaxed);
    blocks
}

impl Work {
    fn run(&self, worker: usize) -> Result<(), StorageError> {
        let outcome = self.scan_blocks(worker);
        if outcome.is_err() {
            self.stopped.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn scan_blocks(&self, worker: usize) -> Result<(), StorageError> {
        while let Some(block) = self.blocks.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let pages = StoredPages::for_query(&self.shared.database, block, &self.context);
            let reader = BlockReader::new(block.id, Arc::clone(&block.summary), &pages);
            reader.scan(&self.request, &self.context, &mut |chunk| self.consumer.consume(worker, chunk))?;
        }
        Ok(())
    }
}

/// Cancels the query when its future is dropped before its end.
struct CancelOnDrop<'a> {
    context: &'a QueryContext,
    armed: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.context.cancel();
        }
    }
}
