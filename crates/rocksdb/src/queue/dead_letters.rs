//! Dead letters in the queue's database.

use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use luminate_model::Offset;
use luminate_queue::{DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetters, QueueError};
use rocksdb::{Direction, IteratorMode, WriteBatch};
use tokio::sync::oneshot;

use super::appender::Command;
use super::dead_letter_codec;
use super::layout::{self, DEAD_LETTER_BYTES_KEY, DEAD_LETTERS, META};
use super::log::QueueLog;
use super::{Core, EmbeddedQueue, blocking};

/// A page of a list is closed when its letters have come to this many bytes, whatever was asked for.
const PAGE_BYTES: usize = 8 << 20;

/// What is to be kept is written when it has come to this many bytes, so that its copy in memory stays small.
const PUT_BYTES: usize = 8 << 20;

/// So many are removed in one write.
const PURGE_BATCH: usize = 1000;

/// What dead letters take.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HeldDeadLetters {
    /// Bytes of their keys and values, as the database has them.
    pub(super) bytes: u64,
    /// Whether the last ones did not fit.
    pub(super) refused: bool,
}

impl HeldDeadLetters {
    /// Finds what the database holds.
    pub(super) fn recover(log: &QueueLog) -> Result<Self, QueueError> {
        let Some(stored) = log.get(META, DEAD_LETTER_BYTES_KEY)? else {
            // Never counted: a folder that has none yet, or that was made before they were.
            let mut bytes = 0;
            for letter in after(log, None)? {
                bytes += letter?.1;
            }
            return Ok(Self { bytes, refused: false });
        };
        let bytes = stored.try_into().map(u64::from_le_bytes);
        let bytes = bytes.map_err(|_| QueueError::Damaged("the bytes of dead letters are not a number".to_owned()))?;
        Ok(Self { bytes, refused: false })
    }
}

/// Keeps others from changing dead letters between a look and a write.
pub(super) fn lock(core: &Core) -> MutexGuard<'_, HeldDeadLetters> {
    core.dead_letters.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn get(log: &QueueLog, id: DeadLetterId) -> Result<Option<DeadLetter>, QueueError> {
    let stored = log.get(DEAD_LETTERS, &layout::dead_letter_key(id))?;
    Ok(stored.map(|bytes| dead_letter_codec::decode(id, bytes.into())).transpose()?)
}

/// Adds to a write a dead letter that takes the place of one of its size.
pub(super) fn replace(log: &QueueLog, batch: &mut WriteBatch, letter: &DeadLetter) -> Result<(), QueueError> {
    let key = layout::dead_letter_key(letter.id);
    batch.put_cf(log.family(DEAD_LETTERS)?, key, dead_letter_codec::encode(letter));
    Ok(())
}

/// Dead letters with ids after `after`, in order, each with the bytes of its key and value.
fn after(
    log: &QueueLog,
    after: Option<DeadLetterId>,
) -> Result<impl Iterator<Item = Result<(DeadLetter, u64), QueueError>>, QueueError> {
    let begin = after.map(layout::dead_letter_key);
    let mode = begin.as_deref().map_or(IteratorMode::Start, |key| IteratorMode::From(key, Direction::Forward));
    let stored = log.db().iterator_cf(log.family(DEAD_LETTERS)?, mode);
    let read = stored.map(move |item| {
        let (key, value) = log.judge(item)?;
        let id = layout::read_dead_letter_key(&key)?;
        let bytes = (key.len() + value.len()) as u64;
        Ok((dead_letter_codec::decode(id, Vec::from(value).into())?, bytes))
    });
    Ok(read.filter(move |letter| !letter.as_ref().is_ok_and(|(letter, _)| Some(letter.id) == after)))
}

/// Writes a change together with the bytes that are held after it.
fn write(core: &Core, mut batch: WriteBatch, bytes: u64) -> Result<(), QueueError> {
    if batch.is_empty() {
        return Ok(());
    }
    batch.put_cf(core.log.family(META)?, DEAD_LETTER_BYTES_KEY, bytes.to_le_bytes());
    Ok(core.log.write_synced(batch)?)
}

/// Keeps as many of some letters as fit. One is always taken where there is none, whatever its size.
fn keep(core: &Core, held: &mut HeldDeadLetters, letters: Vec<DeadLetter>) -> Result<(), QueueError> {
    let limit = core.limits.dead_letter_bytes;
    let mut batch = WriteBatch::default();
    let mut bytes = held.bytes;
    let mut refused = false;
    for letter in letters {
        let key = layout::dead_letter_key(letter.id);
        if core.log.get(DEAD_LETTERS, &key)?.is_some() {
            continue;
        }
        let value = dead_letter_codec::encode(&letter);
        let size = (key.len() + value.len()) as u64;
        refused = bytes > 0 && bytes + size > limit;
        if refused {
            break;
        }
        batch.put_cf(core.log.family(DEAD_LETTERS)?, key, value);
        bytes += size;
        if batch.size_in_bytes() >= PUT_BYTES {
            write(core, std::mem::take(&mut batch), bytes)?;
            held.bytes = bytes;
        }
    }
    write(core, batch, bytes)?;
    *held = HeldDeadLetters { bytes, refused };
    if refused { Err(QueueError::DeadLettersFull { bytes, limit }) } else { Ok(()) }
}

#[async_trait]
impl DeadLetters for EmbeddedQueue {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), QueueError> {
        let core = Arc::clone(self.core());
        blocking(move || keep(&core, &mut lock(&core), letters)).await
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
                let (letter, _) = letter?;
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
                let mut held = lock(&core);
                let mut batch = WriteBatch::default();
                let mut looked = 0;
                let mut bytes = held.bytes;
                for letter in after(&core.log, last)?.take(PURGE_BATCH) {
                    let (letter, size) = letter?;
                    looked += 1;
                    last = Some(letter.id);
                    if filter.matches(&letter) {
                        bytes = bytes.saturating_sub(size);
                        batch.delete_cf(core.log.family(DEAD_LETTERS)?, layout::dead_letter_key(letter.id));
                    }
                }
                let removed = batch.len() as u64;
                write(&core, batch, bytes)?;
                *held = HeldDeadLetters { bytes, refused: held.refused && removed == 0 };
                purged += removed;
                if looked < PURGE_BATCH {
                    return Ok(purged);
                }
            }
        })
        .await
    }
}
