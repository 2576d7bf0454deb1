//! Dead letters in the queue's database.

use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use luminate_model::Offset;
use luminate_queue::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetters, QueueError};
use rocksdb::{Direction, IteratorMode, WriteBatch};
use tokio::sync::oneshot;

use super::appender::Command;
use super::dead_letter_codec;
use super::layout::{self, DEAD_LETTERS};
use super::log::QueueLog;
use super::{Core, EmbeddedQueue, blocking};

/// A page of a list is closed when its letters have come to this many bytes, whatever was asked for.
const PAGE_BYTES: usize = 8 << 20;

/// So many are removed in one write.
const PURGE_BATCH: usize = 1000;

/// Keeps others from changing dead letters between a look and a write.
pub(super) fn lock(core: &Core) -> MutexGuard<'_, ()> {
    core.dead_letters.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn get(log: &QueueLog, id: DeadLetterId) -> Result<Option<DeadLetter>, QueueError> {
    let stored = log.get(DEAD_LETTERS, &layout::dead_letter_key(id))?;
    Ok(stored.map(|bytes| dead_letter_codec::decode(id, bytes.into())).transpose()?)
}

/// Adds a dead letter to a write.
pub(super) fn put(log: &QueueLog, batch: &mut WriteBatch, letter: &DeadLetter) -> Result<(), QueueError> {
    let key = layout::dead_letter_key(letter.id);
    batch.put_cf(log.family(DEAD_LETTERS)?, key, dead_letter_codec::encode(letter));
    Ok(())
}

/// Dead letters with ids after `after`, in order.
fn after(
    log: &QueueLog,
    after: Option<DeadLetterId>,
) -> Result<impl Iterator<Item = Result<DeadLetter, QueueError>>, QueueError> {
    let begin = after.map(layout::dead_letter_key);
    let mode = begin.as_deref().map_or(IteratorMode::Start, |key| IteratorMode::From(key, Direction::Forward));
    let stored = log.db().iterator_cf(log.family(DEAD_LETTERS)?, mode);
    let read = stored.map(move |item| {
        let (key, value) = log.judge(item)?;
        let id = layout::read_dead_letter_key(&key)?;
        Ok(dead_letter_codec::decode(id, Vec::from(value).into())?)
    });
    Ok(read.filter(move |letter| !letter.as_ref().is_ok_and(|letter| Some(letter.id) == after)))
}

fn write(core: &Core, batch: WriteBatch) -> Result<(), QueueError> {
    if batch.is_empty() { Ok(()) } else { Ok(core.log.write_synced(batch)?) }
}

#[async_trait]
impl DeadLetters for EmbeddedQueue {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), QueueError> {
        let core = Arc::clone(self.core());
        blocking(move || {
            let _lock = lock(&core);
            let mut batch = WriteBatch::default();
            for letter in letters {
                if core.log.get(DEAD_LETTERS, &layout::dead_letter_key(letter.id))?.is_none() {
                    put(&core.log, &mut batch, &letter)?;
                }
            }
            write(&core, batch)
        })
        .await
    }

    async fn list(
        &self,
        filter: &DeadLetterFilter,
        after_id: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<DeadLetterPage, QueueError> {
        let (core, filter) = (Arc::clone(self.core()), filter.clone());
        blocking(move || {
            let mut page = DeadLetterPage::default();
            let mut bytes = 0;
            for letter in after(&core.log, after_id)? {
                let letter = letter?;
                if !filter.matches(&letter) {
                    continue;
                }
                if page.letters.len() >= limit || bytes >= PAGE_BYTES {
                    page.after = page.letters.last().map(|letter| letter.id);
                    break;
                }
                bytes += letter.bytes.len();
                page.letters.push(letter);
            }
            Ok(page)
        })
        .await
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, QueueError> {
        let core = Arc::clone(self.core());
        blocking(move || get(&core.log, id)).await
    }

    async fn replay(&self, id: DeadLetterId, now: i64) -> Result<Option<Offset>, QueueError> {
        let (reply, answer) = oneshot::channel();
        let asked = self.handle.inbox.send(Command::Replay { id, now, reply });
        asked.map_err(|_| QueueError::Closed)?;
        answer.await.unwrap_or(Err(QueueError::Closed))
    }

    async fn purge(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        let (core, filter) = (Arc::clone(self.core()), filter.clone());
        blocking(move || {
            let mut purged = 0;
            let mut last = None;
            loop {
                let _lock = lock(&core);
                let mut batch = WriteBatch::default();
                let mut looked = 0;
                for letter in after(&core.log, last)?.take(PURGE_BATCH) {
                    let letter = letter?;
                    looked += 1;
                    last = Some(letter.id);
                    if filter.matches(&letter) {
                        batch.delete_cf(core.log.family(DEAD_LETTERS)?, layout::dead_letter_key(letter.id));
                    }
                }
                let removed = batch.len() as u64;
                write(&core, batch)?;
                purged += removed;
                if looked < PURGE_BATCH {
                    return Ok(purged);
                }
            }
        })
        .await
    }
}
