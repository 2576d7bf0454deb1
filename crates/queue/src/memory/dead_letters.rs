//! Dead letters.

use std::ops::Bound;

use async_trait::async_trait;
use luminate_model::Offset;

use super::{MemoryQueue, faults};
use crate::{ConsumedRecord, DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterPage, DeadLetters, QueueError};

#[async_trait]
impl DeadLetters for MemoryQueue {
    async fn put(&self, letters: Vec<DeadLetter>) -> Result<(), QueueError> {
        let mut state = self.shared.lock();
        faults::take(&mut state.faults.dead_letters)?;
        for letter in letters {
            state.dead_letters.entry(letter.id).or_insert(letter);
        }
        Ok(())
    }

    async fn list(
        &self,
        filter: &DeadLetterFilter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<DeadLetterPage, QueueError> {
        let state = self.shared.lock();
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut meant =
            state.dead_letters.range((begin, Bound::Unbounded)).map(|(_, letter)| letter).filter(|l| filter.matches(l));
        let letters: Vec<DeadLetter> = meant.by_ref().take(limit).cloned().collect();
        let after = if meant.next().is_some() { letters.last().map(|letter| letter.id) } else { None };
        Ok(DeadLetterPage { letters, after })
    }

    async fn get(&self, id: DeadLetterId) -> Result<Option<DeadLetter>, QueueError> {
        Ok(self.shared.lock().dead_letters.get(&id).cloned())
    }

    async fn replay(&self, id: DeadLetterId, now: i64) -> Result<Option<Offset>, QueueError> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(QueueError::Closed);
        }
        let append_time = state.now;
        let Some(letter) = state.dead_letters.get(&id).filter(|letter| !letter.is_cut()) else {
            return Ok(None);
        };
        let record = ConsumedRecord {
            offset: Offset(0),
            append_time,
            key: letter.key.clone(),
            headers: letter.headers.clone(),
            value: letter.bytes.clone(),
        };
        let Some(log) = state.logs.get_mut(id.source.partition as usize) else { return Ok(None) };
        let offset = log.append(append_time, record);
        if let Some(letter) = state.dead_letters.get_mut(&id) {
            letter.replayed_at = Some(now);
        }
        drop(state);
        self.shared.wake();
        Ok(Some(offset))
    }

    async fn purge(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        let mut state = self.shared.lock();
        let before = state.dead_letters.len();
        state.dead_letters.retain(|_, letter| !filter.matches(letter));
        Ok((before - state.dead_letters.len()) as u64)
    }
}
